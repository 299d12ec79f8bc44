"""Our integer networks as QONNX: levels flow as float32 integers, every quantiser has scale 1.

- weights are ``Quant`` of a constant; odd levels of k bits (2q - (2**k - 1)) are narrow signed ones of
  k + 1 bits, those of 1 bit ``BipolarQuant``;
- sums are ``Conv`` or ``Gemm`` in float32, exact while they stay below 2**24: proved from the weights;
- the requantiser ``(acc mult + r residual_mult + add) >> shift`` is computed in float64, exact below
  2**53, and ends in ``Quant`` with ``rounding_mode`` FLOOR; one of thresholds is ``MultiThreshold``.

What would not be exact is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..errors import InputError
from ..files import atomic_path
from ..golden import decode_weights
from ..network_files import Arrays
from ..spec import ActEncoding, ActFormat, LayerKind, LayerSpec, NetworkSpec, RequantiserKind, WeightEncoding
from ..spec.network import INPUT
from .packages import package
from .tensors import Array

DOMAIN = "qonnx.custom_op.general"
IMAGE = "image"
"""The input: levels, as real numbers. Layers keep their names."""
_EXACT_FLOAT, _EXACT_DOUBLE = 1 << 24, 1 << 53
_FLOAT, _DOUBLE = 1, 11


class Writer:
    """Collects the nodes and constants of one network."""

    def __init__(self, network: NetworkSpec, tensors: Arrays) -> None:
        self.onnx = package("onnx")
        self.network, self.tensors = network, tensors
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}
        self.flat: set[str] = set()
        """Layers whose output is batch x features."""
        self.wide: set[str] = set()
        """Layers whose sums are in float64."""

    def model(self) -> Any:
        """The ModelProto."""
        network, helper = self.network, self.onnx.helper
        self._quant(IMAGE, INPUT, network.input_act)
        for layer in network.layers:
            self._layer(layer)
        shapes, last = network.shapes, network.layers[-1].name
        sizes = shapes[last][:1] if last in self.flat else shapes[last]
        graph = helper.make_graph(
            self.nodes,
            "network",
            [helper.make_tensor_value_info(IMAGE, _FLOAT, ["batch", *shapes[INPUT]])],
            [
                helper.make_tensor_value_info(
                    last, _DOUBLE if last in self.wide else _FLOAT, ["batch", *sizes]
                )
            ],
            list(self.constants.values()),
        )
        opsets = [helper.make_opsetid("", 13), helper.make_opsetid(DOMAIN, 1)]
        model = helper.make_model(
            graph, opset_imports=opsets, producer_name="pact-hw", producer_version=__version__, ir_version=8
        )
        facts = {"network_digest": network.digest, "network": network.name, "input": "levels"}
        helper.set_model_props(model, facts)
        return model

    # Pieces of the graph.

    def _node(self, op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        domain = attributes.pop("domain", "")
        self.nodes.append(
            self.onnx.helper.make_node(op, inputs, [output], name=output, domain=domain, **attributes)
        )
        return output

    def _constant(self, name: str, values: Any, dtype: Any = np.float32) -> str:
        array: Array = np.ascontiguousarray(values).astype(dtype).reshape(np.shape(values))
        self.constants[name] = self.onnx.numpy_helper.from_array(array, name)
        return name

    def _quant(self, source: str, output: str, act: ActFormat, rounding: str = "ROUND") -> str:
        inputs = [source, self._constant("one", 1.0), self._constant("zero", 0.0)]
        inputs.append(self._constant(f"bits_{act.bits}", float(act.bits)))
        return self._node(
            "Quant",
            inputs,
            output,
            domain=DOMAIN,
            signed=int(not act.unsigned),
            narrow=int(act.encoding is ActEncoding.SYMMETRIC),
            rounding_mode=rounding,
        )

    def _weights(self, layer: LayerSpec) -> tuple[str, list[int]]:
        """The layer's quantised weights, and the largest magnitude of each channel's sums."""
        assert layer.weight is not None
        name = f"{layer.name}_weight"
        values = decode_weights(self.tensors[f"{layer.name}.weight"], layer.weight)
        act = max(-layer.act.min, layer.act.max)
        largest = [act * total for total in np.abs(values).reshape(len(values), -1).sum(axis=1).tolist()]
        source = self._constant(f"{name}_levels", values)
        odd, bits = layer.weight.encoding is WeightEncoding.ODD, layer.weight.bits
        if odd and bits == 1:
            self._node("BipolarQuant", [source, self._constant("one", 1.0)], name, domain=DOMAIN)
        else:
            wide = ActFormat(
                bits=min(bits + odd, 16), encoding=ActEncoding.SYMMETRIC if odd else ActEncoding.SIGNED
            )
            if bits + odd > wide.bits or bits < 2:
                raise InputError(f"layer {layer.name!r}: weights {layer.weight} have no form in QONNX here")
            self._quant(source, name, wide)
        return name, largest

    def _sums(self, layer: LayerSpec, output: str) -> list[int]:
        """The layer's sums as ``output``; the largest magnitude of each channel's."""
        source, act = layer.source, max(-layer.act.min, layer.act.max)
        largest = [act * layer.reduction] * layer.out_channels
        geometry = {
            "kernel_shape": [layer.kernel] * 2,
            "strides": [layer.stride] * 2,
            "pads": [layer.padding] * 4,
        }
        if layer.kind is LayerKind.CONV:
            weights, largest = self._weights(layer)
            self._node("Conv", [source, weights], output, group=layer.groups, **geometry)
        elif layer.kind is LayerKind.LINEAR:
            weights, largest = self._weights(layer)
            if source not in self.flat:
                source = self._node("Flatten", [source], f"{layer.name}_flat", axis=1)
            if max(largest) >= _EXACT_FLOAT:  # matrix products, unlike convolutions, there are in float64
                source = self._node("Cast", [source], f"{layer.name}_source_double", to=_DOUBLE)
                weights = self._node("Cast", [weights], f"{layer.name}_weight_double", to=_DOUBLE)
                self.wide.add(layer.name)
            self._node("Gemm", [source, weights], output, transB=1)
        elif layer.kind is LayerKind.SUM and geometry == {
            "kernel_shape": [1, 1],
            "strides": [1, 1],
            "pads": [0] * 4,
        }:
            self._node("Identity", [source], output)
        elif layer.kind is LayerKind.SUM:
            ones = self._constant(
                f"{layer.name}_ones", np.ones((layer.in_channels, 1, layer.kernel, layer.kernel))
            )
            weights = self._quant(
                ones, f"{layer.name}_weight", ActFormat(bits=2, encoding=ActEncoding.SIGNED)
            )
            self._node("Conv", [source, weights], output, group=layer.in_channels, **geometry)
        else:
            self._node("Concat", [source, *layer.concat], output, axis=1)
        if layer.name not in self.wide:
            self._check(layer, "sums", max(largest), _EXACT_FLOAT)
        return largest

    @staticmethod
    def _check(layer: LayerSpec, what: str, largest: int, exact: int) -> None:
        if largest >= exact:
            raise InputError(
                f"layer {layer.name!r}: its {what} reach {largest}; "
                f"float{32 if exact == _EXACT_FLOAT else 64} is exact below {exact}"
            )

    def _layer(self, layer: LayerSpec) -> None:
        name = layer.name
        if layer.kind is LayerKind.LINEAR:
            self.flat.add(name)
        elif layer.source in self.flat:
            pixelwise = (layer.kernel, layer.stride, layer.padding) == (1, 1, 0)
            if layer.kind not in (LayerKind.SUM, LayerKind.CONCAT) or not pixelwise:
                raise InputError(f"layer {name!r}: {layer.kind.value} of features has no form in QONNX here")
            self.flat.add(name)
        if layer.kind is LayerKind.MAX:
            self._node(
                "MaxPool", [layer.source], name, kernel_shape=[layer.kernel] * 2, strides=[layer.stride] * 2,
                pads=[layer.padding] * 4,
            )  # fmt: skip
        elif layer.out is None:
            self._logits(layer)
        elif layer.requantiser is RequantiserKind.THRESHOLD:
            self._thresholds(layer, layer.out)
        else:
            self._multiply_shift(layer, layer.out)

    def _logits(self, layer: LayerSpec) -> None:
        if layer.bias_shift is None:
            self._sums(layer, layer.name)
            return
        name, add = layer.name, self.tensors[f"{layer.name}.add"]
        value = f"{name}_sum"
        largest = (max(self._sums(layer, value)) << layer.bias_shift) + int(np.abs(add).max())
        self._check(layer, "logits", largest, _EXACT_DOUBLE)
        if largest >= _EXACT_FLOAT and name not in self.wide:
            value = self._node("Cast", [value], f"{name}_double", to=_DOUBLE)
            self.wide.add(name)
        dtype: Any = np.float64 if name in self.wide else np.float32
        factor = self._constant(f"{name}_factor", float(1 << layer.bias_shift), dtype)
        scaled = self._node("Mul", [value, factor], f"{name}_scaled")
        self._node("Add", [scaled, self._constant(f"{name}_add", self._channels(layer, add), dtype)], name)

    def _multiply_shift(self, layer: LayerSpec, out: ActFormat) -> None:
        name, constants = layer.name, self._constants(layer)
        sums = self._sums(layer, f"{name}_sum")
        residual = layer.residual_act and max(-layer.residual_act.min, layer.residual_act.max)
        largest = max(
            total * abs(m) + (residual or 0) * abs(m2) + abs(c)
            for total, m, m2, c in zip(
                sums, *(constants[k].tolist() for k in ("mult", "residual_mult", "add")), strict=True
            )
        )
        if largest >= _EXACT_DOUBLE and residual is None:
            steps, sign = _steps(constants, out)
            self._multi_threshold(layer, out, steps, sign)
            return
        self._check(layer, "requantiser's sums", largest, _EXACT_DOUBLE)
        value = self._times(layer, f"{name}_sum", "mult", constants["mult"])
        if layer.residual is not None:
            other = self._times(layer, self._residual(layer), "residual_mult", constants["residual_mult"])
            value = self._node("Add", [value, other], f"{name}_both")
        bias = self._constant(f"{name}_add", self._channels(layer, constants["add"]), np.float64)
        value = self._node("Add", [value, bias], f"{name}_added")
        parts = self._constant(f"{name}_parts", self._channels(layer, 0.5 ** constants["shift"]), np.float64)
        value = self._node("Mul", [value, parts], f"{name}_shifted")
        self._quant(value, name, out, "FLOOR")

    def _constants(self, layer: LayerSpec) -> dict[str, Array]:
        """The requantiser's, 0 for the residual operand that is not there."""
        names = ("mult", "add", "shift", "residual_mult")
        zeros = np.zeros(layer.out_channels, dtype=np.int64)
        return {name: self.tensors.get(f"{layer.name}.{name}", zeros) for name in names}

    def _times(self, layer: LayerSpec, source: str, name: str, factors: Array) -> str:
        double = self._node("Cast", [source], f"{layer.name}_{name}_double", to=_DOUBLE)
        constant = self._constant(f"{layer.name}_{name}", self._channels(layer, factors), np.float64)
        return self._node("Mul", [double, constant], f"{layer.name}_{name}_product")

    def _channels(self, layer: LayerSpec, values: Array) -> Array:
        """One value a channel, in the shape that is broadcast to the layer's output."""
        return values if layer.name in self.flat else values.reshape(-1, 1, 1)

    def _residual(self, layer: LayerSpec) -> str:
        """The residual operand in the layer's own shape."""
        assert layer.residual is not None
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
                inputs.append(self._constant(f"{name}_{part}", numbers, np.int64))
            value = self._node("Slice", inputs, f"{name}_residual_pixels")
        before = layer.residual_channel
        after = layer.out_channels - before - channels
        if before or after:
            pads = self._constant(f"{name}_pads", [0, before, 0, 0, 0, after, 0, 0], np.int64)
            value = self._node("Pad", [value, pads], f"{name}_residual_channels")
        return value

    def _thresholds(self, layer: LayerSpec, out: ActFormat) -> None:
        name = layer.name
        if layer.residual is not None:
            raise InputError(f"layer {name!r}: thresholds with a residual operand have no form in QONNX")
        self._sums(layer, f"{name}_sum")
        steps = self.tensors[f"{name}.thresholds"][:, 0]
        self._multi_threshold(layer, out, steps, self.tensors[f"{name}.sign"])

    def _multi_threshold(self, layer: LayerSpec, out: ActFormat, steps: Array, sign: Array) -> None:
        """The level of the sums by ``steps`` (channels x levels), as MultiThreshold."""
        name, value = layer.name, f"{layer.name}_sum"
        if name in self.wide:
            raise InputError(f"layer {name!r}: sums in float64 and thresholds have no form in QONNX")
        if (sign != 1).any():
            factor = self._constant(f"{name}_sign", self._channels(layer, sign))
            value = self._node("Mul", [value, factor], f"{name}_signed")
        steps = np.clip(steps, -_EXACT_FLOAT, _EXACT_FLOAT)  # no sum lies beyond
        value = self._node(
            "MultiThreshold",
            [value, self._constant(f"{name}_thresholds", steps)],
            f"{name}_levels",
            domain=DOMAIN,
            out_dtype=f"{'UINT' if out.unsigned else 'INT'}{out.bits}",
            out_bias=float(out.min),
        )
        self._quant(value, name, out)


def _steps(constants: Mapping[str, Array], out: ActFormat) -> tuple[Array, Array]:
    """Multiplication and shift as the thresholds that they are, and the signs of the multipliers."""
    rows, signs = [], []
    for m, c, s in zip(*(constants[name].tolist() for name in ("mult", "add", "shift")), strict=True):
        signs.append(-1 if m < 0 else 1)
        needs = [(level << s) - c for level in range(out.min + 1, out.max + 1)]  # |m| acc >= need
        beyond = _EXACT_FLOAT
        row = [-(-n // abs(m)) if m else (-beyond if n <= 0 else beyond) for n in needs]
        rows.append([min(max(step, -beyond), beyond) for step in row])
    return np.array(rows, dtype=np.int64), np.array(signs, dtype=np.int64)


def to_qonnx(network: NetworkSpec, tensors: Arrays) -> Any:
    """``network`` as a ModelProto of QONNX that computes exactly its levels.

    Raises:
        InputError: a layer would not be exact, or has no form in QONNX; it is named.
    """
    return Writer(network, tensors).model()


def write_qonnx(path: Path, model: Any) -> None:
    """Write ``model`` atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(model.SerializeToString(deterministic=True))
