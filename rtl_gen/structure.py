"""What synthesis is to build of a processing element: adders placed one by one, as Verilog.

A block may have, beside what Amaranth makes of it, a ``structure``: a body for the same ports that
does the same, gate for gate where it matters. It stands under ``ifdef SYNTHESIS``, which synthesis
tools define; simulators get the operators, which they run many times faster. The tests prove both
equal with Yosys, and simulate synthesised netlists with the vectors of the array.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from pact_hw.spec import HardwareSpec

from .carry_save import accumulate
from .compressor import Adder, Bit, Reduction, reduce_columns
from .partial_products import product_bits
from .staged import reduce_in_stages
from .widths import acc_shape

FEEDBACK_PS = 220
"""When the accumulator is back at its adders, through the multiplexer."""
MAX_PRODUCT_BITS = 8192
"""Larger sums are left to the operators: placing their adders would be megabytes of text."""

ADDERS = {
    "full_adder": """\
// The sum of three bits. A module, so that a library's own cell can take its place.
module {name}_full_adder (
  input  wire a,
  input  wire b,
  input  wire c,
  output wire carry,
  output wire sum
);
  assign sum = a ^ b ^ c;
  assign carry = (a & b) | (c & (a | b));
endmodule
""",
    "half_adder": """\
// The sum of two bits.
module {name}_half_adder (
  input  wire a,
  input  wire b,
  output wire carry,
  output wire sum
);
  assign sum = a ^ b;
  assign carry = a & b;
endmodule
""",
}


def adder_modules(name: str, text: str) -> str:
    """The adders that ``text``, the design ``name``, has instances of."""
    used = [module.format(name=name) for kind, module in ADDERS.items() if f" {name}_{kind} " in text]
    return "`ifdef SYNTHESIS\n" + "\n".join(used) + "`endif\n" if used else ""


def is_placed(spec: HardwareSpec) -> bool:
    """Whether the adders of ``spec``'s PEs are placed one by one."""
    return spec.lanes * spec.act.bits * spec.weight.bits <= MAX_PRODUCT_BITS


def multiply_add(spec: HardwareSpec, *, addend: str, width: int) -> tuple[list[str], str]:
    """Verilog lines that add the products of ``act`` and ``weight`` to ``addend``; the sum's name."""
    lines, columns = product_bits(spec, width)
    for bits, own in zip(columns, word_bits(addend, width), strict=True):
        bits.append(own)
    more, _ = placed_sum(spec.name, columns, "total")
    return lines + more, "total"


@lru_cache(maxsize=4)
def multiply_accumulate(spec: HardwareSpec) -> tuple[list[str], tuple[int, ...]]:
    """Verilog lines by which ``acc`` becomes ``feedback`` plus the products, in ``tree_stages``.

    And the columns of the carries that ``acc`` keeps (``carry_save``): without stages.
    """
    width = acc_shape(spec).width
    lines, columns = product_bits(spec, width)
    if spec.tree_stages:
        return lines + accumulated(spec, columns, word_bits("feedback", width), "acc"), ()
    more, carries = accumulated_with_carries(spec, columns, "feedback", "acc")
    return lines + more, carries


def accumulated_with_carries(
    spec: HardwareSpec, columns: Sequence[Sequence[Bit]], kept: str, register: str
) -> tuple[list[str], tuple[int, ...]]:
    """Verilog lines by which ``register`` becomes ``kept`` plus ``columns``, and its carries' columns."""
    found = accumulate(columns, kept, FEEDBACK_PS)
    lines = [line for adder in found.adders for line in _placed(spec.name, adder)]
    bits = _word(list(found.bits))
    if not found.carries:
        return [*lines, f"always @(posedge clk) {register} <= {bits};"], ()
    # The port is no register: simulators' body, which keeps no carries, gives zeros for them.
    own = f"{register}_q"
    lines += [
        f"reg [{len(found.bits) - 1}:0] {own};",
        f"always @(posedge clk) {own} <= {bits};",
        f"assign {register} = {own};",
    ]
    return lines, found.carries


def word_bits(word: str, width: int, arrival: float = FEEDBACK_PS, parity: int | None = 0) -> list[Bit]:
    """The bits of a word that comes back from a register, through a gate."""
    return [Bit(arrival, f"{word}[{number}]" if width > 1 else word, parity) for number in range(width)]


