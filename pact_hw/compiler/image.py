"""How the network's input lies in memory and in the activation buffer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..spec.layer import Shape
from .placement import Placement, placement_from_json, placement_to_json


@dataclass(frozen=True, kw_only=True)
class Fold:
    """An image unfolded for the convolution that alone reads it, so that few channels fill the lanes.

    In x: a pixel for each input line and output column, of ``parts`` words of ``taps`` neighbours; tap i of
    channel c of a word lies in slot i * C + c. Or wholly (``taps`` 0): a pixel for each output pixel, with
    all that it reads: (ky * kernel + kx) * C + c. Where the kernel ends is code 0: odd weights are never 0.
    """

    kernel: int
    stride: int
    padding: int
    out_height: int
    out_width: int
    taps: int

    @property
    def parts(self) -> int:
        """Words for the kernel's taps in x."""
        return -(-self.kernel // self.taps)

    def unfold(self, padded: npt.NDArray[np.int64], word: int) -> npt.NDArray[np.int64]:
        """Of ``padded`` (C, Y, X) indices, those in each slot: Y x X x slots; -2 for nothing."""
        c, k, s = len(padded), self.kernel, self.stride
        columns = (self.out_width - 1) * s + 1
        if not self.taps:
            lines = (self.out_height - 1) * s + 1
            taps = [
                padded[:, ky : ky + lines : s, kx : kx + columns : s] for ky in range(k) for kx in range(k)
            ]
            found = np.concatenate(taps).transpose(1, 2, 0)
            return np.pad(found, ((0, 0), (0, 0), (0, -len(taps) * c % word)), constant_values=-2)
        height = (self.out_height - 1) * s + k
        found = np.full((height, self.out_width, self.parts * word), -2)
        for tap in range(k):
            part, i = divmod(tap, self.taps)
            slot = part * word + i * c
            found[:, :, slot : slot + c] = padded[:, :height, tap : tap + columns : s].transpose(1, 2, 0)
        return found


@dataclass(frozen=True, kw_only=True)
class Image:
    """The network's input: with a border of padding, or unfolded for its only reader.

    It lies in memory as in ``placement``, and comes into the activation buffer whole, or ``lines`` lines at
    a time.
    """

    placement: Placement
    shape: Shape
    lines: int
    fold: Fold | None = None

    @property
    def strips(self) -> int:
        """How many times ``lines`` lines come."""
        return -(-self.placement.height // self.lines)

    @property
    def _gather(self) -> npt.NDArray[np.int64]:
        """Y x X x slots: index into the image (C Y X), -1 for padding, -2 for nothing."""
        c, y, x = self.shape
        place = self.placement
        p = self.fold.padding if self.fold else place.border
        indices = np.arange(c * y * x).reshape(self.shape)
        indices = np.pad(indices, ((0, 0), (p, p), (p, p)), constant_values=-1)
        if self.fold is not None:
            return self.fold.unfold(indices, place.word_channels)
        found = np.full((place.height, place.width, place.groups * place.word_channels), -2)
        found[:, :, list(place.slots)] = indices.transpose(1, 2, 0)
        return found

    def words(self, levels: npt.NDArray[np.integer]) -> npt.NDArray[np.uint16]:
        """The words (x word_channels codes) that hold ``levels`` (C, Y, X)."""
        low = self.placement.low
        # What index -1 finds is padding, level 0; index -2 is no channel, code 0.
        codes = np.concatenate([np.asarray(levels, dtype=np.int64).ravel() - low, [0, -low]])
        return self.placement.pack(codes[self._gather])

    def to_json(self) -> dict[str, Any]:
        """Plain JSON members."""
        place, fold = placement_to_json(self.placement), self.fold and vars(self.fold)
        return {**vars(self), "placement": place, "shape": list(self.shape), "fold": fold}

    @classmethod
    def from_json(cls, members: dict[str, Any]) -> Image:
        """The image that ``to_json`` wrote."""
        own = {
            "placement": placement_from_json(members["placement"]),
            "shape": tuple(members["shape"]),
            "fold": members["fold"] and Fold(**members["fold"]),
        }
        return cls(**{**members, **own})
