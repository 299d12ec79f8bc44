"""Networks as lists of layers, which is also how the hardware sees them (``pact_hw.spec.network``)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ...errors import InputError
from ...spec import ActFormat, WeightFormat
from ...spec.formats import check_int
from ...spec.network import INPUT
from ..layers import QuantConv2d, QuantLinear
from ..pact import PACT


@dataclass(frozen=True, kw_only=True)
class Widths:
    """Bits of activations and weights; ``edge_bits`` is both for the first and the last layer."""

    act_bits: int
    weight_bits: int
    edge_bits: int = 8

    def __post_init__(self) -> None:
        ActFormat(bits=self.act_bits)
        WeightFormat(bits=self.weight_bits)
        WeightFormat(bits=self.edge_bits)


class Layer(nn.Module):
    """``act(norm(operation(source)) + residual)``; the last layer is an operation only."""

    def __init__(
        self,
        operation: nn.Conv2d | nn.Linear,
        norm: nn.BatchNorm2d | None = None,
        act: PACT | nn.ReLU | None = None,
        *,
        source: str,
        residual: str | None = None,
    ) -> None:
        super().__init__()
        self.operation, self.norm, self.act = operation, norm, act
        self.source, self.residual = source, residual

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """The output for ``x``, which a linear operation flattens."""
        z: Tensor = self.operation(x.flatten(1) if isinstance(self.operation, nn.Linear) else x)
        if self.norm is not None:
            z = self.norm(z)
        if residual is not None:
            z = z + residual
        if self.act is not None:
            z = self.act(z)
        return z


class Network(nn.Module):
    """Layers by name, in execution order, over images of unsigned integer levels.

    ``widths`` is None for the float twin.
    """

    def __init__(
        self,
        name: str,
        input_shape: tuple[int, int, int],
        layers: dict[str, Layer],
        widths: Widths | None,
        *,
        input_bits: int = 8,
    ) -> None:
        super().__init__()
        self.name, self.input_shape, self.widths = name, input_shape, widths
        self.input_format = ActFormat(bits=input_bits)
        self.layers = nn.ModuleDict(layers)

    def layer(self, name: str) -> Layer:
        """The layer called ``name``."""
        layer = self.layers[name]
        assert isinstance(layer, Layer)
        return layer

    def activations(self, levels: Tensor) -> dict[str, Tensor]:
        """Every layer's output by name, for ``levels`` (B x C x Y x X, 0..2**input_bits - 1)."""
        dtype = next(self.parameters()).dtype
        values = {INPUT: levels.to(dtype) / self.input_format.max}
        for name in self.layers:
            layer = self.layer(name)
            residual = None if layer.residual is None else values[layer.residual]
            values[name] = layer(values[layer.source], residual)
        return values

    def forward(self, levels: Tensor) -> Tensor:
        """The logits (B x classes)."""
        return list(self.activations(levels).values())[-1]


ALPHA_DIGITS = 3.0
"""Outputs of batch normalisation have unit variance; a short training is too short to shrink from 10."""


def digits(widths: Widths | None) -> Network:
    """A small residual CNN for 8 x 8 images: 28 k weights, 0.38 M multiply-accumulates an image."""

    def conv(c: int, k: int, bits: int, **options: int) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
        if widths is None:
            operation: nn.Conv2d = nn.Conv2d(c, k, 3, padding=1, bias=False, **options)  # type: ignore[arg-type]
        else:
            operation = QuantConv2d(c, k, 3, padding=1, weight_bits=bits, **options)
        return operation, nn.BatchNorm2d(k)

    def linear(features: int, classes: int, bits: int) -> nn.Linear:
        if widths is None:
            return nn.Linear(features, classes, bias=False)
        return QuantLinear(features, classes, weight_bits=bits)

    def act(bits: int) -> PACT | nn.ReLU:
        return nn.ReLU() if widths is None else PACT(bits, ALPHA_DIGITS)

    w = widths or Widths(act_bits=8, weight_bits=8)
    layers = {
        "stem": Layer(*conv(1, 16, w.edge_bits), act(w.act_bits), source=INPUT),
        "down": Layer(*conv(16, 32, w.weight_bits, stride=2), act(w.act_bits), source="stem"),
        "block1": Layer(*conv(32, 32, w.weight_bits), act(w.act_bits), source="down"),
        # What the last layer reads has the last layer's width.
        "block2": Layer(*conv(32, 32, w.weight_bits), act(w.edge_bits), source="block1", residual="down"),
        "head": Layer(linear(32 * 4 * 4, 10, w.edge_bits), source="block2"),
    }
    return Network("digits", (1, 8, 8), layers, widths)


MAX_SEED = (1 << 32) - 1
"""What every generator of random numbers that we use accepts."""

NETWORKS: dict[str, Callable[[Widths | None], Network]] = {"digits": digits}


def build(name: str, widths: Widths | None, seed: int) -> Network:
    """The network called ``name`` with initial weights that depend on ``seed`` only.

    Raises:
        InputError: there is no such network, or ``seed`` is out of range.
    """
    check_int("seed", seed, 0, MAX_SEED)
    if name not in NETWORKS:
        raise InputError(f"network must be one of {', '.join(NETWORKS)}, not {name!r}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return NETWORKS[name](widths)
