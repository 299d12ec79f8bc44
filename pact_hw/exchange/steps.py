"""QONNX's (and FINN's) ``MultiThreshold``: how many thresholds a number reaches."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from ..qat.conversion.affine import Affine
from ..qat.conversion.staircase import Staircase
from ..qat.conversion.values import Levels, act_for
from ..spec import ActFormat
from .files import Node
from .reader import QONNX_DOMAINS, Handler, ModelReader
from .weights import array

_MAX_STEPS = 1 << 16
"""Thresholds of one channel."""


def _multi_threshold(r: ModelReader, node: Node) -> Levels:
    sums, table = r.sums_of(node), array(r.constant(node, 1))
    n = sums.shape[0]
    if table.ndim != 2 or table.shape[0] not in (1, n) or not 1 <= table.shape[1] < _MAX_STEPS:
        raise node.refuse(f"thresholds of shape {table.shape} for {n} channels")
    scale, bias = (Fraction(node.attributes.get(a, d)) for a, d in (("out_scale", 1.0), ("out_bias", 0.0)))
    layout = node.text("data_layout", "NCHW")
    if scale <= 0 or (bias / scale).denominator != 1 or layout not in ("NCHW", "NC"):
        raise node.refuse(f"out_scale {float(scale)}, out_bias {float(bias)}, data_layout {layout}")
    if sums.residual is not None:
        raise node.refuse("it reads a sum of two tensors")
    low = int(bias / scale)
    act = act_for(low, low + table.shape[1])
    rows = np.sort(np.broadcast_to(table, (n, table.shape[1])), axis=1).tolist()
    stairs = [
        _staircase(affine, interval, row, act, low)
        for affine, interval, row in zip(sums.affines, sums.intervals, rows, strict=True)
    ]
    return r.builder.thresholds(node.name, sums, stairs, act, scale)


def _staircase(
    affine: Affine, interval: tuple[int, int], row: list[float], act: ActFormat, low: int
) -> Staircase:
    """One channel's steps: always reached below level ``low``, never above the last threshold's."""
    sign = -1 if affine.scale < 0 else 1
    first, last = sorted(sign * bound for bound in interval)

    def step(threshold: float) -> int:
        need = Fraction(threshold) - affine.offset
        if not affine.scale:
            return first if need <= 0 else last + 1
        return min(max(math.ceil(need / abs(affine.scale)), first), last + 1)

    reached, never = low - act.min, act.max - low - len(row)
    steps = [first] * reached + [step(t) for t in row] + [last + 1] * never
    return Staircase(sign=sign, low=first, high=last, first=act.min, steps=np.array([steps], dtype=np.int64))


HANDLERS: dict[str, Handler] = {f"{domain}.MultiThreshold": _multi_threshold for domain in QONNX_DOMAINS}
