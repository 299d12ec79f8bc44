"""A whole network in integers: sums over unfolded levels (mostly matrix products), then a requantiser."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..spec import LayerKind, LayerSpec, NetworkSpec, RequantiserKind
from ..spec.network import INPUT
from .matmul import Int64, matmul
from .requantise import multiply_shift, thresholds

Tensors = Mapping[str, npt.NDArray[np.integer]]
"""Weight codes and requantiser constants by name, as ``pact_hw.spec.network`` says."""


def windows(levels: npt.NDArray[np.integer], layer: LayerSpec, *, pad: int = 0) -> Int64:
    """Every window that ``layer`` reads: B x C x OY x OX x FY x FX, from levels B x C x Y x X."""
    p, k, s = layer.padding, layer.kernel, layer.stride
    x = np.asarray(levels, dtype=np.int64)
    padded = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)), constant_values=pad)
    view: Int64 = np.lib.stride_tricks.sliding_window_view(padded, (k, k), axis=(2, 3))[:, :, ::s, ::s]
    return view


def im2col(levels: npt.NDArray[np.integer], layer: LayerSpec) -> Int64:
    """The rows that ``layer``'s matrix product reads, from levels B x C x Y x X.

    A convolution gives (B OY OX) x (C FY FX), padded with level 0: each group's columns lie side by
    side. A linear layer gives B x (C Y X).
    """
    x = np.asarray(levels, dtype=np.int64)
    if layer.kind is LayerKind.LINEAR:
        return x.reshape(len(x), -1)
    rows = windows(x, layer).transpose(0, 2, 3, 1, 4, 5)  # B OY OX, C FY FX
    return rows.reshape(-1, layer.groups * layer.reduction)


def weight_matrix(layer: LayerSpec, codes: npt.NDArray[np.integer]) -> Int64:
    """``layer``'s weight codes (K x C/groups x FY x FX, or N x K) as the matrix reduction x channels."""
    return np.ascontiguousarray(np.asarray(codes, dtype=np.int64).reshape(layer.out_channels, -1).T)


def to_rows(values: npt.NDArray[np.integer]) -> Int64:
    """B x N x OY x OX as the matrix (B OY OX) x N: a layer's output, or its residual operand."""
    x = np.asarray(values, dtype=np.int64)
    return np.moveaxis(x, 1, -1).reshape(-1, x.shape[1])


def from_rows(rows: Int64, shape: tuple[int, int, int]) -> Int64:
    """The inverse of ``to_rows`` for an output of ``shape`` (N, OY, OX)."""
    n, y, x = shape
    return np.ascontiguousarray(rows.reshape(-1, y, x, n).transpose(0, 3, 1, 2))


def group_slices(layer: LayerSpec) -> list[tuple[slice, slice]]:
    """Of each group: its columns of ``im2col``, and its output channels."""
    k, n = layer.reduction, layer.out_channels // layer.groups
    return [(slice(g * k, (g + 1) * k), slice(g * n, (g + 1) * n)) for g in range(layer.groups)]


def accumulate(layer: LayerSpec, tensors: Tensors, values: Mapping[str, Int64]) -> Int64:
    """The exact sums of ``layer``, (B OY OX) x N; ``values`` holds what it reads, by name."""
    source = values[layer.source]
    if layer.kind is LayerKind.CONCAT:
        return to_rows(np.concatenate([source, *(values[name] for name in layer.concat)], axis=1))
    if layer.kind is LayerKind.SUM:
        return to_rows(windows(source, layer).sum(axis=(4, 5)))
    assert layer.weight is not None
    rows, codes = im2col(source, layer), weight_matrix(layer, tensors[f"{layer.name}.weight"])
    groups = [matmul(rows[:, k], codes[:, n], layer.weight) for k, n in group_slices(layer)]
    return np.concatenate(groups, axis=1)


