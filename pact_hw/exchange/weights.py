"""Constants: weights on a grid, and what is computed from constants alone.

Float32 arithmetic on constants is done as the executors do it, so that weights are the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from ..golden.matmul import Int64
from ..spec import WeightEncoding, WeightFormat
from .files import Node
from .grids import bounds, rounding_mode
from .tensors import Array


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Constants ``levels * scale``, elementwise; ``bits`` is the width that the model states."""

    levels: Int64
    scale: Array
    bits: int

    def map(self, change: Any) -> Weights:
        """``change`` (a transposition, a new shape) applied to levels and scales."""
        scale = np.broadcast_to(self.scale, self.levels.shape)
        return replace(self, levels=change(self.levels), scale=change(scale))

    def channel_scales(self, axis: int) -> list[Fraction] | None:
        """One scale for each index of ``axis``; None where there are several."""
        scale = np.broadcast_to(self.scale, self.levels.shape)
        rows = np.moveaxis(scale, axis, 0).reshape(scale.shape[axis], -1)
        if (rows != rows[:, :1]).any():
            return None
        return [Fraction(float(value)) for value in rows[:, 0]]

    def exact(self) -> list[Fraction]:
        """Every value, row-major, as an exact number."""
        scale = np.broadcast_to(self.scale, self.levels.shape).ravel().tolist()
        return [level * Fraction(s) for level, s in zip(self.levels.ravel().tolist(), scale, strict=True)]

    def codes(self) -> tuple[Int64, WeightFormat]:
        """The codes of the levels, in the format that suits them."""
        low, high = int(self.levels.min()), int(self.levels.max())
        if (self.levels % 2).all():
            weight = WeightFormat(bits=max(1, max(-low, high).bit_length()), encoding=WeightEncoding.ODD)
            return (self.levels + weight.levels) // 2, weight
        needed = 1 + max((-low - 1).bit_length() if low < 0 else 0, high.bit_length() if high > 0 else 0)
        weight = WeightFormat(bits=max(self.bits, needed), encoding=WeightEncoding.TWOS_COMPLEMENT)
        return self.levels % (1 << weight.bits), weight


Constant = Array | Weights


def array(value: Constant) -> Array:
    """The values as an executor has them."""
    if isinstance(value, Weights):
        return np.asarray(value.levels.astype(np.float32) * value.scale, dtype=np.float32)
    return value


def exact(value: Constant) -> list[Fraction]:
    """The values, row-major, as exact numbers."""
    return value.exact() if isinstance(value, Weights) else [Fraction(v) for v in value.ravel().tolist()]


