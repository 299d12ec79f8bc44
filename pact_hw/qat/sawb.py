"""SAWB weights: a clip from the weights' own statistics.

Choi et al., "Accurate and Efficient 2-bit Quantized Neural Networks", SysML 2019:
``a = c1 sqrt(E[w^2]) - c2 E|w|``, or ``max|w|`` where that is not positive. The coefficients were
fitted so that a is the clip with the least squared error over common distributions.
"""

from __future__ import annotations

import enum
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError
from ..spec import WeightEncoding
from .weights import WeightQuantiser, largest


class Levels(enum.Enum):
    """Which levels the weights have."""

    ODD = "odd"
    """``2**bits`` levels without zero: the odd integers -n..n, n = 2**bits - 1."""
    SYMMETRIC = "symmetric"
    """``2**bits - 1`` levels with zero: all integers -n..n, n = 2**(bits - 1) - 1."""


class WeightGradient(enum.Enum):
    """The gradient of the weights outside the clip; inside ``-a..a`` it passes unchanged."""

    CLIPPED = "clipped"
    """0, as in SAWB."""
    FREE = "free"
    """Unchanged: the clip-free variant."""


# Published for 2, 3, 4, 5, 8 bits (odd) and 2, 4, 8 bits (symmetric). The others come from the same
# fit, done again over the normal, uniform, Laplace, logistic, triangular and von Mises
# distributions; it gives the published ones within 6 % (tests/qat/test_sawb.py).
COEFFICIENTS: dict[Levels, dict[int, tuple[float, float]]] = {
    Levels.ODD: {
        2: (3.12, 2.064),
        3: (7.509, 6.892),
        4: (12.68, 12.80),
        5: (17.74, 18.64),
        6: (22.14, 23.95),  # fitted here
        7: (27.16, 29.89),  # fitted here
        8: (31.76, 35.04),
    },
    Levels.SYMMETRIC: {
        2: (2.6, 1.71),
        3: (6.945, 6.308),  # fitted here
        4: (12.035, 12.03),
        5: (16.92, 17.80),  # fitted here
        6: (22.11, 23.91),  # fitted here
        7: (27.00, 29.71),  # fitted here
        8: (31.76, 35.04),
    },
}
"""(c1, c2) by kind of levels and bits."""


@torch.no_grad()
def sawb_clip(weight: Tensor, bits: int, levels: Levels = Levels.ODD) -> Tensor:
    """The clip a (no dimensions, positive)."""
    c1, c2 = COEFFICIENTS[levels][bits]
    a = c1 * weight.square().mean().sqrt() - c2 * weight.abs().mean()
    # The difference cancels: with few distinct weights it can be 0 or less.
    return torch.where(a > 0, a, largest(weight))


class _Sawb(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, bits: int, levels: Levels, gradient: WeightGradient) -> Tensor:
        a = sawb_clip(weight, bits, levels)
        ctx.gradient = gradient
        ctx.save_for_backward(weight, a)
        if levels is Levels.ODD:
            n = (1 << bits) - 1
            return (2 * _odd_code(weight, a, n) / n - 1) * a
        n = (1 << (bits - 1)) - 1
        return _symmetric_level(weight, a, n) * a / n

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        (gradient,) = gradients
        weight, a = ctx.saved_tensors
        if ctx.gradient is WeightGradient.CLIPPED:
            gradient = torch.where(weight.abs() <= a, gradient, 0.0)
        return gradient, None, None, None


def _odd_code(weight: Tensor, a: Tensor, n: int) -> Tensor:
    """``round(n (y / (2 a) + 1/2))``, y clipped to -a..a: 0..n."""
    return (n * (torch.clamp(weight, -a, a) / (2 * a) + 0.5)).round()


def _symmetric_level(weight: Tensor, a: Tensor, n: int) -> Tensor:
    """``round(y n / a)``, y clipped to -a..a: -n..n."""
    return (torch.clamp(weight, -a, a) * n / a).round()


def sawb(
    weight: Tensor,
    bits: int,
    levels: Levels = Levels.ODD,
    gradient: WeightGradient = WeightGradient.CLIPPED,
) -> Tensor:
    """The quantised weights, in [-a, a]."""
    result: Tensor = _Sawb.apply(weight, bits, levels, gradient)  # type: ignore[no-untyped-call]
    return result


class SAWB(WeightQuantiser):
    """``sawb`` of a layer's weights, 2 to 8 bits."""

    def __init__(
        self,
        bits: int,
        levels: Levels = Levels.ODD,
        gradient: WeightGradient = WeightGradient.CLIPPED,
    ) -> None:
        if bits not in COEFFICIENTS[levels]:
            raise InputError(f"SAWB has weights of 2 to 8 bits, not {bits}")
        odd = levels is Levels.ODD
        super().__init__(bits, WeightEncoding.ODD if odd else WeightEncoding.TWOS_COMPLEMENT)
        self.kind, self.gradient = levels, gradient

    @property
    def n(self) -> int:
        """The highest level."""
        return self.format.max

    def forward(self, weight: Tensor) -> Tensor:
        """The quantised weights."""
        return sawb(weight, self.bits, self.kind, self.gradient)

    @torch.no_grad()
    def levels(self, weight: Tensor) -> Tensor:
        """The odd integers, or all integers, -n..n."""
        a = sawb_clip(weight, self.bits, self.kind)
        if self.kind is Levels.ODD:
            return 2 * _odd_code(weight, a, self.n).long() - self.n
        return _symmetric_level(weight, a, self.n).long()

    def scale(self, weight: Tensor) -> Tensor:
        """``a / n``."""
        return sawb_clip(weight, self.bits, self.kind) / self.n

    def extra_repr(self) -> str:
        """What ``print`` shows."""
        return f"bits={self.bits}, levels={self.kind.value}, gradient={self.gradient.value}"
