"""What all weight quantisers have in common."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..spec import WeightEncoding, WeightFormat


class WeightQuantiser(nn.Module):
    """Float weights to quantised ones: ``forward(w) = levels(w) scale(w)``, rounding errors apart.

    It has no parameters: the float weights belong to the layer. Codes, scales and gradients are
    worked out from them at every call.
    """

    def __init__(self, bits: int, encoding: WeightEncoding) -> None:
        super().__init__()
        self.format = WeightFormat(bits=bits, encoding=encoding)

    @property
    def bits(self) -> int:
        """The width of a code."""
        return self.format.bits

    def levels(self, weight: Tensor) -> Tensor:
        """The integers (int64, of weight's shape) that the codes stand for."""
        raise NotImplementedError

    def scale(self, weight: Tensor) -> Tensor:
        """What level 1 is worth (no dimensions, weight's type)."""
        raise NotImplementedError

    def codes(self, weight: Tensor) -> Tensor:
        """The unsigned codes (int64, of weight's shape) as ``format`` encodes the levels."""
        levels = self.levels(weight)
        if self.format.encoding is WeightEncoding.ODD:
            return (levels + self.format.levels) // 2
        return levels & self.format.levels

    def extra_repr(self) -> str:
        """What ``print`` shows."""
        return f"bits={self.bits}"


def largest(weight: Tensor) -> Tensor:
    """``max |w|``, but never 0: weights that are all 0 divide nothing by 0."""
    return weight.abs().amax().clamp(min=torch.finfo(weight.dtype).tiny)
