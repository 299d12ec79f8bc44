"""Our integer networks as QONNX: levels flow as float32 integers, every quantiser has scale 1.

- weights are ``Quant`` of a constant; odd levels of k bits (2q - (2**k - 1)) are narrow signed ones of
  k + 1 bits, those of 1 bit ``BipolarQuant``;
- sums are ``Conv`` or ``Gemm`` in float32, exact while they stay below 2**24: proved from the weights;
- the requantiser ``(acc mult + r residual_mult + add) >> shift`` is computed in float64 and ends in
  ``Quant`` with ``rounding_mode`` FLOOR, or is ``MultiThreshold`` (see ``requantiser_writer``).

What would not be exact is refused.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import InputError
from ..golden import decode_weights
from ..network_files import Arrays
from ..spec import ActEncoding, ActFormat, LayerKind, LayerSpec, NetworkSpec, RequantiserKind, WeightEncoding
from ..spec.network import INPUT
from .graph_writer import DOMAIN, DOUBLE
from .requantiser_writer import EXACT_DOUBLE, EXACT_FLOAT, RequantiserWriter

IMAGE = "image"
"""The input: levels, as real numbers. Layers keep their names."""


class Writer(RequantiserWriter):
    """Writes one network, layer by layer."""

    def model(self) -> Any:
        """The ModelProto."""
        network = self.network
        self.quant(IMAGE, INPUT, network.input_act)
        for layer in network.layers:
            self._layer(layer)
        shapes, last = network.shapes, network.layers[-1].name
        sizes = shapes[last][:1] if last in self.flat else shapes[last]
        facts = {"network_digest": network.digest, "network": network.name, "input": "levels"}
        return self.finish((IMAGE, shapes[INPUT]), (last, sizes), facts, wide=last in self.wide)

    def _weights(self, layer: LayerSpec) -> tuple[str, list[int]]:
        """The layer's quantised weights, and the largest magnitude of each channel's sums."""
        assert layer.weight is not None
        name = f"{layer.name}_weight"
        values = decode_weights(self.tensors[f"{layer.name}.weight"], layer.weight)
        act = max(-layer.act.min, layer.act.max)
        largest = [act * total for total in np.abs(values).reshape(len(values), -1).sum(axis=1).tolist()]
        source = self.constant(f"{name}_levels", values)
        odd, bits = layer.weight.encoding is WeightEncoding.ODD, layer.weight.bits
        if odd and bits == 1:
            self.node("BipolarQuant", [source, self.constant("one", 1.0)], name, domain=DOMAIN)
        else:
            wide = ActFormat(
                bits=min(bits + odd, 16), encoding=ActEncoding.SYMMETRIC if odd else ActEncoding.SIGNED
            )
            if bits + odd > wide.bits or bits < 2:
                raise InputError(f"layer {layer.name!r}: weights {layer.weight} have no form in QONNX here")
            self.quant(source, name, wide)
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
            self.node("Conv", [source, weights], output, group=layer.groups, **geometry)
        elif layer.kind is LayerKind.LINEAR:
            weights, largest = self._weights(layer)
            if source not in self.flat:
                source = self.node("Flatten", [source], f"{layer.name}_flat", axis=1)
            if max(largest) >= EXACT_FLOAT:  # matrix products, unlike convolutions, there are in float64
                source = self.node("Cast", [source], f"{layer.name}_source_double", to=DOUBLE)
                weights = self.node("Cast", [weights], f"{layer.name}_weight_double", to=DOUBLE)
                self.wide.add(layer.name)
            self.node("Gemm", [source, weights], output, transB=1)
        elif layer.kind is LayerKind.SUM and geometry == {
            "kernel_shape": [1, 1],
            "strides": [1, 1],
            "pads": [0] * 4,
        }:
            self.node("Identity", [source], output)
        elif layer.kind is LayerKind.SUM:
            ones = self.constant(
                f"{layer.name}_ones", np.ones((layer.in_channels, 1, layer.kernel, layer.kernel))
            )
            weights = self.quant(ones, f"{layer.name}_weight", ActFormat(bits=2, encoding=ActEncoding.SIGNED))
            self.node("Conv", [source, weights], output, group=layer.in_channels, **geometry)
        else:
            self.node("Concat", [source, *layer.concat], output, axis=1)
        if layer.name not in self.wide:
            self.check(layer, "sums", max(largest), EXACT_FLOAT)
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
            self.node(
                "MaxPool", [layer.source], name, kernel_shape=[layer.kernel] * 2, strides=[layer.stride] * 2,
                pads=[layer.padding] * 4,
            )  # fmt: skip
        elif layer.out is None:
            self._logits(layer)
        else:
            sums = self._sums(layer, f"{name}_sum")
            if layer.requantiser is RequantiserKind.THRESHOLD:
                self.thresholds(layer, layer.out)
            else:
                self.multiply_shift(layer, layer.out, sums)

    def _logits(self, layer: LayerSpec) -> None:
        if layer.bias_shift is None:
            self._sums(layer, layer.name)
            return
        name, add = layer.name, self.tensors[f"{layer.name}.add"]
        value = f"{name}_sum"
        largest = (max(self._sums(layer, value)) << layer.bias_shift) + int(np.abs(add).max())
        self.check(layer, "logits", largest, EXACT_DOUBLE)
        if largest >= EXACT_FLOAT and name not in self.wide:
            value = self.node("Cast", [value], f"{name}_double", to=DOUBLE)
            self.wide.add(name)
        dtype: Any = np.float64 if name in self.wide else np.float32
        factor = self.constant(f"{name}_factor", float(1 << layer.bias_shift), dtype)
        scaled = self.node("Mul", [value, factor], f"{name}_scaled")
        self.node("Add", [scaled, self.constant(f"{name}_add", self.channels(layer, add), dtype)], name)


def to_qonnx(network: NetworkSpec, tensors: Arrays) -> Any:
    """``network`` as a ModelProto of QONNX that computes exactly its levels.

    Raises:
        InputError: a layer would not be exact, or has no form in QONNX; it is named.
    """
    return Writer(network, tensors).model()
