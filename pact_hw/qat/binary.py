"""Weights of 1 bit (DoReFa, arXiv 1606.06160, equation 7): the sign times the mean of ``|w|``."""

from __future__ import annotations

import torch
from torch import Tensor

from ..spec import WeightEncoding
from .weights import WeightQuantiser


class _Binary(torch.autograd.Function):
    @staticmethod
    def forward(_ctx: object, weight: Tensor) -> Tensor:
        mean = weight.abs().mean()
        return torch.where(weight >= 0, mean, -mean)

    @staticmethod
    def backward(_ctx: object, *gradients: Tensor) -> Tensor:
        return gradients[0]


def binary(weight: Tensor) -> Tensor:
    """``E|w|`` where ``w >= 0``, ``-E|w|`` elsewhere; the gradient passes straight through."""
    result: Tensor = _Binary.apply(weight)  # type: ignore[no-untyped-call]
    return result


class Binary(WeightQuantiser):
    """``binary`` of a layer's weights: levels -1 and 1."""

    def __init__(self) -> None:
        super().__init__(1, WeightEncoding.ODD)

    def forward(self, weight: Tensor) -> Tensor:
        """The quantised weights."""
        return binary(weight)

    def levels(self, weight: Tensor) -> Tensor:
        """-1 and 1."""
        return 2 * (weight >= 0).long() - 1

    def scale(self, weight: Tensor) -> Tensor:
        """``E|w|``."""
        return weight.detach().abs().mean()
