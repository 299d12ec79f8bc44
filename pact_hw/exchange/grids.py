"""What a quantising node does to a number: the levels it knows, and how it rounds.

Every rounding becomes half to even of a shifted argument, exactly: all values that a channel can
have are multiples of ``1/d``, so half of that decides ties and moves nothing else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from ..errors import InputError
from ..qat.conversion.affine import Affine
from ..spec import MAX_BITS
from .files import Node
from .tensors import Array

_HALF = Fraction(1, 2)
_ROUNDING = ("HALF_EVEN", "FLOOR", "CEIL", "UP", "DOWN", "HALF_UP", "HALF_DOWN")
_INTEGERS = {"uint8": (0, 255), "int8": (-128, 127), "uint16": (0, 65535), "int16": (-32768, 32767)}


@dataclass(frozen=True, kw_only=True)
class Grid:
    """``q = clip(round(x / scale + before), low + zero, high + zero)``, worth ``(q - zero) scale``.

    ``low`` and ``high`` are levels: codes less the zero point. ``before`` is the zero point where it
    is added before rounding (QONNX), which moves ties if it is odd; ONNX adds it after. ``bipolar``:
    the level is 1 where x >= 0, else -1.
    """

    scale: Fraction
    low: int
    high: int
    before: int = 0
    rounding: str = "HALF_EVEN"
    bipolar: bool = False

    def clipped(self, low: Fraction | None, high: Fraction | None) -> Grid:
        """The same behind a clip to the real numbers ``low..high``, with which rounding commutes."""
        lowest = self.low if low is None else max(self.low, self.level(low))
        highest = self.high if high is None else min(self.high, self.level(high))
        return replace(self, low=lowest, high=highest)

    def level(self, value: Fraction) -> int:
        """The level of a real number, as if there were no bounds."""
        if self.bipolar:
            return 1 if value >= 0 else -1
        z = value / self.scale + self.before
        return round(self.argument(Affine(scale=Fraction(0), offset=z)).offset) - self.before

    def argument(self, z: Affine) -> Affine:
        """``z`` shifted so that half to even of it is this grid's rounding of ``z``."""
        if self.rounding == "HALF_EVEN":
            return z
        steps = math.lcm(*(f.denominator for f in (z.scale, z.residual_scale, z.offset)), 2)
        little = Fraction(1, 2 * steps)
        shift = {
            "FLOOR": little - _HALF,
            "DOWN": little - _HALF,
            "CEIL": _HALF - little,
            "UP": _HALF - little,
            "HALF_UP": little,
            "HALF_DOWN": -little,
        }[self.rounding]
        return replace(z, offset=z.offset + shift)


def quant(node: Node, scale: Array, zero: Array, bits: Array) -> Grid:
    """The grid of QONNX's ``Quant`` with these inputs (one value each)."""
    width = _width(node, bits)
    signed, narrow = node.integer("signed", 1), node.integer("narrow", 0)
    if signed and width == 1:  # QONNX's special case
        return Grid(scale=positive(node, scale), low=-1, high=1, bipolar=True)
    low, high = bounds(width, signed=bool(signed), narrow=bool(narrow))
    point = _single(node, "zero point", zero)
    if point != int(point) or abs(point) > 1 << MAX_BITS:
        raise node.refuse(f"zero point {point:g} of an activation must be an integer")
    rounding = rounding_mode(node)
    if rounding in ("UP", "DOWN", "HALF_UP", "HALF_DOWN") and low < 0:
        # Away from zero or towards it: for codes of either sign that is not one staircase's rule.
        raise node.refuse(f"rounding mode {rounding} for codes below 0")
    return Grid(
        scale=positive(node, scale),
        low=low - int(point),
        high=high - int(point),
        before=int(point),
        rounding=rounding,
    )


def quantize_linear(node: Node, scale: Array, zero: Array) -> Grid:
    """The grid of ONNX's ``QuantizeLinear``."""
    name = str(zero.dtype)
    if name not in _INTEGERS:
        raise node.refuse(f"codes of type {name}; supported are {', '.join(_INTEGERS)}")
    low, high = _INTEGERS[name]
    point = int(_single(node, "zero point", zero))
    return Grid(scale=positive(node, scale), low=low - point, high=high - point)


def bounds(bits: int, *, signed: bool, narrow: bool) -> tuple[int, int]:
    """The lowest and the highest code of QONNX's ``Quant``."""
    if signed:
        return -(1 << (bits - 1)) + narrow, (1 << (bits - 1)) - 1
    return 0, (1 << bits) - 1 - narrow


def rounding_mode(node: Node) -> str:
    """The rounding mode of ``node``, by its name here."""
    mode = node.text("rounding_mode", "ROUND").upper()
    mode = {"ROUND": "HALF_EVEN"}.get(mode, mode)
    if mode not in _ROUNDING:
        raise node.refuse(f"rounding mode {mode!r} is not one of ROUND, {', '.join(_ROUNDING)}")
    return mode


def positive(node: Node, scale: Array) -> Fraction:
    """The one scale of an activation."""
    value = _single(node, "scale", scale)
    if not 0 < value < math.inf:
        raise node.refuse(f"scale {value:g} is not positive")
    return Fraction(value)


def _width(node: Node, bits: Array) -> int:
    width = _single(node, "bit width", bits)
    if width != int(width) or not 1 <= width <= MAX_BITS:
        raise node.refuse(f"bit width {width:g} is not an integer from 1 to {MAX_BITS}")
    return int(width)


def _single(node: Node, what: str, values: Array) -> float:
    found = np.unique(values)
    if len(found) != 1:
        raise node.refuse(f"{len(found)} different values of its {what}: one per tensor is supported here")
    return float(found[0])


def check_kept(grid: Grid, where: str) -> None:
    """Refuse a grid with no two levels, or levels beyond ``MAX_BITS``."""
    if not grid.low < grid.high or max(-grid.low, grid.high) >= 1 << MAX_BITS:
        raise InputError(f"{where}: levels {grid.low}..{grid.high} are not usable")
