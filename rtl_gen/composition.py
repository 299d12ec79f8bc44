"""What a composable array's operands and sums are made of (BitFusion, Sharma et al., ISCA 2018).

Bricks of ``narrowest_bits`` multiply chunks of both operands: in a lane of n x n bricks, brick (i, j)
has chunk i of the activations' word j and chunk j of the weights' word i (``sim.bench.traffic`` and
docs/hardware.md say what the words hold). A wide product is the sum of its bricks' products, each
shifted by the places of its two chunks. Shifting each brick is what such arrays cost; here bricks of
the same shift are summed over all lanes first, and only these few sums are shifted.

A level joins pairs of operands of 2**level chunks to one of twice as many: ``joined[level]``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from amaranth.hdl import Cat, Module, Mux, Shape, Value, unsigned

from pact_hw.spec import HardwareSpec, WeightEncoding

from .arithmetic import elements, named, tree
from .block import Block, input_port, output_port
from .widths import act_sum_shape

Key = tuple[int, ...]
"""By level, the highest first: how many chunks' places a sum is shifted there, if the level joins."""


def levels(spec: HardwareSpec) -> int:
    """How often operands can be halved."""
    return len(spec.modes) - 1


def joining(m: Module, spec: HardwareSpec, mode: Value) -> Value:
    """The levels that ``mode`` joins, a bit each."""
    count = levels(spec)
    return Cat(*(named(m, f"joins_{level}", mode <= count - 1 - level, 1) for level in range(count)))


def key(spec: HardwareSpec, *chunks: int) -> Key:
    """Of the sum to which bricks at these ``chunks`` belong."""
    return tuple(sum(chunk >> level & 1 for chunk in chunks) for level in reversed(range(levels(spec))))


def bricks(spec: HardwareSpec) -> Iterator[tuple[int, int, int, int, int]]:
    """Lane, chunks i and j, and where each brick's chunks start in the PE's activations and weights."""
    n, width = spec.operand_words, spec.act.bits
    for lane in range(spec.lanes):
        for i in range(n):
            for j in range(n):
                first = lane * n * width
                chunk = spec.narrowest_bits
                yield lane, i, j, first + j * width + i * chunk, first + i * width + j * chunk


def combined(
    m: Module, name: str, sums: Mapping[Key, tuple[Value, int]], joined: Value, step: int
) -> tuple[Value, int]:
    """The sum of ``sums`` (each with the most that it can be), shifted where ``joined`` says so.

    ``step``: bits of a chunk.
    """
    for level in range(len(joined)):
        merged: dict[Key, tuple[Value, int]] = {}
        for at, (value, most) in sums.items():
            shift = at[-1] * step << level
            label = "_".join([name, str(level), *map(str, at)])
            if shift:
                most <<= shift
                shifted = Mux(joined[level], value << shift, value)
                value = named(m, f"{label}_shifted", shifted, unsigned(most.bit_length()))
            if at[:-1] in merged:
                before, most_before = merged[at[:-1]]
                most += most_before
                value = named(m, f"{label}_sum", before + value, unsigned(most.bit_length()))
            merged[at[:-1]] = value, most
        sums = merged
    return sums[()]


def scaled(
    m: Module, name: str, value: Value, joined: Value, step: Callable[[int], int], shape: Shape
) -> Value:
    """``value`` shifted left by ``step(level)`` (right where negative) for each level that is joined.

    ``shape`` is known to hold it.
    """
    for level in range(len(joined)):
        shift = step(level)
        moved = value << shift if shift > 0 else value >> -shift
        is_last = level == len(joined) - 1
        width = shape if is_last else Shape(len(value) + max(0, shift))
        label = name if is_last else f"{name}_{level}"
        value = named(m, label, Mux(joined[level], moved, value), width)
    return value


