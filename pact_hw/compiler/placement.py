"""Where tensors lie in the activation buffer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..golden.matmul import Int64
from ..spec import ActFormat
from ..spec.core_mode import CoreMode


@dataclass(frozen=True, kw_only=True)
class Placement:
    """A tensor in the activation buffer: pixel by pixel, plane by plane, ``groups`` words a plane.

    Around the tensor there may be ``border`` pixels of level 0. Channel c lies in slot ``slots[c]`` of a
    pixel: word ``slots[c] // word_channels`` of each plane. Other slots hold code 0. Codes are levels less
    ``low``; ``act_bits`` bits each, those of one of the core's modes.
    """

    base: int
    height: int
    width: int
    planes: int
    slots: tuple[int, ...]
    low: int
    act_bits: int
    word_channels: int
    border: int = 0

    @property
    def groups(self) -> int:
        """Words of a plane of one pixel."""
        return max(self.slots) // self.word_channels + 1

    @property
    def pixel(self) -> int:
        """Words of a pixel."""
        return self.planes * self.groups

    @property
    def line(self) -> int:
        """Words of a line."""
        return self.width * self.pixel

    @property
    def words(self) -> int:
        """Words in all."""
        return self.height * self.line

    def levels(self, memory: npt.NDArray[np.integer]) -> Int64:
        """The levels (C, Y, X) in ``memory``, words x the core's ``word_channels`` narrowest codes."""
        words = memory[self.base : self.base + self.words].astype(np.int64)
        per_code = words.shape[1] // self.word_channels
        places = 1 << self.act_bits // per_code * np.arange(per_code)
        words = words.reshape(-1, self.word_channels, per_code) @ places
        parts = words.reshape(self.height, self.width, self.planes, -1)[..., list(self.slots)]
        weights = 1 << self.act_bits * np.arange(self.planes)
        codes: Int64 = np.einsum("yxpc,p->cyx", parts, weights) + self.low
        inner = slice(self.border, -self.border or None)
        return codes[:, inner, inner]

    def pack(self, codes: npt.NDArray[np.integer]) -> npt.NDArray[np.uint16]:
        """The inverse for codes Y x X x slots (groups * word_channels): words x word_channels."""
        planes = [
            (codes >> self.act_bits * plane) & ((1 << self.act_bits) - 1) for plane in range(self.planes)
        ]
        return np.stack(planes, axis=2).reshape(-1, self.word_channels).astype(np.uint16)


def place(
    mode: CoreMode, act: ActFormat, slots: tuple[int, ...], height: int, width: int, border: int = 0
) -> Placement:
    """A tensor of ``height`` x ``width`` ``act`` levels and a border, in ``mode``, at word 0 for now."""
    bits = mode.bits
    return Placement(
        base=0,
        height=height + 2 * border,
        width=width + 2 * border,
        border=border,
        planes=-(-act.bits // bits),
        slots=slots,
        low=act.min,
        act_bits=bits,
        word_channels=mode.word_channels,
    )


def placement_to_json(placement: Placement) -> dict[str, Any]:
    """Plain JSON members."""
    return {**vars(placement), "slots": list(placement.slots)}


def placement_from_json(members: dict[str, Any]) -> Placement:
    """The placement that ``placement_to_json`` wrote."""
    return Placement(**{**members, "slots": tuple(members["slots"])})
