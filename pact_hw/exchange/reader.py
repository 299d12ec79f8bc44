"""A model's nodes, read as integer layers.

A quantiser ends a layer, whose sums began at a convolution, a matrix product, average pooling, a
concatenation or an addition; between them batch normalisation, constants and ReLU are folded in. What
cannot be computed in integers exactly is refused with the node's name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from ..errors import InputError
from ..progress import Advance
from ..qat.conversion.operations import Operations
from ..qat.conversion.values import Levels, Sums
from ..spec.layer import Shape
from .files import INTEGER_TYPES, Model, Node
from .grids import Grid, quantize_linear
from .layers import Clipped, GridBuilder, Scaled
from .tensors import Array
from .weights import Constant, Weights, array, bipolar, dequantised, exact, fold, quantised

QONNX_DOMAINS = ("qonnx.custom_op.general", "onnx.brevitas", "finn.custom_op.general")


@dataclass(frozen=True)
class Image:
    """The model's input."""

    shape: Shape
    flat: bool


@dataclass(frozen=True)
class Codes:
    """Levels as integer codes: ``level + zero``."""

    levels: Levels
    zero: int


Value = Image | Codes | Levels | Scaled | Sums | Clipped | Array | Weights
Handler = Callable[["ModelReader", Node], Value]


class ModelReader(Operations):
    """Walks through ``model`` and hands its layers to ``builder``."""

    builder: GridBuilder

    def __init__(self, model: Model, builder: GridBuilder, handlers: Mapping[str, Handler]) -> None:
        super().__init__(builder)
        self.source, self.handlers = model, handlers
        self.found: dict[str, Value] = {}

    def read(self, advance: Advance = lambda _: None) -> None:
        """Read every node, and the output."""
        model = self.source
        c, y, x = (*model.shape, 1, 1)[:3]
        self.found |= model.constants
        self.found[model.input] = Image(shape=(c, y, x), flat=len(model.shape) == 1)
        for node in model.nodes:
            try:
                self._node(node)
            except InputError as error:
                if node.name in str(error):
                    raise
                raise node.refuse(str(error)) from None
            except (IndexError, KeyError, ValueError, TypeError, OverflowError, ZeroDivisionError) as error:
                raise node.refuse(f"{type(error).__name__}: {error}") from None
            advance(1)
        for name, value in self.found.items():
            if isinstance(value, Sums) and (levels := self.builder.exact_levels(value)) is not None:
                self._observe(name, levels)
        self._result()

    def _node(self, node: Node) -> None:
        inputs = [self.found[name] for name in node.inputs if name]
        value: Value
        if node.op == "Constant":
            value = constant(node)
        elif inputs and all(isinstance(v, np.ndarray | Weights) for v in inputs):
            value = self.constants(node)
        else:
            handler = self.handlers.get(node.op)
            if handler is None:
                raise node.refuse("this operation has no integer form here")
            value = handler(self, node)
        if len([name for name in node.outputs if name]) != 1:
            raise node.refuse(f"{len(node.outputs)} outputs")
        name = node.outputs[0]
        self.found[name] = value
        if isinstance(value, Levels):
            self._observe(name, value)
        elif isinstance(value, Codes) and value.levels.plain:
            self.builder.observed.setdefault(value.levels.name, (name, Fraction(1), value.zero))

    def _observe(self, tensor: str, levels: Levels) -> None:
        if levels.plain:
            self.builder.observed.setdefault(levels.name, (tensor, levels.value, 0))

    def _result(self) -> None:
        output = self.source.output
        value = self.found.get(output)
        if isinstance(value, Codes):
            value = value.levels
        if not isinstance(value, Levels | Sums | Clipped):
            raise InputError(f"output {output!r} is not the result of any quantised layer")
        if self.builder.input is None:
            raise InputError("nothing quantises the input")
        self.builder.result(output, value, output)

    # What nodes read.

    def constants(self, node: Node) -> Constant:
        """What ``node`` makes of constants alone."""
        given = [self.constant(node, i) for i in range(len(node.inputs))]
        if is_quant(node):
            return quantised(node, *(array(v) for v in given))
        if is_bipolar(node):
            return bipolar(node, *(array(v) for v in given))
        if node.op == "QuantizeLinear":
            values, scale, zero = (*(array(v) for v in given), np.zeros((), np.uint8))[:3]
            low, high = np.iinfo(zero.dtype).min, np.iinfo(zero.dtype).max
            if scale.size != 1 or zero.size != 1 or not scale > 0:
                raise node.refuse("constants quantised along an axis, or by a scale that is not positive")
            codes: Array = np.clip(np.round(values / scale) + zero.astype(np.float64), low, high)
            return codes.astype(zero.dtype)
        if node.op == "DequantizeLinear":
            codes, scale = array(given[0]), array(given[1])
            zero = array(given[2]) if len(given) > 2 else np.zeros((), codes.dtype)
            return dequantised(node, codes, scale, zero)
        return fold(node, given)

    def constant(self, node: Node, index: int) -> Constant:
        """Input ``index``, a constant."""
        value = self.found[node.inputs[index]] if index < len(node.inputs) and node.inputs[index] else None
        if not isinstance(value, np.ndarray | Weights):
            raise node.refuse(f"input {index} must be a constant")
        return value

    def optional(self, node: Node, index: int) -> Constant | None:
        """Input ``index``, a constant, if there is one."""
        return self.constant(node, index) if index < len(node.inputs) and node.inputs[index] else None

    def values_of(self, node: Node, index: int = 0) -> Levels | Sums | Clipped:
        """Input ``index``, numbers that flow through the network."""
        value = self.found[node.inputs[index]]
        if isinstance(value, Image):
            raise node.refuse("it reads the input, which nothing has quantised")
        if isinstance(value, Codes):
            raise node.refuse("it reads codes that are not dequantised")
        if isinstance(value, np.ndarray | Weights):
            raise node.refuse(f"input {index} is a constant")
        if isinstance(value, Scaled):
            sums = self.builder.identity(node.name, value.levels)
            return sums.map(lambda n, _: value.affines[n])
        return value

    def sums_of(self, node: Node, index: int = 0) -> Sums:
        """The same as sums, for what is folded into them."""
        value = self.values_of(node, index)
        if isinstance(value, Clipped):
            raise node.refuse("it stands behind a ReLU or clip that nothing quantises")
        return self.builder.identity(node.name, value) if isinstance(value, Levels) else value

    def levels_of(self, node: Node, index: int = 0) -> Levels:
        """The same as levels, for what is multiplied, pooled, moved."""
        value = self.values_of(node, index)
        if isinstance(value, Clipped):
            sums = value.sums
            if not self.builder.is_exact(sums) or value.high is not None or value.low != 0:
                raise node.refuse("it reads a ReLU or clip that nothing quantises")
            scale = sums.affines[0].scale
            high = max(high for _, high in sums.intervals)
            return self.builder.requantise(node.name, value, Grid(scale=scale, low=0, high=high))
        return self.levels(node.name, value)

    # Quantisers.

    def quantise(self, node: Node, grid: Grid) -> Levels:
        """The levels of ``grid`` for what ``node`` reads."""
        value = self.found[node.inputs[0]]
        if isinstance(value, Image):
            if self.source.input_type in INTEGER_TYPES:
                raise node.refuse("it quantises an input of integers")
            return self.builder.set_input(grid, value.shape, flat=value.flat)
        return self.builder.requantise(node.name, self.values_of(node), grid)

    def dequantise(self, node: Node, index: int = 0) -> Levels:
        """The levels of codes, worth the scale that ``node`` states; scale and zero point follow."""
        scale, zero = array(self.constant(node, index + 1)), self.optional(node, index + 2)
        value = self.found[node.inputs[index]]
        if isinstance(value, Image):
            low, high = INTEGER_TYPES.get(self.source.input_type, (0, 0))
            kind = {(0, 255): np.uint8, (-128, 127): np.int8, (0, 65535): np.uint16}.get(
                (low, high), np.int16
            )
            grid = quantize_linear(node, scale, np.zeros((), kind) if zero is None else array(zero))
            return self.builder.set_input(grid, value.shape, flat=value.flat)
        if not isinstance(value, Codes):
            raise node.refuse("it reads something that is not codes")
        point = 0 if zero is None else int(array(zero).ravel()[0])
        if scale.size != 1 or not np.isfinite(scale).all() or not scale.ravel()[0] > 0:
            raise node.refuse(f"scale {scale} is not one positive number")
        if point != value.zero or (zero is not None and array(zero).size != 1):
            raise node.refuse(f"zero point {point}, but its codes have {value.zero}")
        return Levels(**{**vars(value.levels), "value": Fraction(float(scale.ravel()[0]))})


