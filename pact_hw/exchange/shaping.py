"""What moves values and changes none."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from ..qat.conversion.values import Levels, Pixels, Sums
from .files import Node
from .layers import Clipped, Scaled
from .reader import Codes, Handler, Image, ModelReader, Value
from .weights import Weights, array


def _flatten(r: ModelReader, node: Node) -> Value:
    if node.integer("axis", 1) != 1:
        raise node.refuse("axis must be 1")
    return flat(r, node)


def flat(r: ModelReader, node: Node) -> Value:
    """The same with C, Y, X in one axis."""
    value = r.found[node.inputs[0]]
    if isinstance(value, Codes):
        return Codes(replace(value.levels, flat=True), value.zero)
    if isinstance(value, Image):
        return Image(value.shape, True)
    if isinstance(value, Clipped):
        return replace(value, sums=replace(value.sums, flat=True))
    x = r.values_of(node)
    if isinstance(x, Sums):
        return replace(x, flat=True)
    if not isinstance(x, Levels) or not x.plain:
        raise node.refuse("it flattens a part of a layer")
    return replace(x, flat=True)


def _reshape(r: ModelReader, node: Node) -> Value:
    target = [int(v) for v in array(r.constant(node, 1)).ravel()]
    value = r.found[node.inputs[0]]
    if isinstance(value, Codes | Scaled):
        value = value.levels
    elif isinstance(value, Clipped):
        value = value.sums
    shape = () if isinstance(value, Weights) else value.shape
    sizes = (math.prod(shape), -1)
    if (
        len(target) != 2
        or target[1] not in sizes
        or (target[1] == -1 and target[0] not in (0, 1, r.source.batch))
    ):
        raise node.refuse(f"shape {target}: only flattening (batch x {math.prod(shape)}) is supported")
    return flat(r, node)


def _squeeze(r: ModelReader, node: Node) -> Value:
    axes = r.optional(node, 1)
    given = node.integers("axes", []) if axes is None else [int(v) for v in array(axes).ravel()]
    if sorted(axis % 4 for axis in given) != [2, 3] or r.values_of(node).shape[1:] != (1, 1):  # type: ignore[union-attr]
        raise node.refuse(f"axes {given}")
    return flat(r, node)


def _concat(r: ModelReader, node: Node) -> Value:
    if node.integer("axis", 1) not in (1, -3):
        raise node.refuse("only channels can be joined")
    parts: list[Any] = [r.levels_of(node, i) for i in range(len(node.inputs))]
    joined = r.concatenate(node.name, parts)
    if isinstance(joined, Pixels):
        raise node.refuse("it joins images")
    return joined


def _same(r: ModelReader, node: Node) -> Value:
    return r.found[node.inputs[0]]


def _cast(r: ModelReader, node: Node) -> Value:
    if node.integer("to", 0) not in (1, 11):
        raise node.refuse("only to float or double")
    return r.values_of(node)


def _slice(r: ModelReader, node: Node) -> Value:
    starts, ends = (array(r.constant(node, i)).ravel().tolist() for i in (1, 2))
    given = [r.optional(node, 3), r.optional(node, 4)]
    axes = list(range(len(starts))) if given[0] is None else array(given[0]).ravel().tolist()
    steps = [1] * len(starts) if given[1] is None else array(given[1]).ravel().tolist()
    x = r.levels_of(node)
    index = [slice(None)] * 4
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        size = (1 << 62, *x.shape)[axis % 4]
        index[axis % 4] = slice(start, None if end >= size else end, step)
    return r.take_pixels(node.name, x, tuple(s if s != slice(0, None, 1) else slice(None) for s in index))


def _pad(r: ModelReader, node: Node) -> Value:
    given = r.optional(node, 1)
    pads = node.integers("pads", []) if given is None else [int(v) for v in array(given).ravel()]
    value = r.optional(node, 2)
    if node.text("mode", "constant") != "constant" or (value is not None and array(value).any()):
        raise node.refuse("only padding by zeros is supported")
    if len(pads) != 8 or pads[0] or pads[4] or r.optional(node, 3) is not None:
        raise node.refuse(f"pads {pads}")
    return r.pad(node.name, r.levels_of(node), (pads[3], pads[7], pads[2], pads[6], pads[1], pads[5]))


HANDLERS: dict[str, Handler] = {
    "Cast": _cast,
    "Concat": _concat,
    "Dropout": _same,
    "Flatten": _flatten,
    "Identity": _same,
    "Pad": _pad,
    "Reshape": _reshape,
    "Slice": _slice,
    "Squeeze": _squeeze,
}
