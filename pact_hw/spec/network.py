"""A quantised network as the hardware sees it: a list of integer layers.

Tensors lie beside it in an npz file:

- ``LAYER.weight``: weight codes;
- ``LAYER.mult``, ``LAYER.add``, ``LAYER.shift`` and, with a residual operand, ``LAYER.residual_mult``:
  one value per output channel; or, for ``RequantiserKind.THRESHOLD``, ``LAYER.thresholds`` (channels
  x residual levels x steps) and ``LAYER.sign`` (channels);
- for logits with a bias ``LAYER.add``;
- ``input.levels`` (channels x 2**pixel_bits): the level of each pixel value, where images come as
  pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..errors import InputError
from .canonical import digest
from .formats import ActFormat, check_int
from .layer import LayerKind, LayerSpec, Shape

__all__ = ["INPUT", "LayerKind", "LayerSpec", "NetworkSpec", "Shape"]

INPUT = "input"
"""The name by which layers refer to the network's input."""


@dataclass(frozen=True, kw_only=True)
class NetworkSpec:
    """Layers in execution order; the last one gives the logits.

    The input is ``input_channels x input_height x input_width`` levels of ``input_act``; where
    ``pixel_bits`` is given, images are unsigned pixels of that width and a table gives their levels.
    """

    name: str
    input_channels: int
    input_height: int
    input_width: int
    input_act: ActFormat
    layers: tuple[LayerSpec, ...]
    pixel_bits: int | None = None

    def __post_init__(self) -> None:
        for name in ("input_channels", "input_height", "input_width"):
            check_int(name, getattr(self, name), 1, 1 << 16)
        if self.pixel_bits is not None:
            check_int("pixel_bits", self.pixel_bits, 1, 16)
        known = {INPUT: self.input_act}
        for layer in self.layers:
            for operand, act in ((layer.source, layer.act), (layer.residual, layer.residual_act)):
                if operand is not None and known.get(operand) != act:
                    raise InputError(f"layer {layer.name!r} reads {operand!r}, which does not give {act}")
            for operand in layer.concat:
                given = known.get(operand)
                if given is None or not layer.act.min <= given.min <= given.max <= layer.act.max:
                    raise InputError(
                        f"layer {layer.name!r} reads {operand!r}, which does not fit {layer.act}"
                    )
            if layer.name in known:
                raise InputError(f"layer name {layer.name!r} is used twice")
            if layer.out is not None:
                known[layer.name] = layer.out
        if not self.layers or self.layers[-1].out is not None:
            raise InputError(f"network {self.name!r}: its last layer must give the logits (out is None)")
        shapes = self.shapes
        for layer in self.layers:
            if layer.residual is not None:
                layer.check_residual(shapes[layer.name], shapes[layer.residual])

    @property
    def shapes(self) -> dict[str, Shape]:
        """The shape (C, Y, X) of the input and of every layer's output, by name."""
        shapes = {INPUT: (self.input_channels, self.input_height, self.input_width)}
        for layer in self.layers:
            c, y, x = shapes[layer.source]
            for operand in layer.concat:
                if shapes[operand][1:] != (y, x):
                    raise InputError(
                        f"layer {layer.name!r} cannot join {layer.source!r} of shape {shapes[layer.source]} "
                        f"and {operand!r} of shape {shapes[operand]}"
                    )
                c += shapes[operand][0]
            shapes[layer.name] = layer.out_shape((c, y, x))
        return shapes

    def to_json(self) -> dict[str, Any]:
        """Plain JSON members."""
        return {
            "name": self.name,
            "input_channels": self.input_channels,
            "input_height": self.input_height,
            "input_width": self.input_width,
            "input_act": self.input_act.to_json(),
            "pixel_bits": self.pixel_bits,
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
                input_act=ActFormat.from_json(members["input_act"]),
                pixel_bits=members["pixel_bits"],
                layers=tuple(LayerSpec.from_json(layer) for layer in members["layers"]),
            )
        except InputError:
            raise
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"network description: {type(error).__name__}: {error}") from None

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON (the structure; the tensors have their own)."""
        return digest(self.to_json())
