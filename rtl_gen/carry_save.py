"""Accumulators that keep some carries for the next cycle, so that none ripples from end to end.

A carry that would come too late at a column is not added there: the register keeps two bits in that
column, and the tree adds both in the next cycle, as two more of its bits. So the loop has no long adder,
however wide the accumulator, at the price of a register and an adder for each carry that is kept. An
accumulator's register thus is a number of ``width`` bits and above these its carries, lowest column
first; what it stands for is their sum (``value``). All of it moves when sums are shifted out, and
only the row's correction adds it up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Value

from .arithmetic import named
from .compressor import Adder, Bit, Builder

LIMIT_PS = 945
"""A carry that makes a bit of the next accumulator later than this is kept for the next cycle."""
CARRY_COST = 2.8
"""Of a carry that is kept, in full adders (ASAP7): a register, a choice in shifts, an adder."""


@dataclass(frozen=True, kw_only=True)
class Accumulation:
    """The adders, the bits of the next register, and the columns of those that are kept carries."""

    adders: tuple[Adder, ...]
    bits: tuple[str, ...]
    carries: tuple[int, ...]
    arrival: float
    mismatches: int

    @property
    def cost(self) -> float:
        """Roughly an area, in full adders, and what being late weighs."""
        adders = sum(1.0 if len(adder.inputs) == 3 else 0.65 for adder in self.adders)
        late = 500 * max(0.0, self.arrival / LIMIT_PS - 1)
        return adders + 0.2 * self.mismatches + CARRY_COST * len(self.carries) + late


def _accumulate(columns: Sequence[Sequence[Bit]], kept: str, arrival: float, seed: int) -> Accumulation:
    builder = Builder(seed, "")
    width = len(columns)
    bits: list[str] = []
    above: list[str] = []
    kept_in: list[int] = []
    carries: list[Bit] = []
    latest = 0.0
    for number, column in enumerate(columns):
        last = number == width - 1
        given = [*column, Bit(arrival, f"{kept}[{number}]" if width > 1 else kept, 0), *carries]
        before = builder.mark()
        left, carries = builder.column(given, number, keep=1, last_column=last)
        if left[0].arrival > LIMIT_PS:
            builder.undo(before)
            given.append(Bit(arrival, f"{kept}[{width + len(above)}]", 0))
            left, carries = builder.column(given, number, keep=2, last_column=last)
            above.append(left[1].name)
            kept_in.append(number)
        bits.append(left[0].name)
        latest = max(latest, left[-1].arrival)
    return Accumulation(
        adders=tuple(builder.adders),
        bits=(*bits, *above),
        carries=tuple(kept_in),
        arrival=latest,
        mismatches=builder.mismatches,
    )


def accumulate(columns: Sequence[Sequence[Bit]], kept: str, arrival: float) -> Accumulation:
    """The cheapest found that adds ``columns`` (lowest first) to the register ``kept``, modulo 2**width.

    ``arrival``: when the register's bits are back at the adders. Deterministic.
    """
    tries = max(2, min(40, 4000 // max(1, sum(map(len, columns)))))
    return min((_accumulate(columns, kept, arrival, seed) for seed in range(tries)), key=lambda one: one.cost)


def words(register: Value, carries: Sequence[int]) -> list[Value]:
    """The numbers whose sum ``register`` stands for: its last bits are the ``carries`` of these columns."""
    if not carries:
        return [register]
    width = len(register) - len(carries)
    kept = dict(zip(carries, register[width:], strict=True))
    return [register[:width], Cat(*(kept.get(column, Const(0, 1)) for column in range(max(carries) + 1)))]


def value(m: Module, name: str, register: Value, carries: Sequence[int]) -> Value:
    """The number that ``register`` stands for, as wide as without the ``carries``."""
    number, *kept = words(register, carries)
    return named(m, name, number + kept[0], len(number)) if kept else number
