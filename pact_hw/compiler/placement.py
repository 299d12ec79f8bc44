"""Where tensors lie in the activation buffer, and how an image is laid out for the first layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..golden.matmul import Int64
from ..spec import ActFormat
from ..spec.core import CoreSpec
from ..spec.layer import Shape


@dataclass(frozen=True, kw_only=True)
class Placement:
    """A tensor in the activation buffer: pixel by pixel, plane by plane, ``groups`` words a plane.

    Channel c lies in slot ``slots[c]`` of a pixel: word ``slots[c] // word_channels`` of each plane. Other
    slots hold code 0. Codes are levels less ``low``.
    """

    base: int
    height: int
    width: int
    planes: int
    slots: tuple[int, ...]
    low: int
    act_bits: int
    word_channels: int

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
        """The levels (C, Y, X) in ``memory`` (words x word_channels codes)."""
        words = memory[self.base : self.base + self.words].astype(np.int64)
        parts = words.reshape(self.height, self.width, self.planes, -1)[..., list(self.slots)]
        weights = 1 << self.act_bits * np.arange(self.planes)
        codes: Int64 = np.einsum("yxpc,p->cyx", parts, weights) + self.low
        return codes

    def pack(self, codes: npt.NDArray[np.integer]) -> npt.NDArray[np.uint16]:
        """The inverse for codes Y x X x slots (groups * word_channels): words x word_channels."""
        planes = [
            (codes >> self.act_bits * plane) & ((1 << self.act_bits) - 1) for plane in range(self.planes)
        ]
        return np.stack(planes, axis=2).reshape(-1, self.word_channels).astype(np.uint16)


def place(core: CoreSpec, act: ActFormat, slots: tuple[int, ...], height: int, width: int) -> Placement:
    """A tensor of ``act`` levels, at word 0 for now."""
    bits = core.array.act.bits
    return Placement(
        base=0,
        height=height,
        width=width,
        planes=-(-act.bits // bits),
        slots=slots,
        low=act.min,
        act_bits=bits,
        word_channels=core.word_channels,
    )


@dataclass(frozen=True, kw_only=True)
class Fold:
    """An image unfolded in x: a pixel for each output position, of ``parts`` words of ``taps`` neighbours.

    So a layer of few channels fills the lanes. Tap i of channel c of a word lies in slot i * C + c.
    """

    kernel: int
    stride: int
    padding: int
    out_width: int
    out_height: int
    taps: int

    @property
    def parts(self) -> int:
        """Words for the kernel's taps in x."""
        return -(-self.kernel // self.taps)


@dataclass(frozen=True, kw_only=True)
class Image:
    """How the network's input is laid out: its padding physically there, or unfolded for its only reader."""

    placement: Placement
    shape: Shape
    padding: int = 0
    fold: Fold | None = None

    @property
    def _gather(self) -> npt.NDArray[np.int64]:
        """Y x X x slots: index into the image (C Y X), -1 for padding, -2 for nothing."""
        c, y, x = self.shape
        p, fold = (self.fold.padding if self.fold else self.padding), self.fold
        indices = np.pad(
            np.arange(c * y * x).reshape(self.shape), ((0, 0), (p, p), (p, p)), constant_values=-1
        )
        place = self.placement
        found = np.full((place.height, place.width, place.groups * place.word_channels), -2)
        if fold is None:
            found[:, :, list(place.slots)] = indices.transpose(1, 2, 0)
            return found
        for tap in range(fold.kernel):
            part, i = divmod(tap, fold.taps)
            slot = part * place.word_channels + i * c
            columns = indices[
                :, : place.height, tap : tap + (fold.out_width - 1) * fold.stride + 1 : fold.stride
            ]
            found[:, :, slot : slot + c] = columns.transpose(1, 2, 0)
        return found

    def words(self, levels: npt.NDArray[np.integer]) -> npt.NDArray[np.uint16]:
        """The words (x word_channels codes) that hold ``levels`` (C, Y, X)."""
        low = self.placement.low
        # What index -1 finds is padding, level 0; index -2 is no channel, code 0.
        codes = np.concatenate([np.asarray(levels, dtype=np.int64).ravel() - low, [0, -low]])
        return self.placement.pack(codes[self._gather])

    def to_json(self) -> dict[str, Any]:
        """Plain JSON members."""
        fold = self.fold and vars(self.fold)
        place = {**vars(self.placement), "slots": list(self.placement.slots)}
        return {"placement": place, "shape": list(self.shape), "padding": self.padding, "fold": fold}


def placement_from_json(members: dict[str, Any]) -> Placement:
    """The placement whose ``vars`` were written."""
    return Placement(**{**members, "slots": tuple(members["slots"])})


def image_from_json(members: dict[str, Any]) -> Image:
    """The image that ``to_json`` wrote."""
    return Image(
        placement=placement_from_json(members["placement"]),
        shape=tuple(members["shape"]),
        padding=members["padding"],
        fold=members["fold"] and Fold(**members["fold"]),
    )
