"""A network's layers as the matrix products that arrays run.

Arrays multiply unsigned levels: signed ones go in, and come out, in offset binary
(``pact_hw.golden.offset``).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pact_hw.golden import network as golden
from pact_hw.golden.offset import offset_add
from pact_hw.spec import LayerSpec, NetworkSpec, RequantiserKind
from pact_hw.spec.network import INPUT

from .products import MatrixProduct, Scale


def layer_products(
    layer: LayerSpec, tensors: golden.Tensors, values: dict[str, npt.NDArray[np.int64]]
) -> list[MatrixProduct]:
    """``layer`` as one product a group; ``values`` holds what it reads (B x C x Y x X), by name.

    Logits, and what has thresholds instead of a multiplier, come as raw accumulators.
    """
    act = golden.im2col(values[layer.source], layer) - layer.act.min
    weight = golden.weight_matrix(layer, tensors[f"{layer.name}.weight"])
    scale = residual = None
    if layer.requantised and layer.requantiser is RequantiserKind.MULTIPLY_SHIFT:
        scale = _scale(layer, tensors)
        if layer.residual is not None and layer.residual_act is not None:
            operand = golden.residual_operand(layer, values[layer.residual])
            residual = golden.to_rows(operand) - layer.residual_act.min
    return [
        MatrixProduct(
            name=layer.name if layer.groups == 1 else f"{layer.name}, group {group}",
            act=act[:, k],
            weight=weight[:, n],
            scale=scale and scale.channels(n),
            residual=None if residual is None else residual[:, n],
        )
        for group, (k, n) in enumerate(golden.group_slices(layer))
    ]


def _scale(layer: LayerSpec, tensors: golden.Tensors) -> Scale:
    assert layer.out is not None
    constants = {
        name: np.asarray(tensors[f"{layer.name}.{name}"], dtype=np.int64) for name in ("mult", "shift")
    }
    residual_mult = tensors.get(f"{layer.name}.residual_mult", np.zeros(layer.out_channels))
    return Scale(
        **constants,
        add=offset_add(layer, tensors),
        residual_mult=np.asarray(residual_mult, dtype=np.int64),
        limit=layer.out.max - layer.out.min,
    )


def network_products(
    network: NetworkSpec, tensors: golden.Tensors, levels: npt.NDArray[np.integer]
) -> list[tuple[LayerSpec, MatrixProduct]]:
    """Every weighted layer of ``network`` for input ``levels`` (B x C x Y x X), each reading the reference's.

    So a difference in one layer does not spread to the next: all layers equal means that the whole
    network does.

    Raises:
        InputError: ``levels`` is not what the network reads.
    """
    values = golden.run(network, tensors, levels) | {INPUT: np.asarray(levels, dtype=np.int64)}
    return [
        (layer, product)
        for layer in network.layers
        if layer.kind.weighted
        for product in layer_products(layer, tensors, values)
    ]
