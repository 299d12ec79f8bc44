"""The requantisers of an integer network as QONNX, exact or refused.

``(acc mult + r residual_mult + add) >> shift`` is computed in float64, exact below 2**53. A requantiser
that reaches further is computed in two halves where it has a residual operand, and is its thresholds
(``MultiThreshold``) where it has none. Thresholds beside a residual operand are looked up and counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import InputError
from ..network_files import Arrays
from ..spec import ActFormat, LayerSpec, NetworkSpec
from .graph_writer import DOMAIN, DOUBLE, FLOAT, INT64, GraphWriter
from .tensors import Array

EXACT_FLOAT, EXACT_DOUBLE = 1 << 24, 1 << 53


class RequantiserWriter(GraphWriter):
    """Writes what stands behind a layer's sums (``LAYER_sum``)."""

    def __init__(self, network: NetworkSpec, tensors: Arrays) -> None:
        super().__init__()
        self.network, self.tensors = network, tensors
        self.flat: set[str] = set()
        """Layers whose output is batch x features."""
        self.wide: set[str] = set()
        """Layers whose sums are in float64."""
        self.residuals: dict[str, str] = {}
        """By layer its residual operand."""

    @staticmethod
    def check(layer: LayerSpec, what: str, largest: int, exact: int) -> None:
        """Refuse numbers that floating point does not hold exactly."""
        if largest >= exact:
            raise InputError(
                f"layer {layer.name!r}: its {what} reach {largest}; "
                f"float{32 if exact == EXACT_FLOAT else 64} is exact below {exact}"
            )

    def multiply_shift(self, layer: LayerSpec, out: ActFormat, sums: list[int]) -> None:
        """The layer's levels from its sums, of which ``sums`` are the largest magnitudes by channel."""
        name, constants = layer.name, self._constants(layer)
        act = layer.residual_act
        residual = 0 if act is None else max(-act.min, act.max)
        largest = _reach(constants, sums, residual)
        if largest < EXACT_DOUBLE:
            value, shift = self._argument(layer, name, constants), constants["shift"]
        elif layer.residual is None:
            self._multi_threshold(layer, out, *_steps(constants, out))
            return
        else:
            value, shift = self._in_halves(layer, constants, sums, residual)
        parts = self.constant(f"{name}_parts", self.channels(layer, 0.5**shift), np.float64)
        value = self.node("Mul", [value, parts], f"{name}_shifted")
        self.quant(value, name, out, "FLOOR")

    def _in_halves(
        self, layer: LayerSpec, constants: Mapping[str, Array], sums: list[int], residual: int
    ) -> tuple[str, Array]:
        """``floor(argument / 2**k)``, and what is left of the shift.

        Each constant is ``high 2**k + low``; so the argument is, and its low part is rounded down by
        itself: ``floor((high 2**k + low) / 2**k) = high + floor(low / 2**k)``.
        """
        name = layer.name
        # As many bits as the low part may have.
        bits = np.array([(EXACT_DOUBLE // (total + residual + 1)).bit_length() - 1 for total in sums])
        k = np.minimum(constants["shift"], bits)
        factors = ("mult", "residual_mult", "add")
        low = {factor: constants[factor] & ((1 << k) - 1) for factor in factors}
        high = {factor: constants[factor] >> k for factor in factors}
        self.check(
            layer, "requantiser's sums", _reach(high, sums, residual) + EXACT_DOUBLE // 2, EXACT_DOUBLE
        )
        value = self._argument(layer, f"{name}_low", low)
        parts = self.constant(f"{name}_low_parts", self.channels(layer, 0.5**k), np.float64)
        value = self.node("Mul", [value, parts], f"{name}_low_shifted")
        carry = self.node("Floor", [value], f"{name}_carry")
        value = self.node("Add", [self._argument(layer, f"{name}_high", high), carry], f"{name}_halves")
        return value, constants["shift"] - k

    def _argument(self, layer: LayerSpec, name: str, constants: Mapping[str, Array]) -> str:
        """``acc mult + r residual_mult + add`` in float64; ``name`` begins the names of its parts."""
        value = self._times(layer, f"{layer.name}_sum", f"{name}_mult", constants["mult"])
        if layer.residual is not None:
            source = self._residual(layer)
            other = self._times(layer, source, f"{name}_residual_mult", constants["residual_mult"])
            value = self.node("Add", [value, other], f"{name}_both")
        bias = self.constant(f"{name}_add", self.channels(layer, constants["add"]), np.float64)
        return self.node("Add", [value, bias], f"{name}_added")

    def _constants(self, layer: LayerSpec) -> dict[str, Array]:
        """The requantiser's, 0 for the residual operand that is not there."""
        names = ("mult", "add", "shift", "residual_mult")
        zeros = np.zeros(layer.out_channels, dtype=np.int64)
        return {name: self.tensors.get(f"{layer.name}.{name}", zeros) for name in names}

    def _times(self, layer: LayerSpec, source: str, name: str, factors: Array) -> str:
        double = self.node("Cast", [source], f"{name}_double", to=DOUBLE)
        constant = self.constant(name, self.channels(layer, factors), np.float64)
        return self.node("Mul", [double, constant], f"{name}_product")

    def channels(self, layer: LayerSpec, values: Array) -> Array:
        """One value a channel, in the shape that is broadcast to the layer's output."""
        return values if layer.name in self.flat else values.reshape(-1, 1, 1)

    def _residual(self, layer: LayerSpec) -> str:
        """The residual operand in the layer's own shape."""
        assert layer.residual is not None
        if layer.name in self.residuals:
            return self.residuals[layer.name]
        value, name, step = layer.residual, layer.name, layer.residual_stride
        channels = self.network.shapes[value][0]
        if step > 1:
            ends = [np.iinfo(np.int64).max] * 2
            inputs = [value]
            for part, numbers in (
                ("starts", [0, 0]),
                ("ends", ends),
                ("axes", [2, 3]),
                ("steps", [step, step]),
            ):
                inputs.append(self.constant(f"{name}_{part}", numbers, np.int64))
            value = self.node("Slice", inputs, f"{name}_residual_pixels")
        before = layer.residual_channel
        after = layer.out_channels - before - channels
        if before or after:
            pads = self.constant(f"{name}_pads", [0, before, 0, 0, 0, after, 0, 0], np.int64)
            value = self.node("Pad", [value, pads], f"{name}_residual_channels")
        self.residuals[layer.name] = value
        return value

    def thresholds(self, layer: LayerSpec, out: ActFormat) -> None:
        """The layer's levels from its sums by its own thresholds."""
        name = layer.name
        steps, sign = self.tensors[f"{name}.thresholds"], self.tensors[f"{name}.sign"]
        if layer.residual is None:
            self._multi_threshold(layer, out, steps[:, 0], sign)
        else:
            self._count(layer, out, steps, sign)

    def _count(self, layer: LayerSpec, out: ActFormat, steps: Array, sign: Array) -> None:
        """The level of the sums by ``steps`` (channels x residual levels x levels), counted.

        A row of steps is looked up for each sum, by its channel and its residual level.
        """
        name, act = layer.name, layer.residual_act
        assert act is not None
        dtype = np.float64 if name in self.wide else np.float32
        rows, count = steps.shape[1:]
        level = self.node("Cast", [self._residual(layer)], f"{name}_residual_level", to=INT64)
        first = np.arange(layer.out_channels) * rows - act.min
        row = [level, self.constant(f"{name}_first_row", self.channels(layer, first), np.int64)]
        table = self.constant(f"{name}_thresholds", _held(steps, dtype).reshape(-1, count), dtype)
        chosen = self.node("Gather", [table, self.node("Add", row, f"{name}_row")], f"{name}_chosen", axis=0)
        last = self.constant("last_axis", [-1], np.int64)
        sums = self.node("Unsqueeze", [self._signed(layer, sign, dtype), last], f"{name}_compared")
        reached = self.node("GreaterOrEqual", [sums, chosen], f"{name}_reached")
        ones = self.node("Cast", [reached], f"{name}_ones", to=FLOAT)
        counted = self.node("ReduceSum", [ones, last], f"{name}_counted", keepdims=0)
        lowest = self.constant(f"{name}_lowest", float(out.min))
        self.quant(self.node("Add", [counted, lowest], f"{name}_levels"), name, out)

    def _signed(self, layer: LayerSpec, sign: Array, dtype: Any = np.float32) -> str:
        """The layer's sums times its channels' signs."""
        name, value = layer.name, f"{layer.name}_sum"
        if (sign == 1).all():
            return value
        factor = self.constant(f"{name}_sign", self.channels(layer, sign), dtype)
        return self.node("Mul", [value, factor], f"{name}_signed")

    def _multi_threshold(self, layer: LayerSpec, out: ActFormat, steps: Array, sign: Array) -> None:
        """The level of the sums by ``steps`` (channels x levels), as MultiThreshold."""
        name = layer.name
        if name in self.wide:
            raise InputError(f"layer {name!r}: sums in float64 and thresholds have no form in QONNX")
        value = self._signed(layer, sign)
        value = self.node(
            "MultiThreshold",
            [value, self.constant(f"{name}_thresholds", _held(steps, np.float32))],
            f"{name}_levels",
            domain=DOMAIN,
            out_dtype=f"{'UINT' if out.unsigned else 'INT'}{out.bits}",
            out_bias=float(out.min),
        )
        self.quant(value, name, out)


def _held(steps: Array, dtype: Any) -> Array:
    """``steps`` as ``dtype`` holds them exactly: no sum lies beyond."""
    beyond = EXACT_DOUBLE if dtype is np.float64 else EXACT_FLOAT
    return np.clip(steps, -beyond, beyond)


def _reach(constants: Mapping[str, Array], sums: list[int], residual: int) -> int:
    """The largest magnitude of ``acc mult + r residual_mult + add`` over all channels."""
    m, m2, c = (np.abs(constants[name]).tolist() for name in ("mult", "residual_mult", "add"))
    reaches: list[int] = [sums[n] * m[n] + residual * m2[n] + c[n] for n in range(len(sums))]
    return max(reaches)


def _steps(constants: Mapping[str, Array], out: ActFormat) -> tuple[Array, Array]:
    """Multiplication and shift as the thresholds that they are, and the signs of the multipliers."""
    rows, signs = [], []
    for m, c, s in zip(*(constants[name].tolist() for name in ("mult", "add", "shift")), strict=True):
        signs.append(-1 if m < 0 else 1)
        needs = [(level << s) - c for level in range(out.min + 1, out.max + 1)]  # |m| acc >= need
        beyond = EXACT_FLOAT
        row = [-(-n // abs(m)) if m else (-beyond if n <= 0 else beyond) for n in needs]
        rows.append([min(max(step, -beyond), beyond) for step in row])
    return np.array(rows, dtype=np.int64), np.array(signs, dtype=np.int64)
