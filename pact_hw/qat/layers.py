"""Convolution and linear layers with quantised weights; the float weights are the parameters."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - its usual name

from ..spec import WeightFormat
from .dorefa import dorefa, dorefa_codes


class QuantConv2d(nn.Conv2d):
    """``nn.Conv2d`` without bias, with DoReFa weights of ``weight_bits`` bits."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, *, weight_bits: int, **options: int
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, bias=False, **options)  # type: ignore[arg-type]
        self.format = WeightFormat(bits=weight_bits)

    def forward(self, x: Tensor) -> Tensor:
        """``x`` (B x C x Y x X) convolved with the quantised weights."""
        y: Tensor = self._conv_forward(x, dorefa(self.weight, self.format.bits), None)
        return y

    def codes(self) -> Tensor:
        """The weights' codes (K x C x FY x FX, int64)."""
        return dorefa_codes(self.weight, self.format.bits)


class QuantLinear(nn.Linear):
    """``nn.Linear`` without bias, with DoReFa weights of ``weight_bits`` bits."""

    def __init__(self, in_features: int, out_features: int, *, weight_bits: int) -> None:
        super().__init__(in_features, out_features, bias=False)
        self.format = WeightFormat(bits=weight_bits)

    def forward(self, x: Tensor) -> Tensor:
        """``x`` (B x K) times the quantised weights."""
        return F.linear(x, dorefa(self.weight, self.format.bits))

    def codes(self) -> Tensor:
        """The weights' codes (N x K, int64)."""
        return dorefa_codes(self.weight, self.format.bits)
