"""Columns of bits to an accumulator's next value, with registers on the bits that would be late.

Sums over time are all that counts, so a bit may be added one or several cycles after others of its beat:
only late bits pass a register, wherever they are, and a tile's total is there once as many cycles have
passed as any bit has registers before it. The accumulator's own bit passes none: it joins last in its
column, else its value would go round in two turns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .compressor import SUM_PS, Adder, Bit, Builder

REGISTER_PS = 105
LIMIT_PS = 465
"""No bit is to be later; with fewer stages than that takes, the limit is raised."""
LIMIT_STEP_PS = 20
REGISTER_COST = 1.43
"""Of a register, in full adders (ASAP7)."""
TRIES = 24


@dataclass(frozen=True, kw_only=True)
class StagedReduction:
    """The adders, the registers (output and input), and the bit of each column; empty: none."""

    adders: tuple[Adder, ...]
    registers: tuple[tuple[str, str], ...]
    bits: tuple[str, ...]
    depth: int
    mismatches: int

    @property
    def cost(self) -> float:
        """Roughly an area, in full adders."""
        adders = sum(1.0 if len(adder.inputs) == 3 else 0.65 for adder in self.adders)
        return adders + 0.2 * self.mismatches + REGISTER_COST * len(self.registers)


class _Staged(Builder):
    """Registers what would be late at the adder that is to take it."""

    def __init__(self, seed: int, limit: float) -> None:
        super().__init__(seed, "")
        self._limit = limit
        self._depths: dict[str, int] = {}
        self.registers: list[tuple[str, str]] = []

    @property
    def depth(self) -> int:
        return max(self._depths.values(), default=0)

    def add(self, bits: Sequence[Bit], parity: int, column: int, *, last_column: bool) -> tuple[Bit, Bit]:
        in_time = [bit if bit.arrival + SUM_PS <= self._limit else self._registered(bit) for bit in bits]
        total, carry = super().add(in_time, parity, column, last_column=last_column)
        depth = max(self._depths.get(bit.name, 0) for bit in in_time)
        self._depths[total.name] = self._depths[carry.name] = depth
        return total, carry

    def noise(self, bit: Bit) -> float:
        return super().noise(bit) + self._limit * self._depths.get(bit.name, 0)

    def _registered(self, bit: Bit) -> Bit:
        name = bit.name.replace("[", "_").replace("]", "") + "_q"
        self.registers.append((name, bit.name))
        self._depths[name] = self._depths.get(bit.name, 0) + 1
        return Bit(REGISTER_PS, name)


def _reduce(
    columns: Sequence[Sequence[Bit]], kept: Sequence[Bit], limit: float, seed: int
) -> StagedReduction:
    builder = _Staged(seed, limit)
    bits = []
    carries: list[Bit] = []
    for number, (column, own) in enumerate(zip(columns, kept, strict=True)):
        last = number == len(columns) - 1
        left, carries = builder.column([*column, *carries], number, keep=2, last_column=last)
        if left:
            total, carry = builder.add([*left, own], 0, number, last_column=last)
            carries.append(carry)
            bits.append(total.name)
        else:
            bits.append(own.name)
    return StagedReduction(
        adders=tuple(builder.adders),
        registers=tuple(builder.registers),
        bits=tuple(bits),
        depth=builder.depth,
        mismatches=builder.mismatches,
    )


def reduce_in_stages(columns: Sequence[Sequence[Bit]], kept: Sequence[Bit], stages: int) -> StagedReduction:
    """The cheapest found that adds ``columns`` to ``kept``, the accumulator's bits, modulo 2**width.

    Args:
        columns: bits to add, by weight, lowest first.
        kept: the accumulator's bit of each column, not among them.
        stages: the most registers that a bit may pass. The shortest path is sought that this allows.
    """
    limit = float(LIMIT_PS)
    while True:
        found = [_reduce(columns, kept, limit, seed) for seed in range(TRIES)]
        shallow = [one for one in found if one.depth <= stages]
        if shallow:
            return min(shallow, key=lambda one: one.cost)
        limit += LIMIT_STEP_PS
