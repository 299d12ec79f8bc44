"""Weights and constants in the order of an operation's slots."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ..golden.matmul import Int64, decode_weights
from ..golden.network import Tensors
from ..golden.offset import offset_add
from ..spec import ActFormat, LayerKind, LayerSpec, WeightEncoding
from ..spec.core import CoreSpec
from ..spec.core_mode import CoreMode
from .image import Fold
from .limits import check_constants
from .slots import Slots
from .weights import Codes
from .work import Constants, Steps


class Outputs(NamedTuple):
    """The channels that an operation computes, and its column groups."""

    channels: range
    """Of the layer."""
    slots: Slots
    """Of all the layer's channels."""
    first_n: int
    n_tiles: int

    def columns(self, cols: int) -> Int64:
        """Of each channel: its place among the operation's columns."""
        found: Int64 = np.array([self.slots[n] for n in self.channels]) - self.first_n * cols
        return found


def place_weights(
    layer: LayerSpec,
    codes: Codes,
    slots: Slots,
    steps: tuple[Steps, Steps],
    outputs: Outputs,
    mode: CoreMode,
    cols: int,
    fold: Fold | None,
) -> Codes:
    """Sliced ``codes`` (slices x channels x ...) as ``Work.weights``, for an array of ``cols`` in ``mode``.

    ``slots`` are those of the channels that are read, ``steps`` y and x.
    """
    ky, kx = steps[0].kernel, steps[1].kernel
    if layer.kind is LayerKind.LINEAR:
        codes = codes.reshape(*codes.shape[:2], -1, ky, kx)
    if fold is not None:
        codes = _fold_weights(codes, fold.taps)
        slots = tuple(range(codes.shape[2]))
    words, codes_of_word = np.divmod(slots, mode.word_channels)
    places = words * mode.word_channels + np.array(mode.lane_order)[codes_of_word]
    beats = int(places.max()) // mode.lanes + 1
    columns = outputs.columns(cols)
    spread = np.zeros((len(codes), outputs.n_tiles * cols, ky, kx, beats * mode.lanes), dtype=np.uint16)
    spread[:, columns[:, None], :, :, places] = codes.transpose(1, 2, 0, 3, 4)
    parts = spread.reshape(len(codes), outputs.n_tiles, cols, ky, kx, beats, mode.lanes)
    return np.ascontiguousarray(parts.transpose(1, 0, 3, 4, 5, 2, 6))


def _fold_weights(codes: Codes, taps: int) -> Codes:
    """Slices x N x C x FY x FX for an image unfolded: C x taps x FY x parts in x, or wholly K x 1 x 1."""
    w, n, c, ky, kx = codes.shape
    if not taps:
        return codes.transpose(0, 1, 3, 4, 2).reshape(w, n, -1, 1, 1)
    parts = -(-kx // taps)
    padded = np.pad(codes, ((0, 0), (0, 0), (0, 0), (0, 0), (0, parts * taps - kx)))
    split = padded.reshape(w, n, c, ky, parts, taps)
    return split.transpose(0, 1, 5, 2, 3, 4).reshape(w, n, taps * c, ky, parts)


def diagonal_weights(codes: Codes, outputs: Outputs, planes: int, core: CoreSpec) -> tuple[Codes, Int64]:
    """Sliced ``codes`` (slices x channels x 1 x FY x FX) as ``Work.weights``, in lane 0.

    And by how much each channel's sum will be too large: activations are complemented where a slice of a
    weight is negative (``spec.program``), which adds 2**act_bits - 1 for each plane.
    """
    array, (w, _, _, ky, kx) = core.array, codes.shape
    values = decode_weights(codes, array.weight)
    magnitude, negative = np.abs(values), values < 0
    too_much = (magnitude * negative).sum(axis=(2, 3, 4))  # slices x channels
    more = (too_much << array.weight.bits * np.arange(w)[:, None]).sum(axis=0)
    more *= (1 << array.act.bits * planes) - 1
    if array.weight.encoding is WeightEncoding.ODD:
        codes = ((negative << (array.weight.bits - 1)) | (magnitude >> 1)).astype(np.uint16)
    spread = np.zeros((w, outputs.n_tiles * array.cols, ky, kx, array.lanes), dtype=np.uint16)
    spread[..., 0][:, outputs.columns(array.cols)] = codes[:, :, 0]
    parts = spread.reshape(w, outputs.n_tiles, array.cols, ky, kx, 1, array.lanes)
    return np.ascontiguousarray(parts.transpose(1, 0, 3, 4, 5, 2, 6)), more


def place_constants(
    layer: LayerSpec,
    act: ActFormat,
    tensors: Tensors,
    outputs: Outputs,
    core: CoreSpec,
    residuals: range,
    more: Int64 | None = None,
) -> Constants | None:
    """Constants of ``layer`` for a source of ``act``; 0 for slots without a channel.

    ``more`` is by how much each channel's sum is too large.

    ``residuals`` are the channels that have a residual operand. Others multiply it by 0: code 0, which
    they get, is not level 0 where levels are signed.
    """
    if layer.out is None:
        return None
    zero = np.zeros(layer.out_channels, dtype=np.int64)
    if layer.kind is LayerKind.MAX:
        values = {"mult": zero + 1, "add": zero, "shift": zero, "residual_mult": zero}
    else:
        named = {n: np.asarray(tensors[f"{layer.name}.{n}"], dtype=np.int64) for n in ("mult", "shift")}
        residual_mult = zero.copy()
        if residuals:
            mine = slice(residuals.start, residuals.stop)
            residual_mult[mine] = tensors[f"{layer.name}.residual_mult"][mine]
        known = {**tensors, f"{layer.name}.residual_mult": residual_mult}
        add = offset_add(replace(layer, act=act), known)
        if more is not None:
            add = add - named["mult"] * more
        values = {**named, "add": add, "residual_mult": residual_mult}
    spread = {}
    for name, value in values.items():
        spread[name] = np.zeros(outputs.n_tiles * core.array.cols, dtype=np.int64)
        spread[name][outputs.columns(core.array.cols)] = value[list(outputs.channels)]
    check_constants(layer, spread, core)
    return Constants(**spread, limit=layer.out.max - layer.out.min)


def border_constants(act: ActFormat, outputs: Outputs, core: CoreSpec) -> Constants:
    """Constants that give level 0 in every channel, whatever the sum."""
    spread = np.zeros(outputs.n_tiles * core.array.cols, dtype=np.int64)
    zero = spread.copy()
    spread[outputs.columns(core.array.cols)] = -act.min
    return Constants(mult=zero, add=spread, shift=zero, residual_mult=zero, limit=-act.min)
