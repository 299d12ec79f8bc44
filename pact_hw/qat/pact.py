"""PACT: the activation with a learned clip (Choi et al., arXiv 1805.06085, equations 1-3).

Beside it the same group's PACT+ (the clip's gradient inside the range as well) and the symmetric
signed quantiser for values that are behind no ReLU.

On CPUs eager mode pays for memory, fresh memory most: so the forward works in place, and the
backward has one buffer, which the fused kernel of ReLU's own gradient fills. The compiler fuses
everything, but masks (bool) it computes one by one, which is slow: so PACT keeps bytes, which are made
of floats and read as floats, and the other two are given signs, that is arithmetic.
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


_SMALLEST = {torch.float32: 2.0**-149, torch.float64: 2.0**-1074}


def _where_not_negative(gradient: Tensor, x: Tensor, out: Tensor) -> Tensor:
    """``gradient`` where ``x >= 0``, else 0; eager mode puts it into ``out``, which may be either."""
    if torch.compiler.is_compiling():
        return gradient * (x.sign().clamp(max=0) + 1)
    # The kernel gives the gradient where x > threshold: so the threshold is the number below 0.
    torch.ops.aten.threshold_backward.grad_input(gradient, x, -_SMALLEST[x.dtype], grad_input=out)
    return out


def _where_positive(gradient: Tensor, x: Tensor, out: Tensor) -> Tensor:
    """``gradient`` where ``x > 0``, else 0; eager mode puts it into ``out``, which may be either."""
    if torch.compiler.is_compiling():
        return gradient * x.sign().clamp(min=0)
    torch.ops.aten.threshold_backward.grad_input(gradient, x, 0, grad_input=out)
    return out


def _sum(x: Tensor) -> Tensor:
    """The sum of all; the compiler adds up channels first, in the loop in which batch normalisation does."""
    if torch.compiler.is_compiling() and x.ndim > 1:
        x = x.sum([dim for dim in range(x.ndim) if dim != 1])
    return x.sum()


def _single(x: Tensor) -> Tensor:
    """float16 and bfloat16 as float32: they hold neither the products nor 16 bits."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def _quantised(x: Tensor, alpha: Tensor, low: int, high: int) -> Tensor:
    """Equations 1 and 2 for levels ``low..high``."""
    z = _single(x).mul(high).div_(alpha)
    # Clipping behind the rounding, to 0 and n, gives the same as in front of it, to 0 and alpha.
    return z.round_().clamp_(low, high).mul_(alpha).div_(high).to(x.dtype)


def _part(x: Tensor, alpha: Tensor) -> Tensor:
    """What equation 3 needs of x, in bytes: 0 where it is negative, 2 from alpha on, else 1."""
    if x.device.type != "cpu":  # where compiled divisions are not exact
        return torch.where(x >= alpha, 2, torch.where(x >= 0, 1, 0)).to(torch.uint8)
    # x is used only once, else the compiler computes it in a loop of its own and stores it. x / alpha
    # reaches 1 just where x reaches alpha; scaled, the negative numbers next to 0 do not vanish in it.
    # The factors are literals: a module's float would be a dynamic size to the compiler.
    z = (x * 2.0**60 / alpha).floor()
    return ((z * 2.0**-60).floor().clamp(-1, 1) + 1).to(torch.uint8)


class _Quantiser(torch.autograd.Function):
    """Each kind has its own gradient, worked out from x."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, alpha: Tensor, low: int, high: int) -> Tensor:
        ctx.save_for_backward(x, alpha)
        ctx.high = high
        return _quantised(x, alpha, low, high)


def _equation_3(x: Tensor, alpha: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    """The gradients of x, in ``_single``'s type, and of alpha."""
    wide, gradient = _single(x), _single(gradient)
    buffer = wide - alpha
    above = _sum(_where_not_negative(gradient, buffer, out=buffer))
    below_alpha = _where_positive(gradient, torch.sub(alpha, wide, out=buffer), out=buffer)
    return _where_not_negative(below_alpha, wide, out=buffer), above


class _Pact(_Quantiser):
    @staticmethod
    def forward(ctx: Any, x: Tensor, alpha: Tensor, low: int, high: int) -> Tensor:
        if not torch.compiler.is_compiling():
            result: Tensor = _Quantiser.forward(ctx, x, alpha, low, high)
            return result
        ctx.save_for_backward(_part(_single(x), alpha))
        return _quantised(x, alpha, low, high)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None]:
        x, *rest = ctx.saved_tensors  # read once, or activation checkpoints fail
        if not rest:  # compiled: bytes in x's place
            part, gradient = x.float(), _single(gradients[0])
            inside = torch.where(part == 1, gradient, 0.0).to(gradients[0].dtype)
            return inside, _sum(torch.where(part == 2, gradient, 0.0)), None, None
        inside, above = _equation_3(x, rest[0], gradients[0])
        return inside.to(x.dtype), above, None, None


class _PactPlus(_Quantiser):
    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None]:
        x, alpha = ctx.saved_tensors
        inside, above = _equation_3(x, alpha, gradients[0])
        # Outside the range nothing counts, but it must be finite.
        z = _single(x).mul(ctx.high).div_(alpha).clamp_(0, 2 * ctx.high)
        error = z.round().sub_(z).div_(ctx.high)
        return inside.to(x.dtype), above + _sum(error.mul_(inside)), None, None


class _SignedPact(_Quantiser):
    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None]:
        x, alpha = ctx.saved_tensors
        wide, gradient = _single(x), _single(gradients[0])
        buffer = wide - alpha
        above = _sum(_where_not_negative(gradient, buffer, out=buffer))
        torch.neg(wide, out=buffer).sub_(alpha)
        below = _sum(_where_not_negative(gradient, buffer, out=buffer))
        torch.sub(alpha, torch.abs(wide, out=buffer), out=buffer)
        return _where_positive(gradient, buffer, out=buffer).to(x.dtype), above - below, None, None


def pact(x: Tensor, alpha: Tensor, bits: int) -> Tensor:
    """``round(y n / alpha) alpha / n``, where y is x clipped to [0, alpha] and n = 2**bits - 1.

    ``x`` has any shape, ``alpha`` none (one clip per layer). Rounding is half to even. The gradient
    is equation 3's: to x on ``0 <= x < alpha``, to alpha on ``x >= alpha``.
    """
    result: Tensor = _Pact.apply(x, alpha, 0, (1 << bits) - 1)  # type: ignore[no-untyped-call]
    return result


def pact_plus(x: Tensor, alpha: Tensor, bits: int) -> Tensor:
    """``pact`` with PACT+'s gradient: alpha's is also ``(round(z) - z)/n`` where ``0 <= x < alpha``.

    There z is ``x n / alpha``; so it is the derivative of ``round(z) alpha / n``, rounding passed
    straight through.
    """
    result: Tensor = _PactPlus.apply(x, alpha, 0, (1 << bits) - 1)  # type: ignore[no-untyped-call]
    return result


def signed_pact(x: Tensor, alpha: Tensor, bits: int) -> Tensor:
    """``round(y n / alpha) alpha / n``, where y is x clipped to [-alpha, alpha], n = 2**(bits-1) - 1.

    The gradient goes to x on ``-alpha < x < alpha``, to alpha on ``x >= alpha``, and to alpha with
    its sign changed on ``x <= -alpha``.
    """
    n = (1 << (bits - 1)) - 1
    result: Tensor = _SignedPact.apply(x, alpha, -n, n)  # type: ignore[no-untyped-call]
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
