"""What one output channel computes, as exact numbers.

With integer accumulator ``acc`` and residual level ``r``, PACT's argument in units of the output's
levels is, before rounding and saturation::

    z = scale acc + residual_scale r + offset

    scale          = n/alpha  g  s_act s_weight        g = gamma / sqrt(var + eps)
    residual_scale = n/alpha  s_residual
    offset         = n/alpha (beta - g mean)

where n = 2**bits - 1 of the output and the s are the values of one level. The parameters are
binary fractions, so everything but the square root is an exact rational number; the root is exact
where it is rational, and else has a relative error below 2**-512.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from ..golden import decode_weights
from ..spec import ActFormat, WeightFormat
from .networks import Layer

_ROOT_BITS = 512


@dataclass(frozen=True, kw_only=True)
class Affine:
    """``z = scale acc + residual_scale r + offset`` of one channel."""

    scale: Fraction
    offset: Fraction
    residual_scale: Fraction = Fraction(0)

    def at(self, acc: int, residual: int = 0) -> Fraction:
        """z, exactly."""
        return self.scale * acc + self.residual_scale * residual + self.offset


def square_root(value: Fraction) -> Fraction:
    """The root of a positive rational: exact where rational, else with a relative error < 2**-512."""
    # p/q = pq/q^2; scaled by 4**bits so that the integer root has at least 512 bits.
    product = value.numerator * value.denominator
    bits = max(0, _ROOT_BITS + 1 - product.bit_length() // 2)
    return Fraction(math.isqrt(product << (2 * bits)), value.denominator << bits)


def fold(
    layer: Layer, *, out_value: Fraction, act_value: Fraction, weight: WeightFormat, residual_value: Fraction
) -> list[Affine]:
    """The channels of ``layer``; the values are what one level of output, input, residual is worth."""
    norm = layer.norm
    assert norm is not None
    levels = 1 / out_value
    columns: Iterator[tuple[float, ...]] = zip(
        norm.weight.tolist(), norm.bias.tolist(), norm.running_mean.tolist(), norm.running_var.tolist(),  # type: ignore[union-attr]
        strict=True,
    )  # fmt: skip
    channels = []
    for gamma, beta, mean, var in columns:
        g = Fraction(gamma) / square_root(Fraction(var) + Fraction(norm.eps))
        channels.append(
            Affine(
                scale=levels * g * act_value / weight.levels,
                offset=levels * (Fraction(beta) - g * Fraction(mean)),
                residual_scale=levels * residual_value,
            )
        )
    return channels


def accumulator_intervals(
    codes: npt.NDArray[np.int64], weight: WeightFormat, act: ActFormat
) -> list[tuple[int, int]]:
    """The lowest and the highest sum that each output channel's own weights allow."""
    values = decode_weights(codes, weight).reshape(len(codes), -1)
    lows, highs = np.minimum(values, 0).sum(1) * act.max, np.maximum(values, 0).sum(1) * act.max
    return [(int(low), int(high)) for low, high in zip(lows, highs, strict=True)]
