"""Convolutions and matrix products."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np

from ..qat.conversion.affine import Affine
from ..qat.conversion.values import Levels, Sums, weight_intervals
from ..spec import LayerKind
from .files import Node
from .reader import Handler, ModelReader, per_channel
from .weights import Constant, Weights, exact


def geometry(node: Node, kernel: int) -> tuple[int, int]:
    """Stride and padding, the same in both directions."""
    strides, dilations = node.integers("strides", [1, 1]), node.integers("dilations", [1, 1])
    pads = node.integers("pads", [0, 0, 0, 0])
    auto = node.text("auto_pad", "NOTSET")
    if auto in ("SAME_UPPER", "SAME_LOWER") and kernel % 2 and set(strides) == {1}:
        pads = [kernel // 2] * 4
    elif auto not in ("NOTSET", "VALID", ""):
        raise node.refuse(f"auto_pad {auto} with kernel {kernel} and strides {strides}")
    for name, values in (("strides", strides), ("dilations", dilations), ("pads", pads)):
        if len(set(values)) != 1:
            raise node.refuse(f"{name} {values} are not the same in all directions")
    if dilations[0] != 1 or strides[0] < 1 or pads[0] < 0:
        raise node.refuse(f"dilations {dilations}, strides {strides}, pads {pads}")
    return strides[0], pads[0]


def conv(r: ModelReader, node: Node, x: Levels, weights: Constant, bias: Constant | None) -> Sums:
    """The sums of a 2-D convolution."""
    if not isinstance(weights, Weights):
        raise node.refuse("its weights are not quantised")
    shape = weights.levels.shape
    groups = node.integer("group", 1)
    if (
        len(shape) != 4
        or shape[2] != shape[3]
        or node.integers("kernel_shape", list(shape[2:])) != list(shape[2:])
    ):
        raise node.refuse(f"weights of shape {shape}: a square kernel in two dimensions is supported")
    kernel, stride, padding = shape[2], *geometry(node, shape[2])
    if x.flat or x.stride != 1 or x.channels != x.shape[0]:
        raise node.refuse("it reads a flat tensor, or a part of one")
    if not 1 <= groups <= shape[0] or shape[1] * groups != x.shape[0] or shape[0] % groups:
        raise node.refuse(f"weights of shape {shape} in {groups} groups for {x.shape[0]} channels")
    y, width = ((size + 2 * padding - kernel) // stride + 1 for size in x.shape[1:])
    if min(y, width) < 1:
        raise node.refuse(f"kernel {kernel} for {x.shape[1]} x {x.shape[2]} pixels")
    sizes = {"kernel": kernel, "stride": stride, "padding": padding + x.padding, "groups": groups}
    return _weighted(node, LayerKind.CONV, x, weights, bias, (shape[0], y, width), sizes)


def linear(node: Node, x: Levels, weights: Constant, bias: Constant | None) -> Sums:
    """The sums of a matrix product with weights N x K."""
    if not isinstance(weights, Weights):
        raise node.refuse("its weights are not quantised")
    shape = weights.levels.shape
    if not x.plain or not x.flat or len(shape) != 2 or shape[1] != math.prod(x.shape):
        raise node.refuse(f"weights of shape {shape} for an input of {x.shape}; it must be flat")
    return _weighted(node, LayerKind.LINEAR, x, weights, bias, (shape[0], 1, 1), {})


def _weighted(
    node: Node,
    kind: LayerKind,
    x: Levels,
    weights: Weights,
    bias: Constant | None,
    shape: Any,
    sizes: dict[str, int],
) -> Sums:
    """Sums with ``weights``, whose first axis is the output channel."""
    scales = weights.channel_scales(0)
    if scales is None:
        raise node.refuse("its weights have several scales within one output channel")
    codes, weight = weights.codes()
    offsets = [Fraction(0)] * shape[0] if bias is None else exact(bias)
    if len(offsets) != shape[0]:
        raise node.refuse(f"{len(offsets)} biases for {shape[0]} channels")
    return Sums(
        path=node.name,
        kind=kind,
        source=x,
        shape=shape,
        affines=[Affine(scale=s * x.value, offset=b) for s, b in zip(scales, offsets, strict=True)],
        intervals=weight_intervals(codes, weight, x.act),
        act=x.act,
        weight=weight,
        codes=codes,
        geometry=sizes,
        flat=kind is LayerKind.LINEAR,
    )


def _conv(r: ModelReader, node: Node) -> Sums:
    return conv(r, node, r.levels_of(node), r.constant(node, 1), r.optional(node, 2))


def with_offsets(sums: Sums, offsets: list[Fraction]) -> Sums:
    """``sums`` plus one number for each channel."""
    return sums.map(lambda n, affine: affine.then(Fraction(1), offsets[n]))


def _gemm(r: ModelReader, node: Node) -> Sums:
    if (
        node.attributes.get("alpha", 1.0) != 1
        or node.attributes.get("beta", 1.0) != 1
        or node.integer("transA", 0)
    ):
        raise node.refuse("alpha, beta and transA must be 1, 1 and 0")
    weights = r.constant(node, 1)
    if isinstance(weights, Weights) and not node.integer("transB", 0):
        weights = weights.map(np.transpose)
    x = r.levels_of(node)
    bias = r.optional(node, 2)
    result = linear(node, x, weights, None)
    return result if bias is None else with_offsets(result, per_channel(node, bias, result))


def _mat_mul(r: ModelReader, node: Node) -> Sums:
    weights = r.constant(node, 1)
    if isinstance(weights, Weights):
        weights = weights.map(np.transpose)
    return linear(node, r.levels_of(node), weights, None)


HANDLERS: dict[str, Handler] = {
    "Conv": _conv,
    "Gemm": _gemm,
    "MatMul": _mat_mul,
}
