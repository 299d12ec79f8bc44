"""Quantisers, batch normalisation, clips, sums and factors."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from torch import nn

from ..qat.conversion.affine import Affine, batch_norm
from ..qat.conversion.values import Levels, Sums
from .files import Node
from .grids import Grid, positive, quant, quantize_linear
from .layers import Clipped, Scaled
from .reader import QONNX_DOMAINS, Codes, Handler, ModelReader, Value, per_channel
from .weights import Weights, array


def _quant(r: ModelReader, node: Node) -> Levels:
    return r.quantise(node, quant(node, *(array(r.constant(node, i)) for i in (1, 2, 3))))


def _bipolar(r: ModelReader, node: Node) -> Levels:
    scale = positive(node, array(r.constant(node, 1)))
    return r.quantise(node, Grid(scale=scale, low=-1, high=1, bipolar=True))


def _quantize_linear(r: ModelReader, node: Node) -> Codes:
    zero = r.optional(node, 2)
    point = np.zeros((), np.uint8) if zero is None else array(zero)
    grid = quantize_linear(node, array(r.constant(node, 1)), point)
    return Codes(r.quantise(node, grid), int(point.ravel()[0]))


def _dequantize_linear(r: ModelReader, node: Node) -> Levels:
    return r.dequantise(node)


def _batch_norm(r: ModelReader, node: Node) -> Sums:
    sums = r.sums_of(node)
    given = [array(r.constant(node, i)) for i in (1, 2, 3, 4)]
    if any(v.shape != (sums.shape[0],) for v in given) or node.integer("training_mode", 0):
        raise node.refuse(f"parameters of shapes {[v.shape for v in given]} for {sums.shape[0]} channels")
    if not (given[3] + node.attributes.get("epsilon", 1e-5) > 0).all():
        raise node.refuse("a variance is negative")
    norm = nn.BatchNorm2d(sums.shape[0], eps=float(node.attributes.get("epsilon", np.float32(1e-5))))
    tensors = [torch.from_numpy(np.array(v)) for v in given]
    norm.weight, norm.bias = nn.Parameter(tensors[0]), nn.Parameter(tensors[1])
    norm.running_mean, norm.running_var = tensors[2], tensors[3]
    factors = batch_norm(norm)
    return sums.map(lambda n, affine: affine.then(*factors[n]))


def _relu(r: ModelReader, node: Node) -> Value:
    return _clipped(r.values_of(node), Fraction(0), None, r, node)


def _clip(r: ModelReader, node: Node) -> Value:
    bounds: list[Fraction | None] = []
    for index, name in ((1, "min"), (2, "max")):
        given = r.optional(node, index)
        value = node.attributes.get(name) if given is None else float(array(given).ravel()[0])
        bounds.append(None if value is None or math.isinf(value) else Fraction(value))
    return _clipped(r.values_of(node), bounds[0], bounds[1], r, node)


def _clipped(x: Any, low: Fraction | None, high: Fraction | None, r: ModelReader, node: Node) -> Value:
    if isinstance(x, Levels):
        under = low is None or low <= x.act.min * x.value
        if under and (high is None or high >= x.act.max * x.value):
            return x
        x = r.builder.identity(node.name, x)
    if isinstance(x, Clipped):
        low = x.low if low is None else low if x.low is None else max(low, x.low)
        high = x.high if high is None else high if x.high is None else min(high, x.high)
        x = x.sums
    return Clipped(sums=x, low=low, high=high)


def _add(r: ModelReader, node: Node) -> Value:
    return _sum(r, node, 1)


def _sub(r: ModelReader, node: Node) -> Value:
    return _sum(r, node, -1)


def _sum(r: ModelReader, node: Node, sign: int) -> Sums:
    fixed = [i for i, name in enumerate(node.inputs) if isinstance(r.found[name], np.ndarray | Weights)]
    if fixed:
        sums = r.sums_of(node, 1 - fixed[0])
        offsets = [sign ** (fixed[0]) * v for v in per_channel(node, r.constant(node, fixed[0]), sums)]
        factor = Fraction(sign if fixed[0] == 0 else 1)
        return sums.map(lambda n, affine: affine.then(factor, offsets[n]))
    if sign < 0:
        raise node.refuse("a difference of two tensors")
    for i, name in enumerate(node.inputs):
        other = r.found[name]
        if isinstance(other, Scaled) and len(node.inputs) == 2:
            return _with_residual(node, r.sums_of(node, 1 - i), other)
    operands = [r.values_of(node, i) for i in range(len(node.inputs))]
    plain: list[Levels | Sums] = []
    for i, value in enumerate(operands):
        plain.append(r.levels_of(node, i) if isinstance(value, Clipped) else value)
    return r.add(node.name, *plain)


def _with_residual(node: Node, sums: Sums, other: Scaled) -> Sums:
    """``sums`` plus levels times one factor for each channel."""
    levels = other.levels
    if sums.residual is not None or levels.padding or levels.shape != sums.shape:
        raise node.refuse(f"it adds {levels.shape} to {sums.shape}, or more than two tensors")
    scales = [affine.scale for affine in other.affines]
    added = sums.map(lambda n, a: Affine(scale=a.scale, offset=a.offset, residual_scale=scales[n]))
    added.residual = levels
    return added


def _mul(r: ModelReader, node: Node) -> Sums | Scaled:
    return _scaled(r, node, lambda v: v)


def _div(r: ModelReader, node: Node) -> Sums | Scaled:
    return _scaled(r, node, lambda v: 1 / v)


def _scaled(r: ModelReader, node: Node, change: Callable[[Fraction], Fraction]) -> Sums | Scaled:
    fixed = [i for i, name in enumerate(node.inputs) if isinstance(r.found[name], np.ndarray | Weights)]
    if not fixed or (node.op == "Div" and fixed != [1]):
        raise node.refuse("only a constant factor or divisor is supported")
    source = r.found[node.inputs[1 - fixed[0]]]
    if isinstance(source, Levels):
        factors = [change(v) for v in per_channel(node, r.constant(node, fixed[0]), source)]
        return Scaled(levels=source, affines=[Affine(scale=source.value * f) for f in factors])
    sums = r.sums_of(node, 1 - fixed[0])
    factors = [change(v) for v in per_channel(node, r.constant(node, fixed[0]), sums)]
    return sums.map(lambda n, affine: affine.then(factors[n]))


HANDLERS: dict[str, Handler] = {
    "Add": _add,
    "BatchNormalization": _batch_norm,
    "Clip": _clip,
    "DequantizeLinear": _dequantize_linear,
    "Div": _div,
    "Mul": _mul,
    "QuantizeLinear": _quantize_linear,
    "Relu": _relu,
    "Sub": _sub,
}
for _domain in QONNX_DOMAINS:
    HANDLERS |= {f"{_domain}.{_op}": _quant for _op in ("Quant", "IntQuant")}
    HANDLERS[f"{_domain}.BipolarQuant"] = _bipolar
