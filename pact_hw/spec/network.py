"""A quantised network as the hardware sees it: a list of integer layers.

Tensors (weight codes, requantiser constants, thresholds) lie beside it in an npz file, under
``LAYER.weight``, ``LAYER.mult``, ``LAYER.add``, ``LAYER.shift`` and, where there is a residual
operand, ``LAYER.residual_mult``.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from typing import Any

from ..errors import InputError
from .canonical import digest
from .formats import ActFormat, WeightEncoding, WeightFormat, check_int

INPUT = "input"
"""The name by which layers refer to the network's input."""

Shape = tuple[int, int, int]
"""Channels, height, width (C, Y, X)."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")


class LayerKind(enum.Enum):
    """What a layer computes before its requantiser."""

    CONV = "conv"
    """2-D convolution, K x C x FY x FX weight codes, zero padding in the level domain."""
    LINEAR = "linear"
    """Matrix product over the flattened (C, Y, X) input; N x K weight codes."""


@dataclass(frozen=True, kw_only=True)
class LayerSpec:
    """One integer layer: sum of products, then (unless it gives the logits) a requantiser.

    ``source`` names the layer (or ``"input"``) that it reads; ``residual`` the one whose levels are
    added before requantising; ``out`` is None for a layer whose accumulators are the logits.
    """

    name: str
    kind: LayerKind
    source: str
    act: ActFormat
    weight: WeightFormat
    in_channels: int
    out_channels: int
    kernel: int = 1
    stride: int = 1
    padding: int = 0
    residual: str | None = None
    residual_act: ActFormat | None = None
    out: ActFormat | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise InputError(f"layer name must match {_NAME.pattern}, not {self.name!r}")
        check_int("in_channels", self.in_channels, 1, 1 << 20)
        check_int("out_channels", self.out_channels, 1, 1 << 20)
        check_int("kernel", self.kernel, 1, 15)
        check_int("stride", self.stride, 1, 15)
        check_int("padding", self.padding, 0, 15)
        if (self.residual is None) != (self.residual_act is None):
            raise InputError(f"layer {self.name!r}: residual and residual_act go together")
        if self.kind is LayerKind.LINEAR and (self.kernel, self.stride, self.padding) != (1, 1, 0):
            raise InputError(f"layer {self.name!r}: a linear layer has kernel 1, stride 1 and padding 0")

    @property
    def reduction(self) -> int:
        """Products per output (K of the matrix product)."""
        return self.in_channels * self.kernel * self.kernel

    def out_shape(self, shape: Shape) -> Shape:
        """The output's (K, OY, OX) for an input of (C, Y, X); a linear layer flattens its input.

        Raises:
            InputError: the layer cannot read such an input.
        """
        c, y, x = shape
        linear = self.kind is LayerKind.LINEAR
        oy, ox = ((size + 2 * self.padding - self.kernel) // self.stride + 1 for size in (y, x))
        if (c * y * x if linear else c) != self.in_channels or min(oy, ox) < 1:
            raise InputError(f"layer {self.name!r} cannot read {self.source!r}, which has shape {shape}")
        return (self.out_channels, 1, 1) if linear else (self.out_channels, oy, ox)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON members."""
        return {
            "name": self.name,
            "kind": self.kind.value,
            "source": self.source,
            "act_bits": self.act.bits,
            "weight_bits": self.weight.bits,
            "weight_encoding": self.weight.encoding.value,
            "in_channels": self.in_channels,
            "out_channels": self.out_channels,
            "kernel": self.kernel,
            "stride": self.stride,
            "padding": self.padding,
            "residual": self.residual,
            "residual_bits": self.residual_act and self.residual_act.bits,
            "out_bits": self.out and self.out.bits,
        }

    @classmethod
    def from_json(cls, members: Any) -> LayerSpec:
        """The layer that ``to_json`` wrote; raises InputError if it cannot be one."""

        def optional(bits: int | None) -> ActFormat | None:
            return None if bits is None else ActFormat(bits=bits)

        try:
            return cls(
                name=str(members["name"]),
                kind=LayerKind(members["kind"]),
                source=str(members["source"]),
                act=ActFormat(bits=members["act_bits"]),
                weight=WeightFormat(
                    bits=members["weight_bits"], encoding=WeightEncoding(members["weight_encoding"])
                ),
                in_channels=members["in_channels"],
                out_channels=members["out_channels"],
                kernel=members["kernel"],
                stride=members["stride"],
                padding=members["padding"],
                residual=members["residual"],
                residual_act=optional(members["residual_bits"]),
                out=optional(members["out_bits"]),
            )
        except InputError:
            raise
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"layer description: {type(error).__name__}: {error}") from None


@dataclass(frozen=True, kw_only=True)
class NetworkSpec:
    """Layers in execution order; the last one gives the logits.

    The input is ``input_channels x input_height x input_width`` levels of ``input_act``.
    """

    name: str
    input_channels: int
    input_height: int
    input_width: int
    input_act: ActFormat
    layers: tuple[LayerSpec, ...]

    def __post_init__(self) -> None:
        for name in ("input_channels", "input_height", "input_width"):
            check_int(name, getattr(self, name), 1, 1 << 16)
        known = {INPUT: self.input_act}
        for layer in self.layers:
            for operand, act in ((layer.source, layer.act), (layer.residual, layer.residual_act)):
                if operand is not None and known.get(operand) != act:
                    raise InputError(f"layer {layer.name!r} reads {operand!r}, which does not give {act}")
            if layer.name in known:
                raise InputError(f"layer name {layer.name!r} is used twice")
            if layer.out is not None:
                known[layer.name] = layer.out
        if not self.layers or self.layers[-1].out is not None:
            raise InputError(f"network {self.name!r}: its last layer must give the logits (out is None)")
        shapes = self.shapes
        for layer in self.layers:
            if layer.residual is not None and shapes[layer.residual] != shapes[layer.name]:
                raise InputError(
                    f"layer {layer.name!r} of shape {shapes[layer.name]} cannot add {layer.residual!r} "
                    f"of shape {shapes[layer.residual]}"
                )

    @property
    def shapes(self) -> dict[str, Shape]:
        """The shape (C, Y, X) of the input and of every layer's output, by name."""
        shapes = {INPUT: (self.input_channels, self.input_height, self.input_width)}
        for layer in self.layers:
            shapes[layer.name] = layer.out_shape(shapes[layer.source])
        return shapes

    def to_json(self) -> dict[str, Any]:
        """Plain JSON members."""
        return {
            "name": self.name,
            "input_channels": self.input_channels,
            "input_height": self.input_height,
            "input_width": self.input_width,
            "input_bits": self.input_act.bits,
            "layers": [layer.to_json() for layer in self.layers],
        }

    @classmethod
    def from_json(cls, members: Any) -> NetworkSpec:
        """The network that ``to_json`` wrote; raises InputError if it cannot be one."""
        try:
            return cls(
                name=str(members["name"]),
                input_channels=members["input_channels"],
                input_height=members["input_height"],
                input_width=members["input_width"],
                input_act=ActFormat(bits=members["input_bits"]),
                layers=tuple(LayerSpec.from_json(layer) for layer in members["layers"]),
            )
        except InputError:
            raise
        except (KeyError, TypeError) as error:
            raise InputError(f"network description: {type(error).__name__}: {error}") from None

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON (the structure; the tensors have their own)."""
        return digest(self.to_json())
