"""DoReFa weights (Zhou et al., arXiv 1606.06160, equation 9), as the PACT paper uses them.

``q = round(n (t / (2 max|t|) + 1/2))`` with ``t = tanh(w)`` and ``n = 2**bits - 1``; the weight is
``2 q / n - 1``. So the integer weights are the odd levels ``2 q - n`` (``WeightEncoding.ODD``).
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..spec import WeightEncoding
from .weights import WeightQuantiser, largest


def _steps(weight: Tensor, bits: int) -> Tensor:
    """``n (t / (2 max|t|) + 1/2)``: the code before rounding, 0..n."""
    t = torch.tanh(weight)
    return ((1 << bits) - 1) * (t / (2 * largest(t)) + 0.5)


def dorefa_codes(weight: Tensor, bits: int) -> Tensor:
    """The unsigned codes q (int64) of ``weight``, of its shape."""
    with torch.no_grad():
        return _steps(weight, bits).round().long()


def dorefa(weight: Tensor, bits: int) -> Tensor:
    """The quantised weights, in [-1, 1]; the gradient passes straight through the rounding only."""
    steps = _steps(weight, bits)
    q = steps + (steps.round() - steps).detach()  # exact: both differences are representable
    return 2 * q / ((1 << bits) - 1) - 1


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