def residual_operand(layer: LayerSpec, residual: npt.NDArray[np.integer]) -> Int64:
    """What ``layer`` adds to its outputs: every stride-th pixel, channels that there are not as 0."""
    x = np.asarray(residual, dtype=np.int64)[:, :, :: layer.residual_stride, :: layer.residual_stride]
    before = layer.residual_channel
    after = layer.out_channels - before - x.shape[1]
    return np.pad(x, ((0, 0), (before, after), (0, 0), (0, 0)))


def requantise(layer: LayerSpec, tensors: Tensors, acc: Int64, residual: Int64 | None) -> Int64:
    """Levels of ``layer`` for accumulators M x N and residual levels M x N."""
    assert layer.out is not None

    def constants(*names: str) -> dict[str, Int64]:
        return {name: np.asarray(tensors[f"{layer.name}.{name}"], dtype=np.int64) for name in names}

    if layer.requantiser is RequantiserKind.THRESHOLD:
        lowest = 0 if layer.residual_act is None else layer.residual_act.min
        row = None if residual is None else residual - lowest
        return thresholds(acc, low=layer.out.min, row=row, **constants("thresholds", "sign"))
    names = ("mult", "add", "shift", *(("residual_mult",) if residual is not None else ()))
    return multiply_shift(acc, low=layer.out.min, limit=layer.out.max, residual=residual, **constants(*names))


def run_layer(layer: LayerSpec, tensors: Tensors, values: Mapping[str, Int64]) -> Int64:
    """The output rows of ``layer``, (B OY OX) x N: levels, or for the last layer the logits."""
    if layer.kind is LayerKind.MAX:
        return to_rows(windows(values[layer.source], layer, pad=layer.act.min).max(axis=(4, 5)))
    acc = accumulate(layer, tensors, values)
    if layer.out is None:
        if layer.bias_shift is None:
            return acc
        return (acc << layer.bias_shift) + np.asarray(tensors[f"{layer.name}.add"], dtype=np.int64)
    residual = None
    if layer.residual is not None:
        residual = to_rows(residual_operand(layer, values[layer.residual]))
    return requantise(layer, tensors, acc, residual)


def run(network: NetworkSpec, tensors: Tensors, levels: npt.NDArray[np.integer]) -> dict[str, Int64]:
    """Every layer's output by name, B x N x OY x OX: levels, and for the last layer logits.

    Raises:
        InputError: ``levels`` is not B x C x Y x X of the network's input format.
    """
    shapes, act = network.shapes, network.input_act
    if levels.ndim != 4 or levels.shape[1:] != shapes[INPUT]:
        raise InputError(f"input must be B x {shapes[INPUT]} levels, not of shape {levels.shape}")
    if levels.size and not act.min <= levels.min() <= levels.max() <= act.max:
        raise InputError(f"input levels must be from {act.min} to {act.max}")
    values = {INPUT: np.asarray(levels, dtype=np.int64)}
    for layer in network.layers:
        values[layer.name] = from_rows(run_layer(layer, tensors, values), shapes[layer.name])
    del values[INPUT]
    return values


def input_levels(network: NetworkSpec, tensors: Tensors, images: npt.NDArray[np.integer]) -> Int64:
    """The input levels of ``images`` (B x C x Y x X): pixels by the network's table, or levels already."""
    pixels = np.asarray(images, dtype=np.int64)
    if network.pixel_bits is None:
        return pixels
    table = np.asarray(tensors["input.levels"], dtype=np.int64)
    if pixels.ndim != 4 or pixels.shape[1] != len(table):
        raise InputError(f"images must be B x {len(table)} x Y x X pixels, not of shape {pixels.shape}")
    if pixels.size and not 0 <= pixels.min() <= pixels.max() < 1 << network.pixel_bits:
        raise InputError(f"pixels must be from 0 to {(1 << network.pixel_bits) - 1}")
    return table[np.arange(len(table))[:, None, None], pixels]
