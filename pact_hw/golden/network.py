"""A whole network in integers: every layer a matrix product over unfolded levels, then a requantiser."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..spec import LayerKind, LayerSpec, NetworkSpec
from ..spec.network import INPUT
from .matmul import Int64, matmul
from .requantise import multiply_shift

Tensors = Mapping[str, npt.NDArray[np.integer]]
"""Weight codes and requantiser constants by name, as ``pact_hw.spec.network`` says."""


def im2col(levels: npt.NDArray[np.integer], layer: LayerSpec) -> Int64:
    """The rows that ``layer``'s matrix product reads, from levels B x C x Y x X.

    A convolution gives (B OY OX) x (C FY FX), padded with level 0; a linear layer B x (C Y X).
    """
    x = np.asarray(levels, dtype=np.int64)
    if layer.kind is LayerKind.LINEAR:
        return x.reshape(len(x), -1)
    p, k, s = layer.padding, layer.kernel, layer.stride
    padded = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (k, k), axis=(2, 3))[:, :, ::s, ::s]
    return windows.transpose(0, 2, 3, 1, 4, 5).reshape(-1, layer.reduction)  # B OY OX, C FY FX


def weight_matrix(layer: LayerSpec, codes: npt.NDArray[np.integer]) -> Int64:
    """``layer``'s weight codes (K x C x FY x FX, or N x K) as the matrix reduction x channels."""
    return np.ascontiguousarray(np.asarray(codes, dtype=np.int64).reshape(layer.out_channels, -1).T)


def to_rows(values: npt.NDArray[np.integer]) -> Int64:
    """B x N x OY x OX as the matrix (B OY OX) x N: a layer's output, or its residual operand."""
    x = np.asarray(values, dtype=np.int64)
    return np.moveaxis(x, 1, -1).reshape(-1, x.shape[1])


def from_rows(rows: Int64, shape: tuple[int, int, int]) -> Int64:
    """The inverse of ``to_rows`` for an output of ``shape`` (N, OY, OX)."""
    n, y, x = shape
    return np.ascontiguousarray(rows.reshape(-1, y, x, n).transpose(0, 3, 1, 2))


def requantise(layer: LayerSpec, tensors: Tensors, acc: Int64, residual: Int64 | None) -> Int64:
    """Levels of ``layer`` for accumulators M x N and residual levels M x N."""
    assert layer.out is not None
    constants = {
        name: np.asarray(tensors[f"{layer.name}.{name}"], dtype=np.int64)
        for name in ("mult", "add", "shift", *(("residual_mult",) if residual is not None else ()))
    }
    return multiply_shift(acc, limit=layer.out.max, residual=residual, **constants)


def run(network: NetworkSpec, tensors: Tensors, levels: npt.NDArray[np.integer]) -> dict[str, Int64]:
    """Every layer's output by name, B x N x OY x OX: levels, and for the last layer accumulators.

    Raises:
        InputError: ``levels`` is not B x C x Y x X of the network's input format.
    """
    shapes = network.shapes
    if levels.ndim != 4 or levels.shape[1:] != shapes[INPUT]:
        raise InputError(f"input must be B x {shapes[INPUT]} levels, not of shape {levels.shape}")
    if levels.size and not 0 <= levels.min() <= levels.max() <= network.input_act.max:
        raise InputError(f"input levels must be from 0 to {network.input_act.max}")
    values = {INPUT: np.asarray(levels, dtype=np.int64)}
    for layer in network.layers:
        codes = weight_matrix(layer, tensors[f"{layer.name}.weight"])
        rows = matmul(im2col(values[layer.source], layer), codes, layer.weight)
        if layer.out is not None:
            residual = None if layer.residual is None else to_rows(values[layer.residual])
            rows = requantise(layer, tensors, rows, residual)
        values[layer.name] = from_rows(rows, shapes[layer.name])
    del values[INPUT]
    return values
