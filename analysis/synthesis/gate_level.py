"""Verilog models of a library's cells, from the functions in its Liberty file: for gate-level simulation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pact_hw.errors import InputError

from .liberty import Cell, Register


def models(library: Sequence[Cell], registers: Iterable[Register], used: Iterable[str]) -> str:
    """Modules for the cells named ``used``: no delays, two-valued.

    Raises:
        InputError: a cell is a latch, or a register other than ``registers``, or has an output whose
            function the Liberty file does not say.
    """
    by_name = {cell.name: cell for cell in library}
    plain = {register.cell: register for register in registers}
    return "\n".join(
        _register(plain[name]) if name in plain else _gate(by_name[name]) for name in sorted(set(used))
    )


def _gate(cell: Cell) -> str:
    tables = cell.tables()
    if cell.state or any(table < 0 for table in tables.values()) or not tables:
        raise InputError(f"{cell.name}: cannot be simulated: its Liberty function is not combinational")
    bits = 1 << len(cell.inputs)
    lines = [f"module {cell.name} ({', '.join([f'input {pin}' for pin in cell.inputs] + _outputs(tables))});"]
    operands = ", ".join(reversed(cell.inputs))
    for pin, table in tables.items():
        if not cell.inputs:
            lines.append(f"  assign {pin} = 1'b{table & 1};")
            continue
        lines.append(f"  wire [{bits - 1}:0] table_{pin} = {bits}'b{table:0{bits}b};")
        lines.append(f"  assign {pin} = table_{pin}[{{{operands}}}];")
    return "\n".join([*lines, "endmodule", ""])


def _outputs(tables: dict[str, int]) -> list[str]:
    return [f"output {pin}" for pin in tables]


def _register(register: Register) -> str:
    return (
        f"module {register.cell} (input {register.data}, input {register.clock}, output {register.output});\n"
        f"  reg state;\n  always @(posedge {register.clock}) state <= {register.data};\n"
        f"  assign {register.output} = {'~' * register.inverting}state;\nendmodule\n"
    )
