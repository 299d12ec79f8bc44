"""DoReFa weights (Zhou et al., arXiv 1606.06160, equation 9), as the PACT paper uses them.

``q = round(n (t / (2 max|t|) + 1/2))`` with ``t = tanh(w)`` and ``n = 2**bits - 1``; the weight is
``2 q / n - 1``. So the integer weights are the odd levels ``2 q - n`` (``WeightEncoding.ODD``).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..spec import WeightEncoding
from .weights import WeightQuantiser


def _bounded(weight: Tensor) -> tuple[Tensor, Tensor]:
    """t, and ``max|t|`` or, where all are 0, 1."""
    t = torch.tanh(weight)
    largest = t.abs().amax()
    return t, torch.where(largest > 0, largest, 1.0)


def _rounded(t: Tensor, largest: Tensor, n: int) -> Tensor:
    """q, as floating point."""
    return (n * (t / (2 * largest) + 0.5)).round()


class _DoReFa(torch.autograd.Function):
    """The gradient passes straight through the rounding only: it is that of ``t / max|t|``."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, n: int) -> Tensor:
        t, largest = _bounded(weight)
        ctx.save_for_backward(t, largest)
        return 2 * _rounded(t, largest, n) / n - 1

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        t, largest = ctx.saved_tensors
        dt = gradients[0] / largest
        # The largest |t| also divides all the others; where several are the largest, each a share.
        is_largest = (t.abs() == largest).to(t.dtype)
        share = (dt * t).sum() / largest / is_largest.sum().clamp(min=1)
        return (dt - is_largest * t.sign() * share) * (1 - t * t), None


def dorefa_codes(weight: Tensor, bits: int) -> Tensor:
    """The unsigned codes q (int64) of ``weight``, of its shape."""
    with torch.no_grad():
        return _rounded(*_bounded(weight), (1 << bits) - 1).long()


def dorefa(weight: Tensor, bits: int) -> Tensor:
    """The quantised weights, in [-1, 1]; the gradient passes straight through the rounding only."""
    result: Tensor = _DoReFa.apply(weight, (1 << bits) - 1)  # type: ignore[no-untyped-call]
    return result


class DoReFa(WeightQuantiser):
    """``dorefa`` of a layer's weights."""

    def __init__(self, bits: int) -> None:
        super().__init__(bits, WeightEncoding.ODD)

    def forward(self, weight: Tensor) -> Tensor:
        """The quantised weights."""
        return dorefa(weight, self.bits)

    def levels(self, weight: Tensor) -> Tensor:
        """The odd integers ``2 q - n``."""
        return 2 * dorefa_codes(weight, self.bits) - self.format.levels

    def scale(self, weight: Tensor) -> Tensor:
        """``1 / n``."""
        return weight.new_tensor(1 / self.format.levels)
