"""Just enough of a Liberty file: cells, their areas, and which function is whose.

Yosys and abc read the whole file; here we need to recognise a full adder, a NAND2 and a flip-flop by
what they compute, since every library names them differently.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pact_hw.errors import InputError
from pact_hw.files import read

from .boolean import truth_table

_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_ITEM = re.compile(
    r'\bcell\s*\(\s*"?(?P<cell>[^")\s]+)"?\s*\)'
    r'|\bpin\s*\(\s*"?(?P<pin>[^")\s]+)"?\s*\)'
    r"|\b(?P<state>ff|latch)\s*\("
    r'|\barea\s*:\s*"?(?P<area>[-+.\deE]+)'
    r"|\bdirection\s*:\s*\"?(?P<direction>\w+)"
    r'|\bfunction\s*:\s*"(?P<function>[^"]*)"'
    r'|\bdont_use\s*:\s*"?(?P<dont_use>true)'
    r'|\bcapacitance\s*:\s*"?(?P<capacitance>[-+.\deE]+)'
    r'|\bmax_capacitance\s*:\s*"?(?P<max_capacitance>[-+.\deE]+)'
)


@dataclass(kw_only=True)
class Cell:
    """One cell: area in the library's unit (um2 by custom), pins, and the function of each output."""

    name: str
    area: float | None = None
    inputs: list[str] = field(default_factory=list)
    functions: dict[str, str] = field(default_factory=dict)
    state: str = ""
    """``"ff"``, ``"latch"`` or empty."""
    dont_use: bool = False
    loads: dict[str, float] = field(default_factory=dict)
    """Capacitance of each pin, in the library's unit."""
    max_load: float = 0.0
    """The most that one output may drive, in the same unit; 0: not said."""

    def tables(self) -> dict[str, int]:
        """Each output's truth table over ``inputs`` (bit i: the value for the inputs' number i)."""
        return {pin: truth_table(text, self.inputs) for pin, text in self.functions.items()}


@dataclass(frozen=True, kw_only=True)
class FullAdder:
    """A library's full adder and which of its pins is which."""

    cell: str
    inputs: tuple[str, ...]
    carry: str
    carry_inverted: bool
    total: str
    total_inverted: bool
    area: float

    def instance(self, module: str, *, low: bool = False) -> str:
        """Verilog of ``module`` (a, b, and c of a full adder, to carry and sum) as this cell.

        ``low``: the cell is fed with inverted bits (a full adder is self-dual).
        """
        pins = "abc"[: len(self.inputs)]
        operands = ", ".join(
            f".{pin}({'~' * low}{port})" for pin, port in zip(self.inputs, pins, strict=True)
        )
        return (
            f"module {module} (input {', '.join(pins)}, output carry, sum);\n  wire c_, s_;\n"
            f"  {self.cell} cell_ ({operands}, .{self.carry}(c_), .{self.total}(s_));\n"
            f"  assign carry = {'~' * (self.carry_inverted != low)}c_;\n"
            f"  assign sum = {'~' * (self.total_inverted != low)}s_;\nendmodule\n"
        )

    def techmap(self) -> str:
        """Verilog that maps a word of Yosys' ``$fa`` (A, B, C to carry X and sum Y) to this cell."""
        operands = ", ".join(f".{pin}({port}[i])" for pin, port in zip(self.inputs, "ABC", strict=True))
        return "\n".join(
            [
                '(* techmap_celltype = "$fa" *)',
                "module full_adder_word #(parameter WIDTH = 1) (",
                "  input [WIDTH-1:0] A, B, C, output [WIDTH-1:0] X, Y);",
                "  genvar i;",
                "  generate for (i = 0; i < WIDTH; i = i + 1) begin : bits",
                "    wire carry, total;",
                f"    {self.cell} cell_ ({operands}, .{self.carry}(carry), .{self.total}(total));",
                f"    assign X[i] = {'~' * self.carry_inverted}carry;",
                f"    assign Y[i] = {'~' * self.total_inverted}total;",
                "  end endgenerate",
                "endmodule",
                "",
            ]
        )


def _text(path: Path) -> str:
    data = path.read_bytes()
    if path.suffix == ".gz":
        data = gzip.decompress(data)
    return data.decode("utf-8", errors="replace")


def read_liberty(path: Path) -> str:
    """The text of a Liberty file, plain or ``.gz``.

    Raises:
        InputError: the file is missing, damaged, cut short, or not a Liberty library.
    """
    text: str = read(path, lambda: _text(path))
    if not re.search(r"\blibrary\s*\(", text):
        raise InputError(f"{path}: not a Liberty file: it has no library (...) group")
    if text.count("{") != text.count("}"):
        raise InputError(
            f"{path}: damaged Liberty file: {text.count('{')} opening and {text.count('}')} closing braces"
        )
    return text


_POWER = re.compile(r"\b(?:internal|leakage)_power\s*\([^)]*\)\s*\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\}")


def without_power(text: str) -> str:
    """A Liberty ``text`` without what only power is computed from: half of it, or more."""
    return _POWER.sub("", text)


def cells(text: str) -> list[Cell]:
    """The cells of a Liberty library, in the file's order."""
    found: list[Cell] = []
    pin = ""
    for item in _ITEM.finditer(_COMMENT.sub("", text)):
        kind, value = item.lastgroup, item[item.lastgroup or 0]
        if kind == "cell":
            found.append(Cell(name=value))
            pin = ""
        elif not found:
            continue
        elif kind == "pin":
            pin = value
        elif kind == "state":
            found[-1].state = value
        elif kind == "area" and found[-1].area is None:
            found[-1].area = float(value)
        elif kind == "dont_use":
            found[-1].dont_use = True
        elif kind == "direction" and value == "input" and pin and pin not in found[-1].inputs:
            found[-1].inputs.append(pin)
        elif kind == "capacitance" and pin:
            found[-1].loads.setdefault(pin, float(value))
        elif kind == "max_capacitance" and pin:
            found[-1].max_load = max(found[-1].max_load, float(value))
        elif kind == "function" and pin:
            found[-1].functions.setdefault(pin, value)
    return found


