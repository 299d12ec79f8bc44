"""ONNX's operations on codes (QLinear...): dequantise, compute, quantise, in one node each."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from torch import nn

from ..qat.conversion.pooling import average_pool
from ..qat.conversion.values import Levels, Sums
from .files import Node
from .grids import quantize_linear
from .pooled import global_average
from .reader import Codes, Handler, ModelReader
from .weighted import conv, linear
from .weights import Weights, array, dequantised

MICROSOFT = "com.microsoft"


def _weights(r: ModelReader, node: Node, index: int) -> Weights:
    codes = array(r.constant(node, index))
    zero = r.optional(node, index + 2)
    point = np.zeros((), codes.dtype) if zero is None else array(zero)
    # The scales of a QLinear node go along the output channel: here the first axis.
    channelled = Node(op=node.op, name=node.name, inputs=(), outputs=(), attributes={"axis": 0})
    return dequantised(channelled, codes, array(r.constant(node, index + 1)), point)


def _codes(r: ModelReader, node: Node, x: Sums | Levels, index: int) -> Codes:
    """``x`` quantised by the scale and zero point at ``index``."""
    zero = r.optional(node, index + 1)
    point = np.zeros((), np.uint8) if zero is None else array(zero)
    grid = quantize_linear(node, array(r.constant(node, index)), point)
    return Codes(r.builder.requantise(node.name, x, grid), int(point.ravel()[0]))


def _biased(r: ModelReader, node: Node, sums: Sums, index: int) -> Sums:
    """``sums`` with the integer bias at ``index``, in units of the accumulators."""
    given = r.optional(node, index)
    if given is None:
        return sums
    bias = array(given).ravel().tolist()
    if len(bias) != sums.shape[0]:
        raise node.refuse(f"{len(bias)} biases for {sums.shape[0]} channels")
    return sums.map(lambda n, affine: affine.then(Fraction(1), bias[n] * affine.scale))


def _conv(r: ModelReader, node: Node) -> Codes:
    sums = conv(r, node, r.dequantise(node), _weights(r, node, 3), None)
    return _codes(r, node, _biased(r, node, sums, 8), 6)


def _mat_mul(r: ModelReader, node: Node) -> Codes:
    weights = _weights(r, node, 3)
    if weights.scale.size > 1:
        raise node.refuse("scales per column")
    return _codes(r, node, linear(node, r.dequantise(node), weights.map(np.transpose), None), 6)


def _gemm(r: ModelReader, node: Node) -> Codes | Sums:
    weights = _weights(r, node, 3)
    if node.attributes.get("alpha", 1.0) != 1 or node.integer("transA", 0):
        raise node.refuse("alpha and transA must be 1 and 0")
    if not node.integer("transB", 0):
        if weights.scale.size > 1:
            raise node.refuse("scales per column")
        weights = weights.map(np.transpose)
    sums = _biased(r, node, linear(node, r.dequantise(node), weights, None), 6)
    return _codes(r, node, sums, 7) if len(node.inputs) > 7 and node.inputs[7] else sums


def _add(r: ModelReader, node: Node) -> Codes:
    return _codes(r, node, r.add(node.name, r.dequantise(node), r.dequantise(node, 3)), 6)


def _global_average(r: ModelReader, node: Node) -> Codes:
    _channels_first(node)
    return _codes(r, node, global_average(r, node, r.dequantise(node)), 3)


def _average(r: ModelReader, node: Node) -> Codes:
    _channels_first(node)
    sizes, strides = node.integers("kernel_shape", []), node.integers("strides", [1, 1])
    pads = node.integers("pads", [0] * 4)
    if any(len(set(v)) != 1 for v in (sizes, strides, pads)) or pads[0] < 0 or min(sizes[0], strides[0]) < 1:
        raise node.refuse(f"kernel_shape {sizes}, strides {strides}, pads {pads}")
    pool = nn.AvgPool2d(
        sizes[0],
        strides[0],
        pads[0],
        bool(node.integer("ceil_mode", 0)),
        bool(node.integer("count_include_pad", 0)),
    )
    return _codes(r, node, average_pool(node.name, pool, r.dequantise(node)), 3)


def _channels_first(node: Node) -> None:
    if node.integer("channels_last", 0):
        raise node.refuse("channels_last")


def _concat(r: ModelReader, node: Node) -> Codes:
    if node.integer("axis", 1) not in (1, -3):
        raise node.refuse("only channels can be joined")
    parts = [r.dequantise(node, index) for index in range(2, len(node.inputs), 3)]
    joined = r.concatenate(node.name, list(parts))
    if not isinstance(joined, Sums):
        raise node.refuse("a concatenation of one tensor")
    return _codes(r, node, joined, 0)


HANDLERS: dict[str, Handler] = {
    "QLinearConv": _conv,
    "QLinearMatMul": _mat_mul,
    f"{MICROSOFT}.QGemm": _gemm,
    f"{MICROSOFT}.QLinearAdd": _add,
    f"{MICROSOFT}.QLinearAveragePool": _average,
    f"{MICROSOFT}.QLinearConcat": _concat,
    f"{MICROSOFT}.QLinearGlobalAveragePool": _global_average,
    f"{MICROSOFT}.DequantizeLinear": lambda r, node: r.dequantise(node),
}
