"""What flows between the layers of a network while its graph is read."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from ...golden import decode_weights
from ...golden.matmul import Int64
from ...spec import ActEncoding, ActFormat, LayerKind, WeightFormat
from ...spec.layer import Shape
from .affine import Affine


@dataclass(frozen=True, kw_only=True)
class Pixels:
    """The network's input, as the modules in front of its first quantiser make it."""

    shape: Shape
    path: tuple[str, ...] = ()
    """The modules that it went through."""


@dataclass(frozen=True, kw_only=True)
class Levels:
    """The integer output of a layer, or a view of it; one level is worth ``value``."""

    name: str
    act: ActFormat
    value: Fraction
    shape: Shape
    flat: bool = False
    stride: int = 1
    """Every how many pixels are taken."""
    channel: int = 0
    """Channels of zeros in front of its own."""
    channels: int
    """Its own channels."""
    padding: int = 0
    """Zeros around each channel."""

    @property
    def plain(self) -> bool:
        """Whether it is the layer's whole output."""
        return self.stride == 1 and self.channels == self.shape[0] and not self.padding


@dataclass(kw_only=True)
class Sums:
    """Accumulators that wait for a quantiser: real value = ``affine.at(acc, residual level)``."""

    path: str
    """The module that they come from."""
    kind: LayerKind
    source: Levels
    shape: Shape
    affines: list[Affine]
    intervals: list[tuple[int, int]]
    act: ActFormat
    weight: WeightFormat | None = None
    codes: Int64 | None = None
    geometry: dict[str, Any] = field(default_factory=dict)
    others: tuple[Levels, ...] = ()
    """What is concatenated with ``source``."""
    flat: bool = False
    residual: Levels | None = None

    def map(self, change: Any) -> Sums:
        """The same with ``change(channel, affine)`` for each channel's affine."""
        return Sums(**{**vars(self), "affines": [change(n, a) for n, a in enumerate(self.affines)]})

    @property
    def in_channels(self) -> int:
        """Channels (or features) that the layer reads."""
        c, y, x = self.source.shape
        if self.kind is LayerKind.LINEAR:
            return c * y * x
        return c + sum(other.shape[0] for other in self.others)


def weight_intervals(codes: Int64, weight: WeightFormat, act: ActFormat) -> list[tuple[int, int]]:
    """The lowest and the highest sum that each output channel's own weights allow."""
    values = decode_weights(codes, weight).reshape(len(codes), -1)
    products = np.stack([values * act.min, values * act.max])
    lows, highs = products.min(axis=0).sum(axis=1), products.max(axis=0).sum(axis=1)
    return [(int(low), int(high)) for low, high in zip(lows, highs, strict=True)]


def covering(*formats: ActFormat) -> ActFormat:
    """The narrowest format that has all levels of ``formats``."""
    if all(act == formats[0] for act in formats):
        return formats[0]
    return act_for(min(act.min for act in formats), max(act.max for act in formats))


def act_for(low: int, high: int) -> ActFormat:
    """The narrowest format with the levels ``low..high``.

    Raises:
        InputError: it would need more than ``MAX_BITS`` bits.
    """
    if low >= 0:
        return ActFormat(bits=max(1, high.bit_length()))
    if -low <= high:
        return ActFormat(bits=high.bit_length() + 1, encoding=ActEncoding.SYMMETRIC)
    bits = max((-low - 1).bit_length(), high.bit_length()) + 1
    symmetric = low > -(1 << (bits - 1))
    return ActFormat(bits=bits, encoding=ActEncoding.SYMMETRIC if symmetric else ActEncoding.SIGNED)
