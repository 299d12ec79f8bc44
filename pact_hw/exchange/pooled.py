"""Pooling."""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from ..qat.conversion.pooling import average_pool, max_pool
from ..qat.conversion.values import Levels, Sums
from .files import Node
from .reader import Codes, Handler, ModelReader, Value
from .weighted import geometry
from .weights import array


def _window(node: Node) -> tuple[int, int, int]:
    sizes = node.integers("kernel_shape", [])
    if len(set(sizes)) != 1 or len(sizes) != 2 or sizes[0] < 1:
        raise node.refuse(f"kernel_shape {sizes}")
    return sizes[0], *geometry(node, sizes[0])


def _max_pool(r: ModelReader, node: Node) -> Value:
    value = r.found[node.inputs[0]]
    zero = value.zero if isinstance(value, Codes) else None
    levels = value.levels if isinstance(value, Codes) else r.levels_of(node)
    kernel, stride, padding = _window(node)
    pool = nn.MaxPool2d(kernel, stride, padding, ceil_mode=bool(node.integer("ceil_mode", 0)))
    pooled = max_pool(node.name, pool, levels, r.builder)
    return pooled if zero is None else Codes(pooled, zero)


def _average_pool(r: ModelReader, node: Node) -> Sums:
    kernel, stride, padding = _window(node)
    inside = not node.integer("count_include_pad", 0)
    pool = nn.AvgPool2d(
        kernel, stride, padding, bool(node.integer("ceil_mode", 0)), count_include_pad=not inside
    )
    return average_pool(node.name, pool, r.levels_of(node))


def global_average(r: ModelReader, node: Node, x: Levels) -> Sums:
    """The average over all pixels."""
    return average_pool(node.name, nn.AdaptiveAvgPool2d(1), x)


def _global_average(r: ModelReader, node: Node) -> Sums:
    return global_average(r, node, r.levels_of(node))


def _reduce_mean(r: ModelReader, node: Node) -> Sums:
    axes = r.optional(node, 1)
    given = node.integers("axes", []) if axes is None else [int(v) for v in array(axes).ravel()]
    if sorted(axis % 4 for axis in given) != [2, 3]:
        raise node.refuse(f"axes {given}")
    sums = global_average(r, node, r.levels_of(node))
    return sums if node.integer("keepdims", 1) else replace(sums, flat=True)


HANDLERS: dict[str, Handler] = {
    "AveragePool": _average_pool,
    "GlobalAveragePool": _global_average,
    "MaxPool": _max_pool,
    "ReduceMean": _reduce_mean,
}
