"""Columns of bits to one number: full adders, column by column, then a carry-propagating adder.

Column i holds bits of weight 2**i. In each column, lowest first, the three bits that are there first
go through a full adder: its sum stays in the column, its carry goes to the next, until one bit is
left. That is tree and ripple adder in one, and has the fewest adders: each takes one bit away. Where
rippling to the top would take too long, the upper columns stop at two bits, and a word-wide ``+``
adds these.

Times are those of ASAP7's cells, in ps; only their ratios matter for what is built.
"""

from __future__ import annotations

import random
from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass, field

SUM_PS, CARRY_PS, HALF_PS = 65, 41, 25
FAST_ADDER_PS, FAST_ADDER_STEP_PS = 60, 55
"""A ``+`` of n bits as synthesis builds it: the first, and the second for each doubling of n."""
LIMIT_PS = 965
"""A reduction that is later than this by the model is made faster with ``+``."""
WRONG_PARITY_PS, FREE_BIT_PS = (60, 20, 0), 8
"""What an inverter, and the use of a bit that fits anywhere, weigh against time; tried in turn."""


@dataclass(frozen=True, order=True)
class Bit:
    """A one-bit signal, the time at which it is there, and the parity of the adders it has passed.

    Many libraries' adders invert both outputs. As a full adder is self-dual, adders of alternate
    parity need no inverters between them, so bits of one parity are added first. None: any parity.
    """

    arrival: float
    name: str
    parity: int | None = field(default=None, compare=False)


@dataclass(frozen=True, kw_only=True)
class Adder:
    """A full adder (three inputs) or a half adder (two). ``carry`` is empty where nothing needs it."""

    inputs: tuple[str, ...]
    sum: str
    carry: str


@dataclass(frozen=True, kw_only=True)
class Reduction:
    """The adders, and what is left: one bit in the columns below ``split``, at most two above.

    Column ``split`` may have a third, the carry into the upper columns. A missing bit is zero.
    """

    adders: tuple[Adder, ...]
    columns: tuple[tuple[str, ...], ...]
    split: int
    arrival: float
    mismatches: int
    arrivals: tuple[float, ...] = ()
    """Of each column's result."""

    @property
    def cost(self) -> float:
        """Roughly an area, in full adders: what trees are chosen by."""
        adders = sum(1.0 if len(adder.inputs) == 3 else 0.65 for adder in self.adders)
        return adders + 0.2 * self.mismatches + 2.0 * (len(self.columns) - self.split)


class _Column:
    """The bits of one column, those of each parity in the order in which they are to be added."""

    def __init__(self, wrong_parity: float) -> None:
        self._wrong_parity = wrong_parity
        self._pools: dict[int | None, list[tuple[float, Bit]]] = {0: [], 1: [], None: []}

    def __len__(self) -> int:
        return sum(map(len, self._pools.values()))

    def put(self, bit: Bit, noise: float) -> None:
        insort(self._pools[bit.parity], (bit.arrival + noise, bit))

    def bits(self) -> list[Bit]:
        return sorted(bit for pool in self._pools.values() for _, bit in pool)

    def take(self, count: int, parity: int) -> list[Bit]:
        """Remove ``count`` bits, of ``parity`` (or any parity) as far as there are."""
        fitting = sorted(self._pools[parity][:count] + self._pools[None][:count])
        picked = (fitting + self._pools[1 - parity][:count])[:count]
        for entry in picked:
            self._pools[entry[1].parity].remove(entry)
        return [bit for _, bit in picked]

    def best_parity(self) -> int:
        """The parity of the adder that is to take the next three bits."""
        keys = []
        for parity in (0, 1):
            fitting = sorted(self._pools[parity][:3] + self._pools[None][:3])
            picked = (fitting + self._pools[1 - parity][:3])[:3]
            wrong = max(0, 3 - len(fitting)) * self._wrong_parity
            free = sum(bit.parity is None for _, bit in picked) * FREE_BIT_PS
            keys.append((wrong + free + max(when for when, _ in picked), parity))
        return min(keys)[1]


