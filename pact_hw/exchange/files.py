"""An ONNX file as plain nodes and arrays. Nothing in it is executed, and nothing is believed.

Only its structure is read here: sizes are limited, every tensor has exactly its data, every value
is finite, each node reads what earlier nodes gave (so there are no cycles), external data lie in the
model's own folder.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files import read
from .packages import package
from .tensors import Array, check_sizes, unpack

MAX_BYTES = 1 << 29
"""The largest model file."""
MAX_NODES = 20_000
MAX_SIZE = 1 << 16
"""Of the input in any direction."""
MAX_PIXELS = 1 << 26
"""Elements of the input of one image."""

INTEGER_TYPES = {2: (0, 255), 3: (-128, 127), 4: (0, 65535), 5: (-32768, 32767)}
"""Integer types that an input may have, and their values."""
_FLOAT = 1
_TENSOR = 4  # AttributeProto.AttributeType


@dataclass(frozen=True, kw_only=True)
class Node:
    """One operation: ``op`` with the domain in front where it is not ONNX's own."""

    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any] = field(default_factory=dict)

    def refuse(self, why: str) -> InputError:
        """The refusal of this node."""
        return InputError(f"node {self.name!r} ({self.op}) cannot be imported: {why}")

    def integers(self, name: str, default: list[int]) -> list[int]:
        """The attribute ``name``, a list of integers."""
        value = self.attributes.get(name, default)
        if not isinstance(value, list) or not all(isinstance(v, int) for v in value):
            raise self.refuse(f"{name} {value!r} is not a list of integers")
        return value

    def integer(self, name: str, default: int) -> int:
        """The attribute ``name``, an integer."""
        value = self.attributes.get(name, default)
        if not isinstance(value, int):
            raise self.refuse(f"{name} {value!r} is not an integer")
        return value

    def text(self, name: str, default: str) -> str:
        """The attribute ``name``, a text."""
        return str(self.attributes.get(name, default))


@dataclass(kw_only=True)
class Model:
    """What a file holds."""

    name: str
    nodes: list[Node]
    constants: dict[str, Array]
    input: str
    shape: tuple[int, ...]
    """Of one image or row, without the batch."""
    batch: int | None
    """Where the file fixes it."""
    input_type: int
    output: str
    proto: Any
    """The file's content, with all data in it, for the executors."""

    @property
    def qonnx(self) -> bool:
        """Whether there are operations of QONNX in it."""
        return any("Quant" in node.op and "." in node.op for node in self.nodes)


def read_model(path: Path) -> Model:
    """The model in ``path``.

    Raises:
        InputError: it is missing, damaged, hostile, or uses what we have no integer form for.
    """
    onnx = package("onnx")

    def load() -> Model:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"larger than {MAX_BYTES} bytes")
        proto = onnx.ModelProto.FromString(path.read_bytes())
        return _model(proto, path)

    try:
        return read(path, load)
    except InputError as error:
        text = str(error)
        raise InputError(text if text.startswith(str(path)) else f"{path}: {text}") from None


def _model(proto: Any, path: Path) -> Model:
    graph = proto.graph
    if proto.functions or graph.sparse_initializer:
        raise InputError("functions and sparse tensors are not supported")
    if not graph.node or len(graph.output) != 1:
        raise InputError(f"a network has nodes and one output, not {len(graph.output)}: truncated?")
    if len(graph.node) > MAX_NODES:
        raise InputError(f"{len(graph.node)} nodes are more than {MAX_NODES}")
    inside = (a.t for node in graph.node for a in node.attribute if a.type == _TENSOR)
    check_sizes(itertools.chain(graph.initializer, inside))
    constants: dict[str, Array] = {}
    for tensor in graph.initializer:
        if tensor.name in constants:
            raise InputError(f"tensor {tensor.name!r} is given twice")
        constants[tensor.name] = unpack(tensor, path.parent)
    nodes = []
    for node in graph.node:
        attributes = dict(_attributes(node, path.parent))
        name = (node.name or (node.output[0] if node.output else node.op_type))[:200]
        op = f"{node.domain}.{node.op_type}" if node.domain not in ("", "ai.onnx") else node.op_type
        nodes.append(
            Node(
                op=op,
                name=name,
                inputs=tuple(node.input),
                outputs=tuple(node.output),
                attributes=attributes,
            )
        )
    inputs = [value for value in graph.input if value.name not in constants]
    if len(inputs) != 1:
        raise InputError(f"a network has one input, not {len(inputs)}")
    shape, batch = _shape(inputs[0])
    _check_order(nodes, {inputs[0].name, *constants})
    output = graph.output[0].name
    return Model(
        name=path.stem,
        nodes=_needed(nodes, output),
        constants=constants,
        input=inputs[0].name,
        shape=shape,
        batch=batch,
        input_type=inputs[0].type.tensor_type.elem_type,
        output=output,
        proto=proto,
    )


def _attributes(node: Any, folder: Path) -> Iterator[tuple[str, Any]]:
    for attribute in node.attribute:
        kind = attribute.type
        value: Any
        if kind == 1:
            value = float(attribute.f)
        elif kind == 2:
            value = int(attribute.i)
        elif kind == 3:
            value = attribute.s.decode(errors="replace")
        elif kind == _TENSOR:
            value = unpack(attribute.t, folder)
        elif kind == 6:
            value = [float(x) for x in attribute.floats]
        elif kind == 7:
            value = [int(x) for x in attribute.ints]
        else:
            raise InputError(
                f"node {node.name!r} ({node.op_type}): attribute {attribute.name!r} of type {kind}"
            )
        yield attribute.name, value


def _shape(value: Any) -> tuple[tuple[int, ...], int | None]:
    """The input's shape without the batch, and the batch where it is fixed."""
    tensor = value.type.tensor_type
    if tensor.elem_type != _FLOAT and tensor.elem_type not in INTEGER_TYPES:
        raise InputError(
            f"input {value.name!r} has data type {tensor.elem_type}: float, or 8 or 16-bit integer"
        )
    sizes = [int(dim.dim_value) for dim in tensor.shape.dim]
    largest = max(sizes[1:], default=0)
    if (
        len(sizes) not in (2, 4)
        or min(sizes[1:]) < 1
        or largest > MAX_SIZE
        or math.prod(sizes[1:]) > MAX_PIXELS
    ):
        raise InputError(
            f"input {value.name!r} must be batch x C x Y x X, or batch x features, of fixed sizes up to "
            f"{MAX_SIZE} and {MAX_PIXELS} elements in all, not {sizes}"
        )
    return tuple(sizes[1:]), sizes[0] if sizes[0] > 0 else None


def _check_order(nodes: list[Node], known: set[str]) -> None:
    """Refuse cycles, and names that are given twice or never."""
    for node in nodes:
        for name in node.inputs:
            if name and name not in known:
                raise node.refuse(f"it reads {name!r}, which nothing before it gives: a cycle?")
        for name in node.outputs:
            if name and name in known:
                raise node.refuse(f"{name!r} is given twice")
            known.add(name)


def _needed(nodes: list[Node], output: str) -> list[Node]:
    """Those of which the output depends."""
    wanted, kept = {output}, []
    for node in reversed(nodes):
        if wanted.intersection(node.outputs):
            wanted.update(node.inputs)
            kept.append(node)
    return kept[::-1]
