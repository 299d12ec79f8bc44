"""How an operation is cut into tiles and blocks: as quick as can be, and with as little traffic."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..errors import InputError
from ..spec.core import CoreSpec
from ..spec.core_schedule import operation_cycles
from ..spec.program import FIELDS, Opcode
from .limits import HINT
from .work import Work

_MOST = (1 << next(field.bits for field in FIELDS if field.name == "tiles_y")) - 1
"""Iterations of a loop over pixels."""


def bus_beats(core: CoreSpec, bits: int) -> int:
    """Bus beats of a memory word of ``bits`` bits."""
    return -(-bits // core.bus_bits)


@dataclass(frozen=True, kw_only=True)
class Tiling:
    """The loops of a matrix operation."""

    grid_y: int
    grid_x: int
    block_y: int
    block_x: int
    tiles_y: int
    tiles_x: int
    patch_y: int
    patch_x: int
    pixel_words: int
    """Words of a pixel that a patch has."""
    n_tiles: int
    """Of a tile."""
    channel_tiles: int
    """Tiles that compute other channels; if there are several, ``tiles_x`` is 1."""
    weights_stay: bool
    cycles: int
    """Predicted, stalls aside."""
    bus_beats: int
    """Beats of the bus for its weights."""
    weight_reads: int
    """How often the bus brings the weights."""

    def time(self, bus_limited: bool) -> int:
        """What is to be least: the larger of cycles and bus beats, or the cycles alone."""
        return max(self.cycles, self.bus_beats) if bus_limited else self.cycles


@dataclass(frozen=True, kw_only=True)
class Planes:
    """Of an operation's result and of its residual operand (0: none)."""

    out: int
    residual: int


def drain_step(core: CoreSpec, work: Work, planes: Planes) -> int:
    """Cycles from one row's sums to the next one's: each plane takes one; raw sums of 32 bits four.

    With fewer requantisers than columns a row's operands and levels stay for longer.
    """
    longest = core.requantise_steps - 1 + max(1, planes.out, planes.residual)
    return max(longest, 4 if work.out is None else 1)


def _blocks(size: int, grid: int) -> list[int]:
    """Block sizes of which none needs as many tiles as a smaller one."""
    most = -(-size // grid)
    return sorted({-(-most // tiles) for tiles in range(1, most + 1)}, reverse=True)


def _patch(work: Work, block: int, kernel: int, stride: int) -> int:
    """Lines (pixels) of a patch for ``block`` output lines."""
    return block if work.skip > 1 else (block - 1) * stride + kernel


def _candidates(work: Work, core: CoreSpec) -> Iterator[dict[str, int]]:
    """Loops whose patches fit."""
    rows = core.array.rows
    for channel_tiles, pixel_words in _channels(work, core):
        for grid_y in (y for y in range(1, rows + 1) if rows % y == 0):
            grid_x = rows // grid_y
            for block_y in _blocks(work.out_height, grid_y):
                patch_y = _patch(work, block_y, work.y.kernel, work.y.stride)
                for block_x in _blocks(work.out_width, grid_x):
                    patch_x = _patch(work, block_x, work.x.kernel, work.x.stride)
                    tiles_x = -(-work.out_width // (grid_x * block_x))
                    fits = patch_y * patch_x * pixel_words <= core.patch_words
                    tiles_y = -(-work.out_height // (grid_y * block_y))
                    fits &= max(tiles_y, tiles_x, channel_tiles, patch_y, patch_x) <= _MOST
                    if fits and (channel_tiles == 1 or tiles_x == 1):
                        yield {
                            "grid_y": grid_y, "grid_x": grid_x, "block_y": block_y, "block_x": block_x,
                            "tiles_y": tiles_y, "tiles_x": tiles_x,
                            "patch_y": patch_y, "patch_x": patch_x, "pixel_words": pixel_words,
                            "n_tiles": work.n_tiles // channel_tiles, "channel_tiles": channel_tiles,
                        }  # fmt: skip


def _channels(work: Work, core: CoreSpec) -> Iterator[tuple[int, int]]:
    """Into how many tiles an operation's channels may be cut, and a pixel's words that each then loads."""
    yield 1, work.source.words
    if work.diagonal and work.residual is None:
        words = work.n_tiles // core.col_groups
        for tiles in (tiles for tiles in range(2, words + 1) if words % tiles == 0):
            yield tiles, work.source.words - words + words // tiles


def check_weights(work: Work, core: CoreSpec) -> None:
    """Refuse an operation of which not even one n-tile's weights fit."""
    if work.tile_weights > core.weight_words:
        raise InputError(
            f"layer {work.layer!r}: the weights of {core.array.cols} output channels take "
            f"{work.tile_weights} words, the core has weight_words {core.weight_words}: {HINT}"
        )


def loops(core: CoreSpec, work: Work, planes: Planes) -> dict[str, int]:
    """The fields of a matrix operation's cycles that do not depend on the tiling."""
    return {
        "opcode": Opcode.MATRIX, "kernel_y": work.y.kernel, "kernel_x": work.x.kernel,
        "channel_beats": work.channel_beats,
        "act_slices": work.act_slices, "weight_slices": work.weight_slices,
        "drain_step": drain_step(core, work, planes), "out_planes": planes.out,
        "residual_planes": planes.residual, "raw": int(work.out is None),
    }  # fmt: skip


def choose(work: Work, core: CoreSpec, planes: Planes, *, bus_limited: bool = True) -> Tiling:
    """The best tiling of a matrix operation.

    The least of the larger of predicted cycles and bus beats (only the cycles if not ``bus_limited``); then
    of each.

    Raises:
        InputError: not even one pixel a row, or one n-tile's weights, fit the core.
    """
    check_weights(work, core)
    fields = loops(core, work, planes)
    total = work.tile_weights * work.n_tiles
    stay = total <= core.weight_words
    beats = bus_beats(core, core.weight_word_bits)
    best: tuple[tuple[int, ...], Tiling] | None = None
    for tile in _candidates(work, core):
        keeps = stay and tile["channel_tiles"] == 1
        tiles = tile["tiles_y"] * tile["tiles_x"]
        reads = 1 if keeps else tiles
        tiles_x = tile["tiles_x"] * tile["channel_tiles"]
        found = Tiling(
            **tile,
            weights_stay=keeps and tiles > 1,
            cycles=operation_cycles(core, {**fields, **tile, "tiles_x": tiles_x}),
            bus_beats=total * reads * beats,
            weight_reads=reads,
        )
        key = (found.time(bus_limited), found.cycles, found.bus_beats, found.grid_y, found.block_y)
        if best is None or key < best[0]:
            best = key, found
    if best is None:
        words = min(words for _, words in _channels(work, core))
        need = words * (1 if work.skip > 1 else work.y.kernel * work.x.kernel)
        raise InputError(
            f"layer {work.layer!r}: what one output pixel reads takes {need} words of a row's patch, "
            f"the core has patch_words {core.patch_words}: {HINT}"
        )
    return best[1]
