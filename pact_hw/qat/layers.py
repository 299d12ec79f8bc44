"""Convolution and linear layers with quantised weights; the float weights are the parameters."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - its usual name

from ..spec import WeightFormat
from .dorefa import DoReFa
from .weights import WeightQuantiser


class QuantConv2d(nn.Conv2d):
    """``nn.Conv2d`` whose weights go through ``weight_quantiser`` (DoReFa of ``weight_bits`` bits)."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, *, weight_bits: int, **options: Any
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, **{"bias": False, **options})
        self.weight_quantiser: WeightQuantiser = DoReFa(weight_bits)

    @classmethod
    def of(cls, conv: nn.Conv2d, weight_quantiser: WeightQuantiser) -> QuantConv2d:
        """``conv`` with quantised weights; the parameters are its own."""
        quantised: QuantConv2d = _with_quantiser(cls, conv, weight_quantiser)
        return quantised

    @property
    def format(self) -> WeightFormat:
        """The format of the codes."""
        return self.weight_quantiser.format

    def forward(self, x: Tensor) -> Tensor:
        """``x`` (B x C x Y x X) convolved with the quantised weights."""
        y: Tensor = self._conv_forward(x, self.weight_quantiser(self.weight), self.bias)
        return y

    def codes(self) -> Tensor:
        """The weights' codes (K x C/groups x FY x FX, int64)."""
        return self.weight_quantiser.codes(self.weight)


class QuantLinear(nn.Linear):
    """``nn.Linear`` whose weights go through ``weight_quantiser`` (DoReFa of ``weight_bits`` bits)."""

    def __init__(self, in_features: int, out_features: int, *, weight_bits: int, bias: bool = False) -> None:
        super().__init__(in_features, out_features, bias=bias)
        self.weight_quantiser: WeightQuantiser = DoReFa(weight_bits)

    @classmethod
    def of(cls, linear: nn.Linear, weight_quantiser: WeightQuantiser) -> QuantLinear:
        """``linear`` with quantised weights; the parameters are its own."""
        quantised: QuantLinear = _with_quantiser(cls, linear, weight_quantiser)
        return quantised

    @property
    def format(self) -> WeightFormat:
        """The format of the codes."""
        return self.weight_quantiser.format

    def forward(self, x: Tensor) -> Tensor:
        """``x`` (... x K) times the quantised weights."""
        return F.linear(x, self.weight_quantiser(self.weight), self.bias)

    def codes(self) -> Tensor:
        """The weights' codes (N x K, int64)."""
        return self.weight_quantiser.codes(self.weight)


def _with_quantiser(cls: Any, layer: nn.Module, weight_quantiser: WeightQuantiser) -> Any:
    """A ``cls`` that takes over every attribute, parameter and hook of ``layer``, its parent class's."""
    quantised = cls.__new__(cls)
    quantised.__dict__.update(layer.__dict__)
    quantised._modules = {**layer._modules}
    quantised.weight_quantiser = weight_quantiser
    return quantised
