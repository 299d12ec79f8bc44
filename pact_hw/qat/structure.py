"""A quantised network's structure, as the hardware sees it."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from ..spec import ActFormat, LayerKind, LayerSpec, NetworkSpec
from ..spec.network import INPUT
from .layers import QuantConv2d, QuantLinear
from .networks import Network
from .pact import PACT


def output_format(network: Network, name: str) -> ActFormat:
    """The format of the levels that ``name`` (a layer or the input) gives."""
    return network.input_format if name == INPUT else _act(network, name).format


def level_value(network: Network, name: str) -> Fraction:
    """What one level of ``name`` (a layer or the input) is worth: alpha/n, exactly."""
    clip = Fraction(1) if name == INPUT else Fraction(_act(network, name).alpha.item())
    return clip / output_format(network, name).max


def _act(network: Network, name: str) -> PACT:
    act = network.layer(name).act
    assert isinstance(act, PACT), f"layer {name} gives no levels"
    return act


def _layer_spec(network: Network, name: str) -> LayerSpec:
    layer = network.layer(name)
    operation = layer.operation
    assert isinstance(operation, QuantConv2d | QuantLinear)
    common: dict[str, Any] = {
        "name": name,
        "source": layer.source,
        "act": output_format(network, layer.source),
        "weight": operation.format,
        "residual": layer.residual,
        "residual_act": None if layer.residual is None else output_format(network, layer.residual),
        "out": None if layer.act is None else output_format(network, name),
    }
    if isinstance(operation, QuantLinear):
        common |= {"in_channels": operation.in_features, "out_channels": operation.out_features}
        return LayerSpec(kind=LayerKind.LINEAR, **common)
    common |= {"in_channels": operation.in_channels, "out_channels": operation.out_channels}
    return LayerSpec(
        kind=LayerKind.CONV,
        kernel=operation.kernel_size[0],
        stride=operation.stride[0],
        padding=int(operation.padding[0]),
        **common,
    )


def network_spec(network: Network) -> NetworkSpec:
    """The integer layers of a quantised ``network``."""
    channels, height, width = network.input_shape
    return NetworkSpec(
        name=network.name,
        input_channels=channels,
        input_height=height,
        input_width=width,
        input_act=network.input_format,
        layers=tuple(_layer_spec(network, name) for name in network.layers),
    )
