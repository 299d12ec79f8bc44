"""A network's layers as the matrix products that arrays run."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pact_hw.golden import network as golden
from pact_hw.spec import LayerSpec, NetworkSpec
from pact_hw.spec.network import INPUT

from .products import MatrixProduct, Scale


def layer_product(
    layer: LayerSpec, tensors: golden.Tensors, values: dict[str, npt.NDArray[np.int64]]
) -> MatrixProduct:
    """``layer`` as one product; ``values`` holds what it reads (B x C x Y x X), by name."""
    residual = None if layer.residual is None else golden.to_rows(values[layer.residual])
    return MatrixProduct(
        name=layer.name,
        act=golden.im2col(values[layer.source], layer),
        weight=golden.weight_matrix(layer, tensors[f"{layer.name}.weight"]),
        scale=None if layer.out is None else _scale(layer, layer.out.max, tensors),
        residual=residual,
    )


def _scale(layer: LayerSpec, limit: int, tensors: golden.Tensors) -> Scale:
    constants = {
        name: np.asarray(tensors[f"{layer.name}.{name}"], dtype=np.int64) for name in ("mult", "add", "shift")
    }
    residual_mult = tensors.get(f"{layer.name}.residual_mult", np.zeros(layer.out_channels))
    return Scale(**constants, residual_mult=np.asarray(residual_mult, dtype=np.int64), limit=limit)


def network_products(
    network: NetworkSpec, tensors: golden.Tensors, levels: npt.NDArray[np.integer]
) -> list[tuple[LayerSpec, MatrixProduct]]:
    """Every layer of ``network`` for input ``levels`` (B x C x Y x X), each reading the reference's levels.

    So a difference in one layer does not spread to the next: all layers equal means that the whole
    network does.

    Raises:
        InputError: ``levels`` is not what the network reads.
    """
    values = golden.run(network, tensors, levels) | {INPUT: np.asarray(levels, dtype=np.int64)}
    return [(layer, layer_product(layer, tensors, values)) for layer in network.layers]
