"""The search for the constants of ``(acc mult + r residual_mult + add) >> shift``.

For given multipliers and shift, each step of the staircase asks that the sum is at least
``level 2**shift`` at the step and below it just before, so ``add`` must lie in an interval. The
length of that interval (negative: empty) is concave in ``mult``: its maximum is found by bisection,
and so is the smallest multiplier that leaves room. The first shift with room has the smallest
multiplier there is for that staircase and ``residual_mult``.

Few steps bind. So the search works on few, looks at all of them only when it has constants for the
few, and lets those join that are violated most: what has no constants for some steps has none for
all. ``residual_mult`` is tried next to its exact value; a carried residual has ``k 2**shift``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ...golden.matmul import Int64
from ...spec import RequantiserSpec
from .affine import Affine
from .staircase import Staircase

_EXACT = 1 << 60
"""Each term of a sum stays below this, so that int64 is exact."""
_BLOCK = 1 << 21
"""Steps that are worked on at once, for want of memory."""
_OFFSETS = (0, 1, -1, 2)
"""Residual multipliers that are tried, from the floor of the exact one."""


@dataclass(frozen=True, kw_only=True)
class Constants:
    """The requantiser's constants of one layer, one value per channel."""

    mult: Int64
    add: Int64
    shift: Int64
    residual_mult: Int64


@dataclass
class _Steps:
    """Steps of several channels (channels x steps) as bounds on ``add``."""

    at: Int64
    level: Int64
    residual: Int64
    reached: npt.NDArray[np.bool_]
    missed: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, stairs: Sequence[Staircase]) -> Self:
        """All steps of ``stairs``, which are of one shape each."""
        longest = max(stair.steps.size for stair in stairs)

        def flat(
            values: list[npt.NDArray[Any]],
        ) -> npt.NDArray[Any]:  # a carried staircase may be shorter: pad it
            return np.stack([np.pad(v.ravel(), (0, longest - v.size)) for v in values])

        return cls(
            flat([s.steps for s in stairs]),
            flat([np.broadcast_to(s.levels, s.steps.shape) for s in stairs]),
            flat([np.broadcast_to(s.residuals[:, None], s.steps.shape) for s in stairs]),
            flat([s.reached for s in stairs]),
            flat([s.missed for s in stairs]),
        )

    def take(self, rows: Int64, columns: Int64 | None = None) -> _Steps:
        """Some channels, and of these some steps (channels x chosen)."""
        if columns is None:
            return _Steps(*(v[rows] for v in vars(self).values()))
        return _Steps(*(v[rows[:, None], columns] for v in vars(self).values()))

    def bounds(self, mult: Int64, residual_mult: Int64, shift: Int64, widest: int) -> tuple[Int64, Int64]:
        """What each step asks of ``add``: at least, and at most (channels x steps)."""
        m, m2, s = mult[:, None], residual_mult[:, None], shift[:, None]
        least = (self.level << s) - m * self.at - m2 * self.residual
        most = np.where(self.missed, least + m - 1, widest - 1)
        return np.where(self.reached, least, -widest), most


def _first(low: Int64, high: Int64, holds: Callable[[Int64], npt.NDArray[np.bool_]]) -> Int64:
    """Elementwise the first of ``low..high`` where ``holds`` (and it holds from there on), else ``high``."""
    while (low < high).any():
        middle = (low + high) // 2
        true = holds(middle) | (low == high)
        low, high = np.where(true, low, middle + 1), np.where(true, middle, high)
    return high


