"""What one output channel computes, as exact numbers.

With integer accumulator ``acc`` and residual level ``r``, the argument of a quantiser in units of
its own levels is, before rounding and saturation::

    z = scale acc + residual_scale r + offset

For a convolution with batch normalisation in front of PACT, with n = 2**bits - 1 of the output and
s the value of one level::

    scale          = n/alpha  g  s_act s_weight        g = gamma / sqrt(var + eps)
    residual_scale = n/alpha  s_residual
    offset         = n/alpha (beta - g mean)

The parameters are binary fractions, so everything but the square root is an exact rational number;
the root is exact where it is rational, and else has a relative error below 2**-512.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import nn

_ROOT_BITS = 512


@dataclass(frozen=True, kw_only=True)
class Affine:
    """``z = scale acc + residual_scale r + offset`` of one channel."""

    scale: Fraction
    offset: Fraction = Fraction(0)
    residual_scale: Fraction = Fraction(0)

    def at(self, acc: int, residual: int = 0) -> Fraction:
        """z, exactly."""
        return self.scale * acc + self.residual_scale * residual + self.offset

    def then(self, factor: Fraction, offset: Fraction = Fraction(0)) -> Affine:
        """``factor z + offset``."""
        return Affine(
            scale=factor * self.scale,
            offset=factor * self.offset + offset,
            residual_scale=factor * self.residual_scale,
        )


def square_root(value: Fraction) -> Fraction:
    """The root of a positive rational: exact where rational, else with a relative error < 2**-512."""
    # p/q = pq/q^2; scaled by 4**bits so that the integer root has at least 512 bits.
    product = value.numerator * value.denominator
    bits = max(0, _ROOT_BITS + 1 - product.bit_length() // 2)
    return Fraction(math.isqrt(product << (2 * bits)), value.denominator << bits)


def batch_norm(norm: nn.BatchNorm2d | nn.BatchNorm1d) -> list[tuple[Fraction, Fraction]]:
    """Factor and offset of each channel in evaluation mode: ``g x + (beta - g mean)``."""
    mean, var = norm.running_mean, norm.running_var
    assert mean is not None
    assert var is not None
    gamma = torch.ones_like(mean) if norm.weight is None else norm.weight
    beta = torch.zeros_like(mean) if norm.bias is None else norm.bias
    channels = []
    columns = (t.tolist() for t in (gamma, beta, mean, var))
    for g, b, m, v in zip(*columns, strict=True):
        factor = Fraction(g) / square_root(Fraction(v) + Fraction(norm.eps))
        channels.append((factor, Fraction(b) - factor * Fraction(m)))
    return channels