def brick_sum(m: Module, spec: HardwareSpec, act: Value, weight: Value, joined: Value) -> Value:
    """The sum of all lanes' products: ``act`` and ``weight`` are words as bricks need them."""
    chunk = spec.narrowest_bits
    most = ((1 << chunk) - 1) ** 2
    products: dict[Key, list[Value]] = {}
    for lane, i, j, act_at, weight_at in bricks(spec):
        product = act[act_at : act_at + chunk] * weight[weight_at : weight_at + chunk]
        brick = named(m, f"brick_{lane}_{i}_{j}", product, unsigned(most.bit_length()))
        products.setdefault(key(spec, i, j), []).append(brick)
    sums = {}
    for at, terms in products.items():
        name = "_".join(["bricks", *map(str, at)])
        total = tree(m, name, terms, lambda count: unsigned((count * most).bit_length()))
        sums[at] = total, len(terms) * most
    total, _ = combined(m, "total", sums, joined, chunk)
    return total


def beat_total(m: Module, spec: HardwareSpec, act: Value, joined: Value) -> Value:
    """The sum of a row's activations; every word of a wide one counts: twice as much for each level."""
    chunk = spec.narrowest_bits
    most = (1 << chunk) - 1
    chunks: dict[Key, list[Value]] = {}
    for number, value in enumerate(elements(act, len(act) // chunk)):
        chunks.setdefault(key(spec, number % spec.operand_words), []).append(value)
    sums = {}
    for at, terms in chunks.items():
        name = "_".join(["chunks", *map(str, at)])
        total = tree(m, name, terms, lambda count: unsigned((count * most).bit_length()))
        sums[at] = total, len(terms) * most
    total, _ = combined(m, "act_sums", sums, joined, chunk)
    # n**2 operands of a lane are together not more than the widest one can be.
    return scaled(m, "act_sum", total, joined, lambda _level: -1, act_sum_shape(spec, spec.lanes))


def excess_in_mode(m: Module, spec: HardwareSpec, total: Value, joined: Value) -> Value:
    """``arithmetic.excess`` for the weights of the mode."""
    chunk = spec.narrowest_bits
    odd = spec.weight.encoding is WeightEncoding.ODD
    bits = chunk if odd else chunk - 1
    shape = unsigned(len(total) + (spec.weight.bits if odd else spec.weight.bits - 1))
    value = scaled(m, "levels", total << bits, joined, lambda level: chunk << level, shape)
    return named(m, "excess", value - total, shape) if odd else value


class OperandWords(Block):
    """The words of all lanes as the bricks need them: where operands are wide, every word of theirs."""

    def __init__(self, spec: HardwareSpec, kind: str) -> None:
        self._spec = spec
        self._inverts = kind == "weight" and spec.weight.encoding is WeightEncoding.TWOS_COMPLEMENT
        width = spec.lanes * spec.operand_words * spec.act.bits
        super().__init__(
            f"{spec.name}_{kind}_words",
            [
                input_port("joins", levels(spec), "from the narrowest on: are operands joined in pairs?"),
                input_port("operands", width, "words of all lanes, as offered"),
                output_port("words", width, "words of all lanes, for the bricks"),
            ],
            clocked=False,
        )

    def _build(self, m: Module) -> None:
        spec = self._spec
        words: list[Value] = []
        apart = named(m, "apart", ~self.joins, len(self.joins)) if self._inverts else self.joins
        for number, word in enumerate(elements(self.operands, spec.lanes * spec.operand_words)):
            if self._inverts:
                word = self._offset(m, number, word, apart)
            if index := number % spec.operand_words:
                level = (index & -index).bit_length() - 1
                chosen = Mux(self.joins[level], words[number - (1 << level)], word)
                word = named(m, f"word_{number}", chosen, len(word))
            words.append(word)
        m.d.comb += self.words.eq(Cat(*words))

    def _offset(self, m: Module, number: int, word: Value, apart: Value) -> Value:
        """``word`` with the highest bit of each of its codes inverted (``arithmetic.offset_codes``)."""
        chunk = self._spec.narrowest_bits
        ends = range(chunk, len(word), chunk)  # of codes, unless a level joins them to the next
        inverted = Cat(*(apart[(end // chunk & -(end // chunk)).bit_length() - 1] for end in ends))
        highest = Cat(*(word[end - 1] for end in ends))
        inner = named(m, f"highest_{number}", highest ^ inverted, len(highest))
        top = named(m, f"top_{number}", ~word[-1], 1)
        bits = list(word[:-1])
        for place, end in enumerate(ends):
            bits[end - 1] = inner[place]
        return Cat(*bits, top)