class Builder:
    """Places adders, and keeps account of when each bit is there."""

    def __init__(self, seed: int, label: str) -> None:
        self._label = label
        self._random = random.Random(seed)  # noqa: S311 - tie-breaks, not secrets
        self._jitter = (0, 5, 20, 60)[seed // 3 % 4]
        self._wrong_parity = WRONG_PARITY_PS[seed % 3]
        self.adders: list[Adder] = []
        self.mismatches = 0

    def add(self, bits: Sequence[Bit], parity: int, column: int, *, last_column: bool) -> tuple[Bit, Bit]:
        """An adder of two or three ``bits`` with this parity: its sum and its carry."""
        self.mismatches += sum(bit.parity not in (None, parity) for bit in bits)
        ready = max(bit.arrival for bit in bits)
        name = f"{self._label}{column}_{len(self.adders)}"
        full = len(bits) == 3
        total = Bit(ready + (SUM_PS if full else HALF_PS), f"sum_{name}", 1 - parity)
        carry = Bit(ready + (CARRY_PS if full else HALF_PS), f"carry_{name}", 1 - parity)
        names = tuple(bit.name for bit in sorted(bits))  # the latest at the last, fastest input
        self.adders.append(Adder(inputs=names, sum=total.name, carry="" if last_column else carry.name))
        return total, carry

    def mark(self) -> tuple[int, int]:
        """What ``undo`` takes to forget all that is placed from now on."""
        return len(self.adders), self.mismatches

    def undo(self, mark: tuple[int, int]) -> None:
        """Forget what was placed since ``mark``."""
        del self.adders[mark[0] :]
        self.mismatches = mark[1]

    def noise(self, bit: Bit) -> float:
        """What is added to the arrival of ``bit`` where the order of addition is chosen."""
        return self._random.random() * self._jitter

    def column(
        self, bits: Sequence[Bit], number: int, *, keep: int, last_column: bool
    ) -> tuple[list[Bit], list[Bit]]:
        """At most ``keep`` bits that are left in the column, and the carries."""
        left, carries = _Column(self._wrong_parity), []
        for bit in bits:
            left.put(bit, self.noise(bit))
        while len(left) > keep:
            # The last to come, a carry mostly, is kept, lest it ripple through all the columns above.
            count = 2 if len(left) == keep + 1 else 3
            parity = left.best_parity() if count == 3 else 0
            total, carry = self.add(left.take(count, parity), parity, number, last_column=last_column)
            left.put(total, self.noise(total))
            carries.append(carry)
        return left.bits(), carries


def _reduce(columns: Sequence[Sequence[Bit]], split: int, seed: int, label: str) -> Reduction:
    builder = Builder(seed, label)
    width = len(columns)
    rest: list[list[Bit]] = []
    carries: list[Bit] = []
    for number, bits in enumerate(columns):
        keep = 1 if number < split else 3 if number == split else 2
        left, carries = builder.column([*bits, *carries], number, keep=keep, last_column=number == width - 1)
        rest.append(sorted(left))
    arrivals = [max((bit.arrival for bit in bits), default=0.0) for bits in rest]
    if split < width:
        doublings = (width - split - 1).bit_length()
        upper = max(arrivals[split:]) + FAST_ADDER_PS + FAST_ADDER_STEP_PS * doublings
        arrivals[split:] = [upper] * (width - split)
    return Reduction(
        adders=tuple(builder.adders),
        columns=tuple(tuple(bit.name for bit in bits) for bits in rest),
        split=split,
        arrival=max(arrivals, default=0.0),
        arrivals=tuple(arrivals),
        mismatches=builder.mismatches,
    )


def reduce_columns(columns: Sequence[Sequence[Bit]], label: str = "") -> Reduction:
    """The cheapest reduction found of ``columns`` (lowest first) to one number modulo 2**width.

    As few columns as possible are left to ``+``: none where rippling is in time. Deterministic.
    ``label`` is in the names of all adders' outputs.
    """
    low, high = 0, len(columns)
    best = _reduce(columns, high, 0, label)
    while best.arrival > LIMIT_PS and high - low > 1:
        middle = (low + high) // 2
        reduction = _reduce(columns, middle, 0, label)
        if reduction.arrival < best.arrival:
            best = reduction
        if reduction.arrival <= LIMIT_PS:
            low = middle
        else:
            high = middle
    tries = max(2, min(40, 4000 // max(1, sum(map(len, columns)))))
    candidates = [best, *(_reduce(columns, best.split, seed, label) for seed in range(1, tries))]
    return min(candidates, key=lambda one: one.cost + 100 * max(0.0, one.arrival / LIMIT_PS - 1))
