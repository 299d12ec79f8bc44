"""Signed levels on hardware whose operands are unsigned: offset binary.

A level a is stored as ``a - min``, of the format's own width. The sums then are larger by
``-min`` times the sum of the weights, which the requantiser's addend takes back, exactly::

    acc = acc' + min sum(w)      r = r' + min_r      level = level' + min_out

    level' = clip((acc' mult + r' residual_mult + add') >> shift, 0, max_out - min_out)
    add'   = add + mult min sum(w) + residual_mult min_r - (min_out << shift)
"""

from __future__ import annotations

import numpy as np

from ..spec import LayerSpec
from .matmul import Int64, decode_weights
from .network import Tensors, weight_matrix


def weight_sums(layer: LayerSpec, tensors: Tensors) -> Int64:
    """The sum of each output channel's weights; for a layer without weights, of its window."""
    if layer.weight is None:
        return np.full(layer.out_channels, layer.reduction, dtype=np.int64)
    codes = weight_matrix(layer, tensors[f"{layer.name}.weight"])
    sums: Int64 = decode_weights(codes, layer.weight).sum(axis=0)
    return sums


def offset_add(layer: LayerSpec, tensors: Tensors) -> Int64:
    """``add'``: the addends (N) of a requantised ``layer`` whose operands are in offset binary."""
    assert layer.out is not None
    mult, add, shift = (
        np.asarray(tensors[f"{layer.name}.{name}"], dtype=np.int64) for name in ("mult", "add", "shift")
    )
    offset = add + mult * layer.act.min * weight_sums(layer, tensors)
    offset = offset - np.left_shift(np.int64(layer.out.min), shift)
    if layer.residual_act is not None:
        offset = offset + np.asarray(tensors[f"{layer.name}.residual_mult"]) * layer.residual_act.min
    return np.asarray(offset, dtype=np.int64)
