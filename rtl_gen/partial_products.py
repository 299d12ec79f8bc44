"""From operands to the bits that a processing element adds up.

Products are always unsigned activation times unsigned code. Plain form: every weight bit gates every
activation bit (one-bit operands are this with nothing left over: AND and popcount). Pair form: of two
lanes a and b, each weight bit position adds one of {0, a, b, a + b}, chosen by both lanes' weight
bits. That is one row of A + 1 bits instead of two of A; a + b is made once per row of PEs, before its
register, and the choice is decoded once per column.

A bit-serial array has it the other way round: weights are added, gated by one bit of an activation. So
the sum of two weights is made once per column, and the choice is decoded once per row.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Value

from pact_hw.spec import Dataflow, HardwareSpec, MacKind

from .arithmetic import elements, named
from .block import Block, input_port, output_port
from .compressor import Bit

REGISTER_PS, GATE_PS = 105, 32
CHOICE_PS, CHOICE_FAN_OUT_PS = 113, 5
"""Of a choice of nothing, and more for each bit that it chooses."""
PAIR_MIN_BITS, PAIR_MIN_SIDE = 4, 4
SERIAL_PAIR_MIN_BITS = 4


def in_pairs(spec: HardwareSpec) -> bool:
    """Whether lanes are added in pairs.

    Measured in ASAP7 (docs/hardware.md): pairs are smaller from 4-bit activations upwards (bit-serial:
    4-bit weights), where rows and columns enough share their cost; weight-stationary PEs would have to
    store the choice.
    """
    if is_serial(spec):
        worth_it = spec.weight.bits >= SERIAL_PAIR_MIN_BITS
    else:
        worth_it = spec.act.bits >= PAIR_MIN_BITS and spec.weight.bits > 1
    return (
        spec.dataflow is Dataflow.OUTPUT_STATIONARY
        and spec.mac_kind is not MacKind.COMPOSABLE
        and worth_it
        and spec.lanes % 2 == 0
        and min(spec.rows, spec.cols) >= PAIR_MIN_SIDE
    )


def is_serial(spec: HardwareSpec) -> bool:
    """Whether weights are added, gated by bits of activations, and not activations by those of weights."""
    return spec.mac_kind is MacKind.BIT_SERIAL


def term_bits(spec: HardwareSpec) -> int:
    """Bits of what is added."""
    return spec.weight.bits if is_serial(spec) else spec.act.bits


def gate_bits(spec: HardwareSpec) -> int:
    """Bits of what gates it: each is a place at which it is added."""
    return spec.beat_act_bits if is_serial(spec) else spec.weight.bits


def _terms_bits(spec: HardwareSpec) -> int:
    """Of what a PE adds: ``lanes`` terms, or a, b and a + b of each pair."""
    bits = term_bits(spec)
    return spec.lanes // 2 * (3 * bits + 1) if in_pairs(spec) else spec.lanes * bits


def _gates_bits(spec: HardwareSpec) -> int:
    """Of what a PE's terms are gated by: ``lanes`` gates, or three choices a bit for each pair."""
    return spec.lanes // 2 * 3 * gate_bits(spec) if in_pairs(spec) else spec.lanes * gate_bits(spec)


def act_bits(spec: HardwareSpec) -> int:
    """Bits of one PE's activations."""
    return _gates_bits(spec) if is_serial(spec) else _terms_bits(spec)


def weight_bits(spec: HardwareSpec) -> int:
    """Bits of one PE's weights."""
    return _terms_bits(spec) if is_serial(spec) else _gates_bits(spec)


def pair_sums(m: Module, spec: HardwareSpec, terms: Value) -> Value:
    """The sum of each pair of ``terms``, ``lanes`` of them."""
    each = elements(terms, spec.lanes)
    sums = [
        named(m, f"pair_sum_{pair}", each[2 * pair] + each[2 * pair + 1], term_bits(spec) + 1)
        for pair in range(spec.lanes // 2)
    ]
    return Cat(*sums)


def with_pair_sums(spec: HardwareSpec, terms: Value, sums: Value) -> Value:
    """What a PE adds: a, b, a + b of each pair."""
    pairs = spec.lanes // 2
    return Cat(
        *(Cat(ab, total) for ab, total in zip(elements(terms, pairs), elements(sums, pairs), strict=True))
    )


class Choice(Block):
    """What PEs add of each two lanes: decoded once from their gates, for a column (bit-serial: row)."""

    def __init__(self, spec: HardwareSpec) -> None:
        self._spec = spec
        self._gates = "act" if is_serial(spec) else "weight"
        described = "a bit of lanes activations" if is_serial(spec) else "lanes weight codes"
        super().__init__(
            f"{spec.name}_choice",
            [
                input_port(self._gates, spec.lanes * gate_bits(spec), described),
                output_port("choice", _gates_bits(spec), "of each two lanes: only a, only b, both"),
            ],
            clocked=False,
        )

    def _build(self, m: Module) -> None:
        codes = elements(getattr(self, self._gates), self._spec.lanes)
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
    added, gates = (weight, act) if is_serial(spec) else (act, weight)
    if not in_pairs(spec):
        return list(zip(elements(added, spec.lanes), elements(gates, spec.lanes), strict=True))
    pairs, bits = spec.lanes // 2, term_bits(spec)
    found = []
    for operands, chosen in zip(elements(added, pairs), elements(gates, pairs), strict=True):
        factors = (operands[:bits], operands[bits : 2 * bits], operands[2 * bits :])
        found += list(zip(factors, elements(chosen, 3), strict=True))
    return found


def product_bits(spec: HardwareSpec, width: int) -> tuple[list[str], list[list[Bit]]]:
    """Verilog that makes the bits to be added, from ``act`` and ``weight``; and these, by column."""
    a, w = term_bits(spec), gate_bits(spec)
    added, gates = ("weight", "act") if is_serial(spec) else ("act", "weight")
    columns: list[list[Bit]] = [[] for _ in range(width)]
    lines = []
    if not in_pairs(spec):
        for lane in range(spec.lanes):
            term = _slice(added, lane * a, a, _terms_bits(spec))
            for j in range(w):
                gate = _slice(gates, lane * w + j, 1, _gates_bits(spec))
                name = f"product_{lane}_{j}"
                lines.append(f"wire {_span(a)}{name} = {term} & {_repeat(gate, a)};")
                for i in range(a):
                    columns[i + j].append(Bit(REGISTER_PS + GATE_PS, _slice(name, i, 1, a)))
        return lines, columns
    for pair in range(spec.lanes // 2):
        start = pair * (3 * a + 1)
        parts = [f"{{1'b0, {added}[{start + k * a + a - 1}:{start + k * a}]}}" for k in (0, 1)]
        parts.append(f"{added}[{start + 3 * a}:{start + 2 * a}]")
        arrival = REGISTER_PS + CHOICE_PS + CHOICE_FAN_OUT_PS * a
        for j in range(w):
            name = f"product_{pair}_{j}"
            chosen = [f"{gates}[{(3 * pair + k) * w + j}]" for k in range(3)]
            gated = [f"{part} & {_repeat(gate, a + 1)}" for part, gate in zip(parts, chosen, strict=True)]
            lines.append(f"wire {_span(a + 1)}{name} = ({') | ('.join(gated)});")
            for i in range(a):
                columns[i + j].append(Bit(arrival, f"{name}[{i}]", 0))
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
