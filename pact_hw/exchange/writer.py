"""Our integer networks as QONNX: levels flow as float32 integers, every quantiser has scale 1.

- weights are ``Quant`` of a constant; odd levels of k bits (2q - (2**k - 1)) are narrow signed ones of
  k + 1 bits, those of 1 bit ``BipolarQuant``;
- sums are ``Conv`` or ``Gemm`` in float32, exact while they stay below 2**24: proved from the weights;
- the requantiser ``(acc mult + r residual_mult + add) >> shift`` is computed in float64, exact below
  2**53, and ends in ``Quant`` with ``rounding_mode`` FLOOR; one of thresholds is ``MultiThreshold``.

What would not be exact is refused.
"""

from __future__ import annotations

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
        self.wide = False
        """Whether the logits need float64."""

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
            [helper.make_tensor_value_info(last, _DOUBLE if self.wide else _FLOAT, ["batch", *sizes])],
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

    def _weights(self, layer: LayerSpec) -> tuple[str, int]:
        """The layer's quantised weights, and the largest magnitude of its sums."""
        assert layer.weight is not None
        name = f"{layer.name}_weight"
        values = decode_weights(self.tensors[f"{layer.name}.weight"], layer.weight)
        largest = np.abs(values).reshape(len(values), -1).sum(axis=1).max()
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
        return name, int(largest) * max(-layer.act.min, layer.act.max)

    def _sums(self, layer: LayerSpec, output: str) -> int:
        """The layer's sums as ``output``; their largest magnitude."""
        source, largest = layer.source, max(-layer.act.min, layer.act.max)
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
            largest *= layer.reduction
        else:
            self._node("Concat", [source, *layer.concat], output, axis=1)
        if largest >= _EXACT_FLOAT:
            raise InputError(
                f"layer {layer.name!r}: its sums reach {largest}; float32 is exact below {_EXACT_FLOAT}"
            )
        return largest

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
        name = layer.name
        largest = self._sums(layer, f"{name}_sum") << layer.bias_shift
        add = self.tensors[f"{name}.add"]
        largest += int(np.abs(add).max())
        if largest >= _EXACT_DOUBLE:
            raise InputError(f"layer {name!r}: its logits reach {largest}; float64 is exact below 2**53")
        self.wide = largest >= _EXACT_FLOAT
        dtype: Any = np.float32
        value = f"{name}_sum"
        if self.wide:
            dtype, value = np.float64, self._node("Cast", [value], f"{name}_double", to=_DOUBLE)
        factor = self._constant(f"{name}_factor", float(1 << layer.bias_shift), dtype)
        scaled = self._node("Mul", [value, factor], f"{name}_scaled")
        self._node("Add", [scaled, self._constant(f"{name}_add", self._channels(layer, add), dtype)], name)

    def _multiply_shift(self, layer: LayerSpec, out: ActFormat) -> None:
        name = layer.name
        mult, add, shift = (self.tensors[f"{name}.{tensor}"] for tensor in ("mult", "add", "shift"))
        largest = self._sums(layer, f"{name}_sum") * int(np.abs(mult).max()) + int(np.abs(add).max())
        value = self._times(layer, f"{name}_sum", "mult", mult)
        if layer.residual is not None:
            assert layer.residual_act is not None
            factor = self.tensors[f"{name}.residual_mult"]
            largest += int(np.abs(factor).max()) * max(-layer.residual_act.min, layer.residual_act.max)
            other = self._times(layer, self._residual(layer), "residual_mult", factor)
            value = self._node("Add", [value, other], f"{name}_both")
        if largest >= _EXACT_DOUBLE:
            raise InputError(
                f"layer {name!r}: its requantiser's sums reach {largest}, and float64 is exact below 2**53"
            )
        bias = self._constant(f"{name}_add", self._channels(layer, add), np.float64)
        value = self._node("Add", [value, bias], f"{name}_added")
        parts = self._constant(f"{name}_parts", self._channels(layer, 0.5**shift), np.float64)
        value = self._node("Mul", [value, parts], f"{name}_shifted")
        self._quant(value, name, out, "FLOOR")

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
        value = f"{name}_sum"
        sign = self.tensors[f"{name}.sign"]
        if (sign != 1).any():
            factor = self._constant(f"{name}_sign", self._channels(layer, sign))
            value = self._node("Mul", [value, factor], f"{name}_signed")
        steps = self.tensors[f"{name}.thresholds"][:, 0]
        steps = np.clip(steps, -_EXACT_FLOAT, _EXACT_FLOAT)  # no sum lies beyond
        kind = "UINT" if out.unsigned else "INT"
        value = self._node(
            "MultiThreshold",
            [value, self._constant(f"{name}_thresholds", steps)],
            f"{name}_levels",
            domain=DOMAIN,
            out_dtype=f"{kind}{out.bits}",
            out_bias=float(out.min),
        )
        self._quant(value, name, out)


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
