"""Requantiser constants to test with: the extreme ones, and random ones that make levels of all kinds."""

from __future__ import annotations

import numpy as np

from pact_hw.spec import HardwareSpec, RequantiserKind, RequantiserSpec, accumulator_range

from .scales import Int64, Scale, Thresholds

Constants = tuple[Scale | Thresholds, Int64]
"""Constants of all channels, and residual levels M x N."""


def extreme(spec: HardwareSpec, requantiser: RequantiserSpec, m: int, n: int) -> Constants:
    """The largest constants of both signs, channel by channel; or thresholds that all sums reach, or none."""
    residual = np.full((m, n), (1 << requantiser.residual_bits) - 1, dtype=np.int64)
    sign = np.where(np.arange(n) % 2, -1, 1)
    if requantiser.kind is RequantiserKind.THRESHOLD:
        far = np.where(np.arange(n) // 2 % 2, 1, -1) << 61
        each = np.tile(far[:, None, None], (1, requantiser.threshold_sets, requantiser.steps))
        return Thresholds(thresholds=each, sign=sign), residual
    scale = Scale(
        mult=sign * _largest_mult(spec, requantiser),
        add=sign * ((1 << min(requantiser.add_bits - 1, 61)) - 1),
        shift=np.where(np.arange(n) % 3, requantiser.max_shift, 0),
        residual_mult=-sign * _largest_mult(spec, requantiser),
        limit=(1 << requantiser.level_bits) - 1,
    )
    return scale, residual


def spread(
    spec: HardwareSpec, requantiser: RequantiserSpec, sums: Int64, rng: np.random.Generator
) -> Constants:
    """Random constants that spread ``sums`` (M x N) over the levels."""
    residual = rng.integers(0, 1 << requantiser.residual_bits, sums.shape)
    if requantiser.kind is RequantiserKind.THRESHOLD:
        return _among(requantiser, sums, rng), residual
    n = sums.shape[1]
    largest = _largest_mult(spec, requantiser)
    mult, residual_mult = rng.integers(-largest, largest + 1, (2, n))
    # Of every third channel the residual alone, unshifted: each bit of it counts.
    mult[2::3] = 0
    bits = np.array(
        [(int(s) * abs(int(f))).bit_length() for s, f in zip(np.abs(sums).max(axis=0) + 1, mult, strict=True)]
    )
    shift = np.clip(bits - requantiser.level_bits + rng.integers(-1, 2, n), 0, requantiser.max_shift)
    add = rng.integers(-(1 << (requantiser.add_bits - 1)), 1 << (requantiser.add_bits - 1), n)
    add >>= np.maximum(requantiser.add_bits - 1 - np.maximum(bits, 1), 0)
    # Of every fourth any shift, and little else: sums far above the highest level, a few bits of them set.
    shift[3::4] = rng.integers(0, requantiser.max_shift + 1, len(shift[3::4]))
    mult[3::4] = np.minimum(1 << rng.integers(0, requantiser.mult_bits - 1, len(mult[3::4])), largest)
    add[3::4] >>= rng.integers(0, requantiser.add_bits, len(add[3::4]))
    scale = Scale(
        mult=mult,
        add=np.clip(add, -(1 << 61), 1 << 61),
        shift=shift,
        residual_mult=residual_mult,
        limit=int(rng.integers(0, 1 << requantiser.level_bits)),
    )
    return scale, residual


def _among(requantiser: RequantiserSpec, sums: Int64, rng: np.random.Generator) -> Thresholds:
    """Thresholds among ``sums``, some of which are met exactly; every second time as many as there can be."""
    m, n = sums.shape
    steps = requantiser.steps if rng.integers(2) else int(rng.integers(1, requantiser.steps + 1))
    chosen = rng.integers(0, m, (n, requantiser.threshold_sets, steps))
    sign = np.where(rng.integers(0, 2, n), 1, -1)
    met = sums[chosen, np.arange(n)[:, None, None]] * sign[:, None, None]
    near = rng.choice((-3, -1, 0, 0, 1, 3), met.shape)
    return Thresholds(thresholds=np.sort(met + near), sign=sign)


def _largest_mult(spec: HardwareSpec, requantiser: RequantiserSpec) -> int:
    """The largest multiplier that fits its port, and the reference's 64 bits with every accumulator."""
    low, high = accumulator_range(spec.act, spec.weight, spec.max_reduction)
    return min((1 << (requantiser.mult_bits - 1)) - 1, (1 << 62) // max(-low, high, 1))
