"""Sums with a residual operand as products with 1 and 0: only these have such operands on a core."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..golden.network import Tensors
from ..spec import HardwareSpec, LayerKind, NetworkSpec, WeightEncoding, WeightFormat

ONE = WeightFormat(bits=2, encoding=WeightEncoding.TWOS_COMPLEMENT)
"""Holds 1 and 0; odd weights are never 0."""


def as_products(network: NetworkSpec, tensors: Tensors, array: HardwareSpec) -> tuple[NetworkSpec, Tensors]:
    """``network`` and ``tensors`` with every such sum a convolution, if ``array``'s weights can be 0.

    A channel's sum over its window is its product with 1, and all others' with 0: the same numbers, and as
    many more products as there are channels.
    """
    if array.weight.encoding is WeightEncoding.ODD:
        return network, tensors
    layers, more = [], {}
    for layer in network.layers:
        if layer.kind is LayerKind.SUM and layer.residual is not None:
            ones = np.eye(layer.out_channels, dtype=np.int64)[:, :, None, None]
            more[f"{layer.name}.weight"] = np.tile(ones, (1, 1, layer.kernel, layer.kernel))
            layer = replace(layer, kind=LayerKind.CONV, weight=ONE)
        layers.append(layer)
    return replace(network, layers=tuple(layers)), {**tensors, **more}