def placed_sum(
    prefix: str, columns: Sequence[Sequence[Bit]], word: str, label: str = ""
) -> tuple[list[str], Reduction]:
    """Verilog lines that add ``columns`` up to ``word``; ``label`` keeps the names of several apart."""
    reduction = reduce_columns(columns, label)
    lines = [line for adder in reduction.adders for line in _placed(prefix, adder)]
    return lines + _final(reduction, len(columns), word), reduction


def accumulated(
    spec: HardwareSpec, columns: Sequence[list[Bit]], kept: Sequence[Bit], register: str
) -> list[str]:
    """Verilog lines by which ``register`` becomes the bits ``kept`` plus ``columns``, in ``tree_stages``."""
    if not spec.tree_stages:
        for bits, own in zip(columns, kept, strict=True):
            bits.append(own)
        lines, _ = placed_sum(spec.name, columns, "total_next")
        return [*lines, f"always @(posedge clk) {register} <= total_next;"]
    # What chooses between a register and its neighbour drives a gate for each bit.
    fan_out_ps = 2 * max(0, len(kept) - 16)
    kept = [replace(bit, arrival=bit.arrival + fan_out_ps) for bit in kept]
    reduction = reduce_in_stages(columns, kept, spec.tree_stages)
    late = [name for name, _ in reduction.registers]
    return [
        *([f"reg {', '.join(late)};"] if late else []),
        *(line for adder in reduction.adders for line in _placed(spec.name, adder)),
        *(f"always @(posedge clk) {name} <= {source};" for name, source in reduction.registers),
        f"always @(posedge clk) {register} <= {_word(list(reduction.bits))};",
    ]


def _placed(prefix: str, adder: Adder) -> list[str]:
    number = adder.sum.removeprefix("sum_")
    if not adder.carry:
        return [f"wire {adder.sum} = {' ^ '.join(adder.inputs)};"]
    kind = "full_adder" if len(adder.inputs) == 3 else "half_adder"
    pins = [*zip("abc", adder.inputs, strict=False), ("carry", adder.carry), ("sum", adder.sum)]
    connections = ", ".join(f".{pin}({net})" for pin, net in pins)
    return [f"wire {adder.sum}, {adder.carry};", f"{prefix}_{kind} add_{number} ({connections});"]


def _final(reduction: Reduction, width: int, word: str) -> list[str]:
    """The number ``word``: a bit each from the lower columns, a sum of two words from the middle ones.

    At the top, where only one bit is left in each column, the carry chooses between it and one more.
    """
    split = reduction.split
    lower = [bits[0] if bits else "1'b0" for bits in reduction.columns[:split]]
    if split == width:
        return [f"wire [{width - 1}:0] {word} = {_word(lower)};"]
    padded = [(*bits, "1'b0", "1'b0")[:3] for bits in reduction.columns[split:]]
    carry_in = padded[0][0] if len(reduction.columns[split]) == 3 else "1'b0"
    if carry_in != "1'b0":
        padded[0] = (padded[0][1], padded[0][2], "1'b0")
    middle = max((n + 1 for n, bits in enumerate(padded) if bits[1] != "1'b0"), default=1)
    top = [bits[0] for bits in padded[middle:]]
    name = "middle" if word == "total" else f"{word}_middle"
    carry = f"{name}_carry" if top else f"unused_{name}_carry"
    a, b = (_word([bits[k] for bits in padded[:middle]]) for k in (0, 1))
    lines = [
        f"wire [{middle - 1}:0] {name};",
        f"wire {carry}, unused_{name};",
        f"assign {{{carry}, {name}, unused_{name}}} = {{1'b0, {a}, 1'b1}} + {{1'b0, {b}, {carry_in}}};",
    ]
    parts = [name, _word(lower)] if lower else [name]
    if top:
        high = name.replace("middle", "top")
        lines += [
            f"wire [{len(top) - 1}:0] {high} = {_word(top)};",
            f"wire [{len(top) - 1}:0] {high}_plus_1 = {high} + {len(top)}'d1;",
        ]
        parts.insert(0, f"({carry} ? {high}_plus_1 : {high})")
    return [*lines, f"wire [{width - 1}:0] {word} = {{{', '.join(parts)}}};"]


def _word(bits: list[str]) -> str:
    return "{" + ", ".join(reversed(bits)) + "}"
