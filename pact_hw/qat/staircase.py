"""The requantiser as what it is: a staircase, given by its thresholds.

A channel's level is ``clip(round(z), 0, limit)``, half to even, of the exact number z. For each
residual level r and each j in 1..limit there is one accumulator at which the level reaches j. All
thresholds are those of the accumulator times ``sign``, so that levels rise with it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..golden.matmul import Int64
from .folding import Affine

MAX_STEPS = 1 << 22
"""Thresholds of one channel that are still worked out: all residual levels together."""


def check_size(layer: str, *, limit: int, residual_max: int) -> None:
    """Refuse, with InputError, a layer whose staircases have too many thresholds to be proved."""
    if (residual_max + 1) * limit > MAX_STEPS:
        raise InputError(
            f"layer {layer!r}: {limit} levels of the output for each of {residual_max + 1} residual "
            f"levels are too many to be proved (at most {MAX_STEPS} together); use fewer bits"
        )


@dataclass(frozen=True, kw_only=True)
class Staircase:
    """One channel: level >= j exactly where ``sign acc >= steps[r, j - 1]``.

    ``steps`` is residual levels x limit, clipped to ``low .. high + 1``, where low and high bound
    ``sign acc``: a step at ``low`` is reached by every accumulator, one at ``high + 1`` by none.
    """

    sign: int
    low: int
    high: int
    steps: Int64

    @property
    def reached(self) -> npt.NDArray[np.bool_]:
        """Where some accumulator reaches the level."""
        return self.steps <= self.high

    @property
    def missed(self) -> npt.NDArray[np.bool_]:
        """Where some accumulator stays below the level."""
        return self.steps > self.low


def staircase(affine: Affine, interval: tuple[int, int], *, limit: int, residual_max: int = 0) -> Staircase:
    """The thresholds of one channel whose accumulators lie in ``interval``."""
    sign = -1 if affine.scale < 0 else 1
    low, high = sorted(sign * bound for bound in interval)
    # z = (p acc + r q + o) / d in integers, with acc times sign and so p >= 0.
    fractions = (affine.scale, affine.residual_scale, affine.offset)
    d = math.lcm(*(fraction.denominator for fraction in fractions))
    p, r, o = (fraction.numerator * (d // fraction.denominator) for fraction in fractions)
    p = abs(p)

    def step(j: int, q: int) -> int:
        # The tie z = j - 1/2 rounds to the even one of j - 1 and j: up to j where j is even.
        need = (2 * j - 1) * d - 2 * (o + r * q)  # the level is j or more where 2 p acc >= need
        if p == 0:
            return low if need < 0 or (need == 0 and j % 2 == 0) else high + 1
        first = need // (2 * p) + 1 if j % 2 else -(-need // (2 * p))
        return min(max(first, low), high + 1)

    steps = [[step(j, q) for j in range(1, limit + 1)] for q in range(residual_max + 1)]
    return Staircase(sign=sign, low=low, high=high, steps=np.array(steps, dtype=np.int64))