class _Search:
    """The channels of one layer, each with its own shift, residual multiplier and binding steps."""

    def __init__(self, affines: Sequence[Affine], stairs: Sequence[Staircase], spec: RequantiserSpec) -> None:
        self.affines, self.stairs, self.spec = affines, stairs, spec
        self.steps = _Steps.of(stairs)
        count, steps = self.steps.at.shape
        levels = max(max(abs(s.first), abs(s.last)) for s in stairs)
        self.max_shift = min(spec.max_shift, _EXACT.bit_length() - 2 - levels.bit_length())
        widest = (1 << (spec.mult_bits - 1)) - 1
        self.widest_add = 1 << (spec.add_bits - 1)
        self.most = np.array([min(widest, _EXACT // max(1, -s.low, s.high, -s.high)) for s in stairs])
        largest = max(max(abs(s.residual_min), abs(s.residual_max)) for s in stairs)
        self.residual_most = min(widest, _EXACT // max(1, largest))
        self.has_residual = any(affine.residual_scale for affine in affines)
        self.shift, self.trial = np.zeros((2, count), dtype=np.int64)
        self.binding = np.tile(np.unique(np.linspace(0, steps - 1, 8).astype(np.int64)), (count, 1))

    def residual_mult(self, i: int) -> int:
        """The residual multiplier of channel ``i`` at its shift and trial."""
        exact = self.affines[i].residual_scale * (1 << int(self.shift[i]))
        return math.floor(exact) + _OFFSETS[self.trial[i]]

    def trials(self, i: int) -> int:
        """How many residual multipliers there are to try."""
        return len(_OFFSETS) if self.has_residual and self.stairs[i].carried is None else 1

    def advance(self, rows: Int64) -> None:
        """Go on to the next residual multiplier, or shift."""
        for i in rows.tolist():
            self.trial[i] = (self.trial[i] + 1) % self.trials(i)
            self.shift[i] += self.trial[i] == 0

    def run(self) -> tuple[Constants, list[int]]:
        """Constants, and the channels that have none."""
        mult, add, residual_mult = np.zeros((3, len(self.stairs)), dtype=np.int64)
        left, failed = np.arange(len(self.stairs)), []
        while len(left):
            over = self.shift[left] > self.max_shift
            failed += left[over].tolist()
            left = left[~over]
            wanted = [self.residual_mult(i) for i in left.tolist()]
            fits = np.array([abs(m2) <= self.residual_most for m2 in wanted], dtype=bool)
            m2 = np.array([m if fit else 0 for m, fit in zip(wanted, fits, strict=True)], dtype=np.int64)
            residual_mult[left] = m2
            mult[left], room = self._best(left, m2)
            self.advance(left[~(room & fits)])
            trying = left[room & fits]
            if not len(trying):
                continue
            least, most = self.steps.take(trying).bounds(
                mult[trying], residual_mult[trying], self.shift[trying], self.widest_add
            )
            low, high = least.max(axis=1), most.min(axis=1)
            solved = low <= high
            add[trying] = np.clip(0, low, np.maximum(low, high))  # the one nearest to 0
            worst = np.stack([least.argmax(axis=1), most.argmin(axis=1)], axis=1)
            grown = np.repeat(self.binding[:, :1], 2, axis=1)
            grown[trying[~solved]] = worst[~solved]
            if not solved.all():
                self.binding = np.concatenate([self.binding, grown], axis=1)
            left = np.setdiff1d(left, trying[solved])
        signs = np.array([stair.sign for stair in self.stairs], dtype=np.int64)
        found = Constants(mult=signs * mult, add=add, shift=self.shift, residual_mult=residual_mult)
        return found, sorted(failed)

    def _best(self, rows: Int64, residual_mult: Int64) -> tuple[Int64, npt.NDArray[np.bool_]]:
        """The smallest multipliers that leave room for ``add`` at the binding steps; where there are any."""
        few, shift = self.steps.take(rows, self.binding[rows]), self.shift[rows]

        def length(m: Int64) -> Int64:
            least, most = few.bounds(m, residual_mult, shift, self.widest_add)
            room: Int64 = most.min(axis=1) - least.max(axis=1)
            return room

        none = np.zeros(len(rows), dtype=np.int64)
        peak = _first(none, self.most[rows], lambda m: length(m + 1) <= length(m))
        best = _first(none, peak, lambda m: length(m) >= 0)
        return best, length(best) >= 0


def search(
    affines: Sequence[Affine], stairs: Sequence[Staircase], spec: RequantiserSpec
) -> tuple[Constants, list[int]]:
    """Constants with the smallest shift for every channel of a layer, and the channels that have none."""
    count = max(1, _BLOCK // max(stair.steps.size for stair in stairs))
    blocks = [slice(start, start + count) for start in range(0, len(stairs), count)]
    found, failed = [], []
    for block in blocks:
        constants, without = _Search(affines[block], stairs[block], spec).run()
        found.append(constants)
        failed += [block.start + i for i in without]
    joined = {name: np.concatenate([getattr(c, name) for c in found]) for name in vars(found[0])}
    return Constants(**joined), failed