def smallest(library: Iterable[Cell], inputs: int, table: int) -> Cell | None:
    """The smallest usable one-output gate of ``inputs`` inputs with this (symmetric) truth table."""
    matches = [
        (cell.area, cell.name, cell)
        for cell in library
        if cell.area and not cell.dont_use and not cell.state
        if len(cell.inputs) == inputs and len(cell.functions) == 1 and list(cell.tables().values()) == [table]
    ]
    return min(matches)[2] if matches else None


def nand2(library: Iterable[Cell]) -> Cell | None:
    """The smallest two-input NAND: the gate that counts as 1 gate equivalent."""
    return smallest(library, 2, 0b0111)


def and_or(library: Iterable[Cell]) -> Cell | None:
    """The smallest ``(a & b) | (c & d)`` whose first two inputs are a and b."""
    return smallest(library, 4, sum(1 << row for row in range(16) if row & 3 == 3 or row & 12 == 12))


def missing(library: Sequence[Cell]) -> str:
    """Which of the kinds of cell that every design needs the library lacks; empty where none is."""
    kinds = {
        "inverter": smallest(library, 1, 0b01),
        "NAND2 or NOR2": nand2(library) or smallest(library, 2, 0b0001),
        "flip-flop": flip_flops(library),
    }
    return ", ".join(name for name, found in kinds.items() if not found)


def flip_flops(library: Iterable[Cell]) -> list[Cell]:
    """Usable flip-flops."""
    return [cell for cell in library if cell.state == "ff" and not cell.dont_use]


@dataclass(frozen=True, kw_only=True)
class Register:
    """A plain D flip-flop, and whether it gives the inverse of what it took."""

    cell: str
    data: str
    clock: str
    output: str
    inverting: bool

    def techmap(self, *, flipped: bool) -> str:
        """Verilog that maps Yosys' ``$_DFF_P_`` to this cell; ``flipped``: it holds the inverse."""
        before = "~" if flipped else ""
        after = "~" if self.inverting != flipped else ""
        return (
            '(* techmap_celltype = "$_DFF_P_" *)\nmodule register (input D, C, output Q);\n  wire held;\n'
            f"  {self.cell} cell_ (.{self.data}({before}D), .{self.clock}(C), .{self.output}(held));\n"
            f"  assign Q = {after}held;\nendmodule\n"
        )


_FF = re.compile(r"\bff\s*\(\s*\"?(\w+)\"?\s*,\s*\"?(\w+)\"?\s*\)\s*\{([^}]*)\}", re.DOTALL)


def registers(text: str, library: Iterable[Cell]) -> list[Register]:
    """The rising-edge flip-flops of a Liberty ``text`` without enable, set or reset, the smallest first."""
    found: list[tuple[float, str, Register]] = []
    for cell in flip_flops(library):
        if len(cell.inputs) != 2 or len(cell.functions) != 1 or not cell.area:
            continue
        start = re.search(rf'\bcell\s*\(\s*"?{re.escape(cell.name)}"?\s*\)', text)
        state = start and _FF.search(text, start.end())
        if not state:
            continue
        attributes = dict(re.findall(r'(\w+)\s*:\s*"([^"]*)"', state[3]))
        clock, after = attributes.get("clocked_on", "").strip("() "), attributes.get("next_state", "")
        data = after.strip("!()' ")
        ((output, function),) = cell.functions.items()
        if {clock, data} != set(cell.inputs) or {"clear", "preset", "clocked_on_also"} & set(attributes):
            continue
        inverted = (after.strip("() ") != data) != (function.strip("() ") == state[2])
        one = Register(cell=cell.name, data=data, clock=clock, output=output, inverting=inverted)
        found.append((cell.area, cell.name, one))
    return [one for *_, one in sorted(found, key=lambda entry: entry[:2])]


def half_adder(library: Sequence[Cell]) -> FullAdder | None:
    """The smallest cell that computes sum and carry of two bits, either output possibly inverted."""
    return _adder(library, 2, 0b1000, 0b0110)


_CARRY, _TOTAL = 0b11101000, 0b10010110


def full_adder(library: Sequence[Cell]) -> FullAdder | None:
    """The smallest cell that computes sum and carry of three bits, either output possibly inverted."""
    return _adder(library, 3, _CARRY, _TOTAL)


def _adder(library: Sequence[Cell], bits: int, carries: int, totals: int) -> FullAdder | None:
    found: list[tuple[float, str, FullAdder]] = []
    ones = (1 << (1 << bits)) - 1
    for cell in library:
        if cell.dont_use or cell.state or not cell.area:
            continue
        if len(cell.inputs) != bits or len(cell.functions) != 2:
            continue
        tables = cell.tables()
        carry = [(pin, t == ones - carries) for pin, t in tables.items() if t in (carries, ones - carries)]
        total = [(pin, t == ones - totals) for pin, t in tables.items() if t in (totals, ones - totals)]
        if carry and total:
            adder = FullAdder(
                cell=cell.name,
                inputs=tuple(cell.inputs),
                carry=carry[0][0],
                carry_inverted=carry[0][1],
                total=total[0][0],
                total_inverted=total[0][1],
                area=cell.area,
            )
            found.append((cell.area, cell.name, adder))
    return min(found)[2] if found else None
