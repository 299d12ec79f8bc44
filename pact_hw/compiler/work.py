"""What an operation computes, before it has a tile, an address, a place in the program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..golden.matmul import Int64
from ..spec import ActFormat
from ..spec.core_mode import CoreMode
from ..spec.program import Opcode
from .weights import Codes


@dataclass(frozen=True, kw_only=True)
class Source:
    """Pixels that an operation reads: a part of a tensor, zeros around it."""

    tensor: str
    height: int
    width: int
    top: int = 0
    """Lines of the tensor above the part."""
    left: int = 0
    first_word: int = 0
    """First word of a pixel that is read."""
    words: int
    """Words of a pixel that are read, from the first to the last."""


class Steps(NamedTuple):
    """A kernel and how it moves, along one axis, in pixels of the source."""

    kernel: int
    stride: int
    padding: int


@dataclass(frozen=True, kw_only=True)
class Residual:
    """The residual operand of an operation."""

    tensor: str
    stride: int
    top: int
    left: int
    first_group: int
    """Column group of a pixel of the tensor that is read for ``first``."""
    first: int
    """n of the operation for which it is read first."""
    count: int


@dataclass(frozen=True, kw_only=True)
class Constants:
    """Of each output slot of an operation, n_tiles x cols."""

    mult: Int64
    add: Int64
    shift: Int64
    residual_mult: Int64
    limit: int


@dataclass(frozen=True, kw_only=True)
class Work:
    """One operation of a layer.

    ``weights`` of a matrix operation are n_tiles x slices x kernel_y x kernel_x x beats a tap x cols
    x lanes codes; ``out`` is None for logits, which are raw.
    """

    layer: str
    opcode: Opcode
    source: Source
    act_slices: int
    y: Steps
    x: Steps
    out_height: int
    out_width: int
    top: int = 0
    """Output lines above those that are computed."""
    left: int = 0
    out: ActFormat | None
    first_n: int
    """Column group of the result's pixels that is written first."""
    n_tiles: int
    weights: Codes | None = None
    constants: Constants | None = None
    residual: Residual | None = None
    mode: CoreMode | None = None
    """How the array is set; windows do not use it."""
    folded: bool = False
    """Whether taps in x are words of one pixel (``image.Fold``)."""
    diagonal: bool = False
    """Whether each column reads a channel of its own; weights then lie in lane 0."""
    target: str = ""
    """The strip of the result that is written; empty: all of the layer's result."""
    target_top: int = 0
    """Output lines above the strip."""
    macs: int
    """Useful multiply-accumulates."""

    @property
    def written(self) -> str:
        """The tensor, or strip of one, that is written."""
        return self.target or self.layer

    @property
    def tensors(self) -> list[str]:
        """Everything that is read or written."""
        residual = [self.residual.tensor] if self.residual is not None else []
        return [self.source.tensor, *residual, *([] if self.out is None else [self.written])]

    @property
    def weight_slices(self) -> int:
        """Slices of a weight."""
        return 1 if self.weights is None else self.weights.shape[1]

    @property
    def channel_beats(self) -> int:
        """Beats of one tap."""
        return 1 if self.weights is None else self.weights.shape[4]

    @property
    def beats(self) -> int:
        """Beats of one pass."""
        return self.y.kernel * self.x.kernel * self.channel_beats

    @property
    def tile_weights(self) -> int:
        """Weight words of one n-tile."""
        return 0 if self.weights is None else self.beats * self.weight_slices

    @property
    def skip(self) -> int:
        """Input pixels from one that is loaded to the next: a 1 x 1 kernel needs no others."""
        one = self.y.kernel == self.x.kernel == 1 and self.y.stride == self.x.stride
        return self.y.stride if one else 1

    def weight_words(self) -> npt.NDArray[np.uint16]:
        """Words x codes, in the order in which the array reads them; those of a mode at the port's places."""
        assert self.weights is not None
        assert self.mode is not None
        k, n = self.mode.beat_parts, self.mode.operand_words
        words = self.weights.reshape(-1, self.weights.shape[5] * self.weights.shape[6])
        if n == 1:
            return words
        # Operand (i, j) of a lane: code i of the activations' j-th word, code j of the weights' i-th.
        lanes = words.reshape(-1, k, k)
        spread = np.zeros((len(lanes), n, k), dtype=np.uint16)
        spread[:, :: n // k] = lanes.swapaxes(1, 2)
        return spread.reshape(len(words), -1)


@dataclass(frozen=True, kw_only=True)
class Store:
    """An operation that writes a strip of a layer's result to memory."""

    layer: str
    tensor: str
    words: int
    memory: int
    """Bytes from the input's address."""

    @property
    def tensors(self) -> list[str]:
        """Everything that is read or written."""
        return [self.tensor]


@dataclass(frozen=True, kw_only=True)
class Load:
    """A transfer that brings lines of a tensor into the activation buffer."""

    tensor: str
    """The tensor, or the strip of one, that is brought, by this or by several transfers."""
    first_word: int
    """Of it."""
    words: int
    memory: int
    """Bytes from the input's address."""
    stored: int | None = None
    """The step that stores what it brings; none for the image."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """An operation to be planned, and what must have been brought before it."""

    work: Work | Store
    loads: tuple[Load, ...] = ()
