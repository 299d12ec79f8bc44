"""PACT: the activation with a learned clip (Choi et al., arXiv 1805.06085, equations 1-3).

One spelling serves eager and compiled mode. Its forward works in place; its backward knows where
``x >= alpha`` from signs instead of masks, because on CPUs the compiler vectorises arithmetic but
not booleans (twice as fast as ``relu(x) - relu(x - alpha)`` in eager mode, and faster than equation
1 with ``abs`` when compiled).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..spec import ActFormat

ALPHA_START = 10.0
"""The clip starts large and its L2 term shrinks it (Fig. 2 of the paper)."""


def _at_least_zero(x: Tensor) -> Tensor:
    """In place: 1 where ``x >= 0``, else 0."""
    return x.sign_().add_(1).mul_(0.5).ceil_()


class _Pact(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, alpha: Tensor, levels: int) -> Tensor:
        ctx.save_for_backward(x, alpha)
        # Clipping after the rounding, to 0 and n, gives the same numbers as before it, to 0 and alpha.
        return x.mul(levels).div_(alpha).round_().clamp_(0, levels).mul_(alpha).div_(levels)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        (gradient,) = gradients
        x, alpha = ctx.saved_tensors
        clipped = _at_least_zero(x - alpha).mul_(gradient)
        inside = _at_least_zero(x.clone()).mul_(gradient).sub_(clipped)
        return inside, clipped.sum(), None


def pact(x: Tensor, alpha: Tensor, bits: int) -> Tensor:
    """``round(y n / alpha) alpha / n``, where y is x clipped to [0, alpha] and n = 2**bits - 1.

    ``x`` has any shape, ``alpha`` none (one clip per layer). Rounding is half to even. The gradient
    is equation 3's: to x on ``0 <= x < alpha``, to alpha on ``x >= alpha``.
    """
    result: Tensor = _Pact.apply(x, alpha, (1 << bits) - 1)  # type: ignore[no-untyped-call]
    return result


class PACT(nn.Module):
    """The activation of one layer; ``alpha`` is its learned clip.

    Build the optimiser with ``pact_hw.qat.optimiser.with_alpha_group``, which keeps alpha positive.
    """

    def __init__(self, bits: int, alpha: float = ALPHA_START) -> None:
        super().__init__()
        self.format = ActFormat(bits=bits)
        self.alpha = nn.Parameter(torch.tensor(float(alpha)))

    def forward(self, x: Tensor) -> Tensor:
        """The quantised activation, of x's shape."""
        return pact(x, self.alpha, self.format.bits)

    def levels(self, y: Tensor) -> Tensor:
        """The integer levels (int64) of outputs ``y`` of this layer."""
        return (y * self.format.max / self.alpha).round().long()

    def extra_repr(self) -> str:
        """What ``print`` shows."""
        return f"bits={self.format.bits}"
