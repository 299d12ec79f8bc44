"""From operands to the bits that a processing element adds up.

Products are always unsigned activation times unsigned code. Plain form: every weight bit gates every
activation bit (one-bit operands are this with nothing left over: AND and popcount). Pair form: of two
lanes a and b, each weight bit position adds one of {0, a, b, a + b}, chosen by both lanes' weight
bits. That is one row of A + 1 bits instead of two of A; a + b is made once per row of PEs, before its
register, and the choice is decoded once per column.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Value

from pact_hw.spec import Dataflow, HardwareSpec, MacKind

from .arithmetic import elements, named
from .block import Block, input_port, output_port
from .compressor import Bit

REGISTER_PS, GATE_PS, CHOICE_PS = 105, 32, 85
PAIR_MIN_BITS, PAIR_MIN_SIDE = 4, 4


def in_pairs(spec: HardwareSpec) -> bool:
    """Whether lanes are added in pairs.

    Measured in ASAP7 (docs/hardware.md): pairs are smaller from 4-bit activations upwards, where
    rows and columns enough share their cost; weight-stationary PEs would have to store the choice.
    """
    return (
        spec.dataflow is Dataflow.OUTPUT_STATIONARY
        and spec.mac_kind is MacKind.FIXED
        and spec.act.bits >= PAIR_MIN_BITS
        and spec.weight.bits > 1
        and spec.lanes % 2 == 0
        and min(spec.rows, spec.cols) >= PAIR_MIN_SIDE
    )


def act_bits(spec: HardwareSpec) -> int:
    """Bits of one PE's activations: ``lanes`` levels, or a, b and a + b of each pair."""
    if in_pairs(spec):
        return spec.lanes // 2 * (3 * spec.act.bits + 1)
    return spec.lanes * spec.act.bits


def weight_bits(spec: HardwareSpec) -> int:
    """Bits of one PE's weights: ``lanes`` codes, or three choices a bit for each pair."""
    return spec.lanes // 2 * 3 * spec.weight.bits if in_pairs(spec) else spec.lanes * spec.weight.bits


def pair_sums(m: Module, spec: HardwareSpec, act: Value) -> Value:
    """The sum of each pair of ``act``, ``lanes`` levels."""
    acts = elements(act, spec.lanes)
    sums = [
        named(m, f"pair_sum_{pair}", acts[2 * pair] + acts[2 * pair + 1], spec.act.bits + 1)
        for pair in range(spec.lanes // 2)
    ]
    return Cat(*sums)


def with_pair_sums(spec: HardwareSpec, act: Value, sums: Value) -> Value:
    """The activations of a PE: a, b, a + b of each pair."""
    pairs = spec.lanes // 2
    return Cat(
        *(Cat(ab, total) for ab, total in zip(elements(act, pairs), elements(sums, pairs), strict=True))
    )


class Choice(Block):
    """What a column's PEs add of each two lanes: decoded once from their weight codes."""

    def __init__(self, spec: HardwareSpec) -> None:
        self._spec = spec
        super().__init__(
            f"{spec.name}_choice",
            [
                input_port("weight", spec.lanes * spec.weight.bits, "lanes weight codes"),
                output_port("choice", weight_bits(spec), "of each two lanes: only a, only b, both"),
            ],
            clocked=False,
        )

    def _build(self, m: Module) -> None:
        codes = elements(self.weight, self._spec.lanes)
        pairs = zip(codes[::2], codes[1::2], elements(self.choice, self._spec.lanes // 2), strict=True)
        for number, (a, b, choice) in enumerate(pairs):
            not_a, not_b = (
                named(m, f"not_{name}_{number}", ~code, len(code)) for name, code in (("a", a), ("b", b))
            )
            m.d.comb += choice.eq(Cat(a & not_b, not_a & b, a & b))


class Choices(Block):
    """What each column's PEs add of each two lanes."""

    def __init__(self, spec: HardwareSpec) -> None:
        self._spec = spec
        self._choice = Choice(spec)
        super().__init__(
            f"{spec.name}_choices",
            [
                input_port("weight", spec.cols * spec.lanes * spec.weight.bits, "cols x lanes weight codes"),
                output_port("choices", spec.cols * weight_bits(spec), "the choices of cols PEs"),
            ],
            [self._choice],
            clocked=False,
        )

    def _build(self, m: Module) -> None:
        self._choice.place_each(m, "column", self._spec.cols, weight=self.weight, choice=self.choices)


def terms(spec: HardwareSpec, act: Value, weight: Value) -> list[tuple[Value, Value]]:
    """What a PE multiplies, each factor unsigned: ``lanes`` products, or three for each pair."""
    if not in_pairs(spec):
        return list(zip(elements(act, spec.lanes), elements(weight, spec.lanes), strict=True))
    pairs, bits = spec.lanes // 2, spec.act.bits
    found = []
    for operands, chosen in zip(elements(act, pairs), elements(weight, pairs), strict=True):
        factors = (operands[:bits], operands[bits : 2 * bits], operands[2 * bits :])
        found += list(zip(factors, elements(chosen, 3), strict=True))
    return found


def product_bits(spec: HardwareSpec, width: int) -> tuple[list[str], list[list[Bit]]]:
    """Verilog that makes the bits to be added, from ``act`` and ``weight``; and these, by column."""
    a, w = spec.act.bits, spec.weight.bits
    columns: list[list[Bit]] = [[] for _ in range(width)]
    lines = []
    if not in_pairs(spec):
        for lane in range(spec.lanes):
            act = _slice("act", lane * a, a, act_bits(spec))
            for j in range(w):
                gate = _slice("weight", lane * w + j, 1, weight_bits(spec))
                name = f"product_{lane}_{j}"
                lines.append(f"wire {_span(a)}{name} = {act} & {_repeat(gate, a)};")
                for i in range(a):
                    columns[i + j].append(Bit(REGISTER_PS + GATE_PS, _slice(name, i, 1, a)))
        return lines, columns
    for pair in range(spec.lanes // 2):
        start = pair * (3 * a + 1)
        parts = [f"{{1'b0, act[{start + k * a + a - 1}:{start + k * a}]}}" for k in (0, 1)]
        parts.append(f"act[{start + 3 * a}:{start + 2 * a}]")
        for j in range(w):
            name = f"product_{pair}_{j}"
            gates = [f"weight[{(3 * pair + k) * w + j}]" for k in range(3)]
            gated = [f"{part} & {_repeat(gate, a + 1)}" for part, gate in zip(parts, gates, strict=True)]
            lines.append(f"wire {_span(a + 1)}{name} = ({') | ('.join(gated)});")
            for i in range(a):
                columns[i + j].append(Bit(REGISTER_PS + CHOICE_PS, f"{name}[{i}]", 0))
            columns[a + j].append(Bit(REGISTER_PS + GATE_PS, f"{name}[{a}]"))
    return lines, columns


def _span(width: int) -> str:
    return f"[{width - 1}:0] " if width > 1 else ""


def _repeat(bit: str, count: int) -> str:
    return f"{{{count}{{{bit}}}}}" if count > 1 else bit


def _slice(name: str, start: int, width: int, whole: int) -> str:
    if whole == width == 1:
        return name
    return f"{name}[{start}]" if width == 1 else f"{name}[{start + width - 1}:{start}]"
