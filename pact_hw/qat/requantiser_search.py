"""The search for the constants of ``(acc mult + r residual_mult + add) >> shift``.

For given multipliers and shift, each step of the staircase asks that the sum is at least
``j 2**shift`` at the step and below it just before, so ``add`` must lie in an interval. The length
of that interval (negative: empty) is concave in the multipliers. Without a residual operand its
maximum over all multipliers is found by bisection, and the first shift at which it is not negative
is the smallest one there is, with the smallest multiplier for it; with a residual operand,
multipliers next to the exact ones are tried.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..golden.matmul import Int64
from ..spec import RequantiserSpec
from .folding import Affine
from .staircase import Staircase

_EXACT = 1 << 61
"""Sums stay below this, so that int64 is exact."""


@dataclass(frozen=True, kw_only=True)
class Constants:
    """The requantiser's constants of one layer, one value per channel."""

    mult: Int64
    add: Int64
    shift: Int64
    residual_mult: Int64


class _Bounds:
    """The steps of several channels, as bounds on ``add``."""

    def __init__(self, stairs: Sequence[Staircase], rows: Sequence[int], spec: RequantiserSpec) -> None:
        self.steps = np.stack([stair.steps[rows] for stair in stairs])  # channels x residual levels x limit
        self.reached = np.stack([stair.reached[rows] for stair in stairs])
        self.missed = np.stack([stair.missed[rows] for stair in stairs])
        self.residual = np.asarray(rows, dtype=np.int64)[:, None]
        self.level = np.arange(1, self.steps.shape[2] + 1)
        self.widest = 1 << (spec.add_bits - 1)

    def interval(self, mult: Int64, residual_mult: Int64, shift: int) -> tuple[Int64, Int64]:
        """The lowest and the highest ``add`` per channel for multipliers (one per channel)."""
        m = mult[:, None, None]
        least = (self.level << shift) - m * self.steps - residual_mult[:, None, None] * self.residual
        low = np.where(self.reached, least, -self.widest).max(axis=(1, 2), initial=-self.widest)
        high = np.where(self.missed, least + m - 1, self.widest - 1).min(axis=(1, 2), initial=self.widest - 1)
        return low, high

    def best(self, low: Int64, high: Int64, residual_mult: Int64, shift: int) -> Int64:
        """The smallest multiplier in ``low..high`` that leaves room for ``add``, if there is one."""

        def length(m: Int64) -> Int64:
            least, most = self.interval(m, residual_mult, shift)
            return most - least

        peak = _first(low, high, lambda m: length(m + 1) <= length(m))
        return _first(low, peak, lambda m: length(m) >= 0)


def _first(low: Int64, high: Int64, holds: Callable[[Int64], npt.NDArray[np.bool_]]) -> Int64:
    """Elementwise the first of ``low..high`` where ``holds`` (and it holds from there on), else ``high``."""
    while (low < high).any():
        middle = (low + high) // 2
        true = holds(middle) | (low == high)
        low, high = np.where(true, low, middle + 1), np.where(true, middle, high)
    return high


def _scaled(values: Sequence[Fraction], shift: int, widest: Int64) -> Int64:
    """Each value times 2**shift, floored, within +-widest."""
    floors = [math.floor(value * (1 << shift)) for value in values]
    ends = [(f, int(w)) for f, w in zip(floors, widest, strict=True)]
    return np.array([max(-w, min(f, w)) for f, w in ends], dtype=np.int64)


def _at_shift(
    channels: Sequence[tuple[Affine, Staircase]], rows: Sequence[int], shift: int, spec: RequantiserSpec
) -> tuple[npt.NDArray[np.bool_], Int64]:
    """Which ``channels`` have constants for the residual levels ``rows``, and these constants.

    The constants are (mult, add, residual_mult) x channels, for accumulators times ``sign``.
    """
    affines, stairs = zip(*channels, strict=True)
    bounds = _Bounds(stairs, rows, spec)
    mult_max = (1 << (spec.mult_bits - 1)) - 1
    most = np.array([min(mult_max, _EXACT // max(1, -s.low, s.high, -s.high)) for s in stairs])
    residual_most = np.full(len(stairs), min(mult_max, _EXACT // len(stairs[0].steps)))
    low, high = most * 0, most
    residual_offsets: tuple[int, ...] = (0,)
    if len(stairs[0].steps) > 1:
        near = _scaled([abs(affine.scale) for affine in affines], shift, most)
        low, high = np.clip(near - 3, 0, most), np.clip(near + 4, 0, most)
        residual_offsets = (0, 1, -1, 2)
    residual_near = _scaled([affine.residual_scale for affine in affines], shift, residual_most)
    solved = np.zeros(len(stairs), dtype=bool)
    found = np.zeros((3, len(stairs)), dtype=np.int64)
    for offset in residual_offsets:
        residual_mult = np.clip(residual_near + offset, -residual_most, residual_most)
        mult = bounds.best(low, high, residual_mult, shift)
        least, greatest = bounds.interval(mult, residual_mult, shift)
        new = ~solved & (least <= greatest)
        add = np.clip(0, least, np.maximum(least, greatest))  # the one nearest to 0
        found[:, new] = np.stack([mult, add, residual_mult])[:, new]
        solved |= new
    return solved, found


def search(
    layer: str, affines: Sequence[Affine], stairs: Sequence[Staircase], spec: RequantiserSpec
) -> Constants:
    """Constants with the smallest shift for every channel of ``layer``.

    Raises:
        InputError: a channel has none within ``spec``; it is named.
    """
    residual_levels, limit = stairs[0].steps.shape
    everything = range(residual_levels)
    few = sorted({0, residual_levels - 1})  # a shift that fails for these needs no further look
    stages: list[Sequence[int]] = [everything] if residual_levels <= 2 else [few, everything]
    signs = np.array([stair.sign for stair in stairs], dtype=np.int64)
    mult, add, shifts, residual_mult = np.zeros((4, len(stairs)), dtype=np.int64)
    remaining = np.arange(len(stairs))
    for shift in range(min(spec.max_shift, _EXACT.bit_length() - 1 - limit.bit_length()) + 1):
        trying, found = remaining, np.zeros((3, 0), dtype=np.int64)
        for rows in stages:
            if len(trying):
                solved, found = _at_shift(
                    [(affines[i], stairs[i]) for i in trying.tolist()], rows, shift, spec
                )
                trying, found = trying[solved], found[:, solved]
        mult[trying], add[trying], residual_mult[trying] = found[:, : len(trying)]
        shifts[trying] = shift
        remaining = np.setdiff1d(remaining, trying)
        if not len(remaining):
            return Constants(mult=signs * mult, add=add, shift=shifts, residual_mult=residual_mult)
    raise InputError(
        f"layer {layer!r}, channel {remaining[0]}: no exact requantiser with multipliers of "
        f"{spec.mult_bits} bits, an addend of {spec.add_bits} and a shift up to {spec.max_shift}"
    )
