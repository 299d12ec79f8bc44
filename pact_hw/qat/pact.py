"""PACT: the activation with a learned clip (Choi et al., arXiv 1805.06085, equations 1-3).

Beside it the same group's PACT+ (the clip's gradient inside the range as well) and the symmetric
signed quantiser for values that are behind no ReLU.

One spelling serves eager and compiled mode. Its forward works in place; its backward knows where
``x >= alpha`` from signs instead of masks, because on CPUs the compiler vectorises arithmetic but
not booleans (twice as fast as ``relu(x) - relu(x - alpha)`` in eager mode, and faster than equation
1 with ``abs`` when compiled).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..errors import InputError
from ..spec import ActFormat
from ..spec.formats import ActEncoding

ALPHA_START = 10.0
"""The clip starts large and its L2 term shrinks it (Fig. 2 of the paper)."""


def _at_least_zero(x: Tensor) -> Tensor:
    """In place: 1 where ``x >= 0``, else 0."""
    return x.sign_().add_(1).mul_(0.5).ceil_()


def _quantised(x: Tensor, alpha: Tensor, low: int, high: int) -> Tensor:
    """Equations 1 and 2: clipping after the rounding gives the same numbers as before it."""
    return x.mul(high).div_(alpha).round_().clamp_(low, high).mul_(alpha).div_(high)


class _Pact(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, alpha: Tensor, high: int) -> Tensor:
        ctx.save_for_backward(x, alpha)
        return _quantised(x, alpha, 0, high)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        (gradient,) = gradients
        x, alpha = ctx.saved_tensors
        clipped = _at_least_zero(x - alpha).mul_(gradient)
        inside = _at_least_zero(x.clone()).mul_(gradient).sub_(clipped)
        return inside, clipped.sum(), None


class _PactPlus(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, alpha: Tensor, high: int) -> Tensor:
        ctx.save_for_backward(x, alpha)
        ctx.high = high
        return _quantised(x, alpha, 0, high)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        (gradient,) = gradients
        x, alpha = ctx.saved_tensors
        clipped = _at_least_zero(x - alpha).mul_(gradient)
        inside = _at_least_zero(x.clone()).mul_(gradient).sub_(clipped)
        z = x.mul(ctx.high).div_(alpha)
        error = z.round().sub_(z).div_(ctx.high)
        return inside, (error.mul_(inside).add_(clipped)).sum(), None


class _SignedPact(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, alpha: Tensor, high: int) -> Tensor:
        ctx.save_for_backward(x, alpha)
        return _quantised(x, alpha, -high, high)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        (gradient,) = gradients
        x, alpha = ctx.saved_tensors
        above = _at_least_zero(x - alpha).mul_(gradient)
        below = _at_least_zero(torch.neg(x).sub_(alpha)).mul_(gradient)
        return gradient - above - below, (above - below).sum(), None


def pact(x: Tensor, alpha: Tensor, bits: int) -> Tensor:
    """``round(y n / alpha) alpha / n``, where y is x clipped to [0, alpha] and n = 2**bits - 1.

    ``x`` has any shape, ``alpha`` none (one clip per layer). Rounding is half to even. The gradient
    is equation 3's: to x on ``0 <= x < alpha``, to alpha on ``x >= alpha``.
    """
    result: Tensor = _Pact.apply(x, alpha, (1 << bits) - 1)  # type: ignore[no-untyped-call]
    return result


def pact_plus(x: Tensor, alpha: Tensor, bits: int) -> Tensor:
    """``pact`` with PACT+'s gradient: alpha's is also ``(round(z) - z)/n`` where ``0 <= x < alpha``.

    There z is ``x n / alpha``; so it is the derivative of ``round(z) alpha / n``, rounding passed
    straight through.
    """
    result: Tensor = _PactPlus.apply(x, alpha, (1 << bits) - 1)  # type: ignore[no-untyped-call]
    return result


def signed_pact(x: Tensor, alpha: Tensor, bits: int) -> Tensor:
    """``round(y n / alpha) alpha / n``, where y is x clipped to [-alpha, alpha], n = 2**(bits-1) - 1.

    The gradient goes to x on ``-alpha < x < alpha``, to alpha on ``x >= alpha``, and to alpha with
    its sign changed on ``x <= -alpha``.
    """
    result: Tensor = _SignedPact.apply(x, alpha, (1 << (bits - 1)) - 1)  # type: ignore[no-untyped-call]
    return result


class ActQuantiser(nn.Module):
    """An activation quantiser with one learned clip: levels of ``format``, the highest worth alpha.

    Build the optimiser with ``pact_hw.qat.optimiser.with_alpha_group``, which keeps alpha positive.
    """

    def __init__(self, format: ActFormat, alpha: float) -> None:  # noqa: A002 - its name in the house
        super().__init__()
        if not 0 < alpha < float("inf"):
            raise InputError(f"alpha must be positive and finite, not {alpha}")
        self.format = format
        self.alpha = nn.Parameter(torch.tensor(float(alpha)))

    @property
    def bits(self) -> int:
        """The width of a level."""
        return self.format.bits

    def levels(self, y: Tensor) -> Tensor:
        """The integer levels (int64) of outputs ``y`` of this layer."""
        return (y * self.format.max / self.alpha).round().long()

    def extra_repr(self) -> str:
        """What ``print`` shows."""
        return f"bits={self.bits}"


class PACT(ActQuantiser):
    """The activation of one layer in place of its ReLU: levels ``0..2**bits - 1``."""

    def __init__(self, bits: int, alpha: float = ALPHA_START) -> None:
        super().__init__(ActFormat(bits=bits), alpha)

    def forward(self, x: Tensor) -> Tensor:
        """The quantised activation, of x's shape."""
        return pact(x, self.alpha, self.bits)


class PACTPlus(PACT):
    """PACT with PACT+'s gradient of alpha."""

    def forward(self, x: Tensor) -> Tensor:
        """The quantised activation, of x's shape."""
        return pact_plus(x, self.alpha, self.bits)


class SignedPACT(ActQuantiser):
    """Symmetric levels ``-(2**(bits-1) - 1)..2**(bits-1) - 1``, for values that are behind no ReLU."""

    def __init__(self, bits: int, alpha: float = ALPHA_START) -> None:
        super().__init__(ActFormat(bits=bits, encoding=ActEncoding.SYMMETRIC), alpha)

    def forward(self, x: Tensor) -> Tensor:
        """The quantised values, of x's shape."""
        return signed_pact(x, self.alpha, self.bits)
