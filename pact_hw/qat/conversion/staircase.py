"""The requantiser as what it is: a staircase, given by its thresholds.

A channel's level is ``clip(round(z), lowest, highest)``, half to even, of the exact number z. For
each residual level r and each level j above the lowest there is one accumulator at which the level
reaches j. All thresholds are those of the accumulator times ``sign``, so that levels rise with it.

Where the residual operand is worth a whole number k of output levels (a residual stream of one
scale), and no accumulator gives an exact tie, ``round(z(acc, r)) = round(z(acc, 0)) + k r``: then
one row of steps, over as many more levels, describes all residual levels (``carried`` is k).
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from ...errors import InputError
from ...golden.matmul import Int64
from ...spec import ActFormat
from .affine import Affine

MAX_STEPS = 1 << 22
"""Thresholds of one channel that are still worked out: all residual levels together."""


class Rounding(enum.Enum):
    """What becomes of an exact tie."""

    HALF_EVEN = "half-even"
    """PACT's, which is torch's."""
    HALF_UP = "half-up"
    """What one multiplication and a flooring shift can do."""


@dataclass(frozen=True, kw_only=True)
class Staircase:
    """One channel: level >= first + j exactly where ``sign acc >= steps[r - residual_min, j - 1]``.

    ``steps`` is residual levels x (levels - 1), clipped to ``low .. high + 1``, where low and high
    bound ``sign acc``: a step at ``low`` is reached by every accumulator, one at ``high + 1`` by none.
    ``carried`` k: the level is ``clip(staircase(acc) + k r)``, for all r.
    """

    sign: int
    low: int
    high: int
    first: int
    steps: Int64
    residual_min: int = 0
    residual_max: int = 0
    carried: int | None = None

    @property
    def last(self) -> int:
        """The highest level."""
        return self.first + int(self.steps.shape[1])

    @property
    def levels(self) -> Int64:
        """The level that each step reaches."""
        return np.arange(self.first + 1, self.last + 1)

    @property
    def residuals(self) -> Int64:
        """The residual level of each row; where it is carried, the one row is that of level 0."""
        if self.carried is not None:
            return np.zeros(1, dtype=np.int64)
        return np.arange(self.residual_min, self.residual_min + len(self.steps))

    @property
    def reached(self) -> npt.NDArray[np.bool_]:
        """Where some accumulator reaches the level."""
        return self.steps <= self.high

    @property
    def missed(self) -> npt.NDArray[np.bool_]:
        """Where some accumulator stays below the level."""
        return self.steps > self.low


class _Line:
    """``z = (p acc + q r + o) / d`` in integers, p >= 0, and the accumulators at which it reaches levels."""

    def __init__(self, affine: Affine, interval: tuple[int, int], rounding: Rounding) -> None:
        fractions = (abs(affine.scale), affine.residual_scale, affine.offset)
        self.d = math.lcm(*(fraction.denominator for fraction in fractions))
        p, q, o = (int(f * self.d) for f in fractions)
        self.p, self.q, self.o = p, q, o
        self.low, self.high = interval
        self.even = rounding is Rounding.HALF_EVEN
        self.tied = False
        """Whether an accumulator was met that lies exactly between two levels."""

    def step(self, level: int, residual: int) -> int:
        """The first accumulator at ``level`` or above, clipped to ``low .. high + 1``."""
        # The tie z = level - 1/2 rounds to the even one of level - 1 and level.
        up = not self.even or level % 2 == 0
        need = (2 * level - 1) * self.d - 2 * (self.o + self.q * residual)  # at level where 2 p acc >= need
        if self.p == 0:
            self.tied |= need == 0
            return self.low if need < 0 or (need == 0 and up) else self.high + 1
        first: int = need // (2 * self.p)
        rest = need % (2 * self.p)
        self.tied |= rest == 0 and self.low <= first <= self.high
        if rest or not up:
            first += 1
        return min(max(first, self.low), self.high + 1)

    def steps(self, levels: Int64, residuals: Int64) -> Int64:
        """All steps, residuals x levels."""
        found = np.zeros((len(residuals), len(levels)), dtype=np.int64)
        exact = np.ones(found.shape, dtype=bool)
        if self.p:
            found, exact = self._approximate(levels, residuals)
        for i, j in np.argwhere(exact).tolist():
            found[i, j] = self.step(int(levels[j]), int(residuals[i]))
        return found

    def _approximate(self, levels: Int64, residuals: Int64) -> tuple[Int64, npt.NDArray[np.bool_]]:
        """Steps in fixed point, and where they are too near to an integer to be trusted."""
        factors = (
            Fraction(self.d, self.p),
            Fraction(-self.q, self.p),
            -Fraction(self.d + 2 * self.o, 2 * self.p),
        )
        largest = (int(np.abs(levels).max(initial=0)), int(np.abs(residuals).max(initial=0)), 1)
        size = sum(math.ceil(abs(f)) * n for f, n in zip(factors, largest, strict=True))
        bits, error = 61 - size.bit_length(), sum(largest)  # each factor is wrong by half a unit at most
        if bits < error.bit_length() + 3:
            shape = (len(residuals), len(levels))
            return np.zeros(shape, dtype=np.int64), np.ones(shape, dtype=bool)
        per_level, per_residual, constant = (round(f * (1 << bits)) for f in factors)
        x = per_level * levels + (per_residual * residuals + constant)[:, None]
        found, rest = (x >> bits) + 1, x & ((1 << bits) - 1)
        near = (rest <= error) | (rest >= (1 << bits) - error)
        near &= (found >= self.low - 1) & (found <= self.high + 2)
        return np.clip(found, self.low, self.high + 1), near


def _ends(affine: Affine, interval: tuple[int, int]) -> tuple[int, int, int]:
    """Sign, lowest and highest accumulator times it."""
    sign = -1 if affine.scale < 0 else 1
    low, high = sorted(sign * bound for bound in interval)
    return sign, low, high


def full_staircase(
    affine: Affine,
    interval: tuple[int, int],
    *,
    out: ActFormat,
    residual: ActFormat | None = None,
    rounding: Rounding = Rounding.HALF_EVEN,
) -> Staircase:
    """The thresholds of one channel whose accumulators lie in ``interval``: a row a residual level.

    Raises:
        InputError: there are too many to be worked out.
    """
    sign, low, high = _ends(affine, interval)
    lowest, highest = (0, 0) if residual is None else (residual.min, residual.max)
    residuals = np.arange(lowest, highest + 1)
    if len(residuals) * (out.max - out.min) > MAX_STEPS:
        raise InputError(
            f"{out.max - out.min} steps of the output for each of {len(residuals)} residual levels are too "
            f"many to be proved (at most {MAX_STEPS} together); use fewer bits, or one scale for both"
        )
    line = _Line(affine, (low, high), rounding)
    steps = line.steps(np.arange(out.min + 1, out.max + 1), residuals)
    return Staircase(
        sign=sign, low=low, high=high, first=out.min, steps=steps, residual_min=lowest, residual_max=highest
    )


def carried_staircase(
    affine: Affine,
    interval: tuple[int, int],
    *,
    out: ActFormat,
    residual: ActFormat,
    rounding: Rounding = Rounding.HALF_EVEN,
) -> Staircase | None:
    """The same in one row, where the residual's levels are carried; None where they are not."""
    if affine.residual_scale.denominator != 1 or affine.residual_scale <= 0:
        return None
    sign, low, high = _ends(affine, interval)
    carried = int(affine.residual_scale)
    lowest, highest = out.min - carried * residual.max, out.max - carried * residual.min
    # Levels that no accumulator comes near to need no step.
    first = min(max(math.floor(affine.at(sign * low)) - 1, lowest), highest - 1)
    last = max(min(math.floor(affine.at(sign * high)) + 2, highest), lowest + 1)
    if last - first > MAX_STEPS:
        return None
    line = _Line(affine, (low, high), rounding)
    steps = line.steps(np.arange(first + 1, last + 1), np.zeros(1, dtype=np.int64))
    if line.tied and rounding is Rounding.HALF_EVEN:
        return None  # which way a tie goes depends on the residual
    return Staircase(
        sign=sign, low=low, high=high, first=first, steps=steps,
        residual_min=residual.min, residual_max=residual.max, carried=carried,
    )  # fmt: skip


def staircase(
    affine: Affine,
    interval: tuple[int, int],
    *,
    out: ActFormat,
    residual: ActFormat | None = None,
    rounding: Rounding = Rounding.HALF_EVEN,
) -> Staircase:
    """The shorter of the two.

    Raises:
        InputError: it has too many thresholds to be worked out.
    """
    if residual is not None:
        carried = carried_staircase(affine, interval, out=out, residual=residual, rounding=rounding)
        if carried is not None:
            return carried
    return full_staircase(affine, interval, out=out, residual=residual, rounding=rounding)