def quantised(node: Node, values: Array, scale: Array, zero: Array, bits: Array) -> Weights:
    """``Quant`` of a constant, as QONNX's executor rounds it."""
    width = float(bits.ravel()[0]) if bits.size else 0.0
    if bits.size != 1 or width != int(width) or not 1 <= width <= 32:
        raise node.refuse(f"bit width {width:g} of constants is not an integer from 1 to 32")
    _check_scale(node, values, scale)
    _check_shape(node, values, zero)
    signed, narrow = bool(node.integer("signed", 1)), bool(node.integer("narrow", 0))
    z = values / scale
    if signed and width == 1:
        return Weights(levels=np.where(z + zero >= 0, 1, -1).astype(np.int64), scale=scale, bits=1)
    doubled = 2 * np.asarray(zero, dtype=np.float64)
    if (doubled != np.round(doubled)).any() or (np.abs(doubled) > 1 << 32).any():
        raise node.refuse("zero points of constants must be multiples of 1/2")
    low, high = bounds(int(width), signed=signed, narrow=narrow)
    codes = _round(np.clip(z + zero, low, high), rounding_mode(node)).astype(np.int64)
    levels = 2 * codes - doubled.astype(np.int64)
    if not (levels % 2).any():
        return Weights(levels=levels // 2, scale=scale, bits=int(width))
    return Weights(levels=levels, scale=np.asarray(scale) / 2, bits=int(width) + 1)


def bipolar(node: Node, values: Array, scale: Array) -> Weights:
    """``BipolarQuant`` of a constant: its signs."""
    _check_scale(node, values, scale)
    return Weights(levels=np.where(values >= 0, 1, -1).astype(np.int64), scale=scale, bits=1)


def dequantised(node: Node, codes: Array, scale: Array, zero: Array) -> Weights:
    """``DequantizeLinear`` of constant codes; scales and zero points may go along its axis."""
    if codes.dtype.kind not in "iu":
        raise node.refuse(f"codes of type {codes.dtype}")
    if any(v.ndim == 1 and v.size > 1 for v in (scale, zero)):
        axis = node.integer("axis", 1)
        if not -codes.ndim <= axis < codes.ndim or node.integer("block_size", 0):
            raise node.refuse(f"axis {axis} of codes of shape {codes.shape}, or scales in blocks")
        shape = [1] * codes.ndim
        shape[axis] = -1
        if any(v.ndim > 1 or v.size not in (1, codes.shape[axis]) for v in (scale, zero)):
            raise node.refuse(f"{scale.size} scales for codes of shape {codes.shape}")
        scale, zero = (
            scale.reshape(shape if scale.size > 1 else ()),
            zero.reshape(shape if zero.size > 1 else ()),
        )
    else:
        scale, zero = scale.reshape(()), zero.reshape(())
    _check_scale(node, codes, scale)
    levels = codes.astype(np.int64) - zero.astype(np.int64)
    return Weights(levels=levels, scale=scale, bits=8 * codes.dtype.itemsize)


def _check_scale(node: Node, values: Array, scale: Array) -> None:
    if not scale.size or not (scale > 0).all():
        raise node.refuse(f"scale {scale.min() if scale.size else scale} is not positive")
    _check_shape(node, values, scale)


def _check_shape(node: Node, values: Array, other: Array) -> None:
    try:
        fits = np.broadcast_shapes(values.shape, other.shape) == values.shape
    except ValueError:
        fits = False
    if not fits or not values.size:
        raise node.refuse(f"scales or zero points of shape {other.shape} for constants of {values.shape}")


def _round(z: Array, mode: str) -> Array:
    """As QONNX's executor rounds."""
    sign, size = np.sign(z), np.abs(z)
    rounded: Array = {
        "HALF_EVEN": np.round(z),
        "FLOOR": np.floor(z),
        "CEIL": np.ceil(z),
        "UP": sign * np.ceil(size),
        "DOWN": np.fix(z),
        "HALF_UP": sign * np.floor(size + 0.5),
        "HALF_DOWN": sign * np.ceil(size - 0.5),
    }[mode]
    return rounded


def fold(node: Node, inputs: list[Constant]) -> Constant:
    """What ``node`` makes of constants alone; raises InputError for operations we have no need of."""
    first = inputs[0]
    if node.op in ("Identity", "Cast") and isinstance(first, Weights):
        return first
    if node.op == "Identity":
        return array(first)
    if node.op == "Cast":
        kinds: dict[int, Any] = {1: np.float32, 6: np.int32, 7: np.int64, 11: np.float64}
        to = node.integer("to", 0)
        if to not in kinds:
            raise node.refuse(f"to data type {to}")
        return array(first).astype(kinds[to])
    if node.op in ("Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten"):
        shaped = _reshaper(node, np.shape(first.levels if isinstance(first, Weights) else first), inputs[1:])
        return first.map(shaped) if isinstance(first, Weights) else shaped(first)
    operations: dict[str, Any] = {"Mul": np.multiply, "Div": np.divide, "Add": np.add, "Sub": np.subtract}
    if node.op in operations and len(inputs) == 2:
        a, b = (array(value) for value in inputs)
        if max(a.size, b.size) > 1 << 24 or np.broadcast_shapes(a.shape, b.shape) not in (a.shape, b.shape):
            raise node.refuse(f"constants of shapes {a.shape} and {b.shape}")
        result: Array = operations[node.op](a, b)
        if result.dtype.kind == "f" and not np.isfinite(result).all():
            raise node.refuse("a constant becomes NaN or infinite")
        return result
    raise node.refuse("this operation on constants is not supported")


def _reshaper(node: Node, shape: tuple[int, ...], others: list[Constant]) -> Any:
    size = math.prod(shape)
    if node.op == "Transpose":
        order = node.integers("perm", list(range(len(shape)))[::-1])
        if sorted(order) != list(range(len(shape))):
            raise node.refuse(f"permutation {order} of shape {shape}")
        return lambda x: np.transpose(x, order)
    if node.op == "Reshape" and others:
        target = tuple(int(v) for v in array(others[0]).ravel())
        target = tuple(shape[i] if v == 0 and i < len(shape) else v for i, v in enumerate(target))
        known = math.prod(v for v in target if v != -1)
        if target.count(-1) > 1 or min(target, default=1) < -1 or (known != size and -1 not in target):
            raise node.refuse(f"shape {shape} to {target}")
        return lambda x: np.reshape(x, target)
    raise node.refuse("this operation on constants is not supported")