def is_quant(node: Node) -> bool:
    """Whether it is QONNX's ``Quant`` (of late also ``IntQuant``)."""
    return node.op in {f"{domain}.{op}" for domain in QONNX_DOMAINS for op in ("Quant", "IntQuant")}


def is_bipolar(node: Node) -> bool:
    """Whether it is QONNX's ``BipolarQuant``."""
    return node.op in {f"{domain}.BipolarQuant" for domain in QONNX_DOMAINS}


def constant(node: Node) -> Array:
    """The value of a ``Constant``."""
    for name, dtype in (
        ("value_float", np.float32),
        ("value_floats", np.float32),
        ("value_int", np.int64),
        ("value_ints", np.int64),
    ):
        if name in node.attributes:
            values = np.asarray(node.attributes[name], dtype=dtype)
            if not np.isfinite(values).all():
                raise node.refuse("a constant is NaN or infinite")
            return values
    value = node.attributes.get("value")
    if not isinstance(value, np.ndarray):
        raise node.refuse("a constant without a tensor")
    return value


def per_channel(node: Node, value: Constant, sums: Sums | Levels) -> list[Fraction]:
    """A constant that is broadcast to ``sums``, as one number for each of its channels."""
    n = sums.shape[0]
    shape = np.shape(value.levels if isinstance(value, Weights) else value)
    rank = 2 if sums.flat else 4
    axis = len(shape) - 1 if sums.flat else len(shape) - 3
    wide = [i for i, size in enumerate(shape) if size != 1]
    if len(shape) > rank or (wide and (wide != [axis] or shape[axis] != n)):
        raise node.refuse(f"a constant of shape {shape} for {n} channels")
    numbers = exact(value)
    return numbers if len(numbers) == n else numbers * n
