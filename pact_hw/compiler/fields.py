"""An operation's fields: loops from its tiling, strides from where its tensors lie."""

from __future__ import annotations

from collections.abc import Mapping

from ..spec.core import CoreSpec
from ..spec.program import FIELDS, Opcode
from .placement import Placement
from .tiling import Planes, Tiling, drain_step
from .work import Store, Work

_COUNTS = (
    "tiles_y", "tiles_x", "grid_y", "grid_x", "patch_y", "patch_x", "pixel_words", "n_tiles", "block_y",
    "block_x", "act_slices", "weight_slices", "kernel_y", "kernel_x", "channel_beats", "out_planes",
    "drain_step", "load_step",
)  # fmt: skip
"""Fields of which every operation has at least 1."""
_STRIDES = {
    "tiles_y": ("tile_y", "tile_y_words", "tile_out_y", "out_tile_y", "residual_tile_y"),
    "tiles_x": ("tile_x", "tile_x_words", "tile_out_x", "out_tile_x", "residual_tile_x"),
    "grid_y": ("row_y", "row_y_words", "out_row_y", "residual_row_y"),
    "grid_x": ("row_x", "row_x_words", "out_row_x", "residual_row_x"),
    "patch_y": ("load_y_words",),
    "patch_x": ("load_x_words",),
    "n_tiles": ("act_n",),
    "block_y": ("act_y", "out_y", "residual_y"),
    "block_x": ("act_x", "out_x", "residual_x"),
    "act_slices": ("act_slice",),
    "kernel_y": ("act_kernel_y",),
    "kernel_x": ("act_kernel_x",),
    "out_planes": ("out_plane",),
    "residual_planes": ("residual_plane",),
}
"""Of each loop: what it adds, which where it runs once need not fit the core's registers."""


def operation_fields(
    work: Work,
    tiling: Tiling | None,
    placements: Mapping[str, Placement],
    core: CoreSpec,
    *,
    constants: int,
    after_transfers: int,
    memory: int,
) -> dict[str, int]:
    """Every field of ``work``'s operation.

    ``tiling`` is None for windows; ``memory`` is where raw sums go.
    """
    fields = _nothing(core)
    fields |= {
        "opcode": int(work.opcode), "after_transfers": after_transfers, "n_tiles": work.n_tiles,
        "constants": constants, "memory": memory,
        "limit": 0 if work.constants is None else work.constants.limit, "raw": int(work.out is None),
    }  # fmt: skip
    if tiling is None:
        fields |= _window(work, placements, core)
    else:
        fields |= _load(work, tiling, placements[work.source.tensor], core)
        fields |= _store(work, tiling, placements, core)
        fields |= _channel_tiles(work, tiling, core)
    idle = [name for count, names in _STRIDES.items() if fields[count] <= 1 for name in names]
    return fields | dict.fromkeys(idle, 0)


def _nothing(core: CoreSpec) -> dict[str, int]:
    """Fields that every operation may have."""
    step = {"drain_step": core.requantise_steps}
    return {field.name: 0 for field in FIELDS} | dict.fromkeys(_COUNTS, 1) | step


def store_fields(
    store: Store, placements: Mapping[str, Placement], core: CoreSpec, *, after_transfers: int
) -> dict[str, int]:
    """Every field of an operation that writes words to memory."""
    return _nothing(core) | {
        "opcode": int(Opcode.STORE), "after_transfers": after_transfers,
        "source": placements[store.tensor].base, "words": store.words, "memory": store.memory,
    }  # fmt: skip


def _load(work: Work, t: Tiling, place: Placement, core: CoreSpec) -> dict[str, int]:
    """What the loader copies, and how the array reads it."""
    source, lanes = work.source, core.lane_groups
    pixel = t.pixel_words * lanes
    # From one tap in x to the next: a pixel, or in an unfolded image a word of the same pixel.
    tap = lanes if work.folded else pixel
    line = t.patch_x * pixel
    unit = 1 if work.skip > 1 else work.y.stride
    unit_x = 1 if work.skip > 1 else work.x.stride
    origin_y = work.top * work.y.stride - work.y.padding
    origin_x = work.left * work.x.stride - work.x.padding
    row_y, row_x = t.block_y * work.y.stride, t.block_x * work.x.stride
    return {
        "source": place.base + source.top * place.line + source.left * place.pixel + source.first_word,
        "source_height": source.height, "source_width": source.width,
        "pixel_words": t.pixel_words, "n_tiles": t.n_tiles,
        "origin_y": origin_y, "origin_x": origin_x,
        "origin": origin_y * place.line + origin_x * place.pixel,
        "load_step": work.skip,
        "load_x_words": work.skip * place.pixel, "load_y_words": work.skip * place.line,
        "row_x": row_x, "row_y": row_y,
        "row_x_words": row_x * place.pixel, "row_y_words": row_y * place.line,
        "tile_x": t.grid_x * row_x, "tile_y": t.grid_y * row_y,
        "tile_x_words": t.grid_x * row_x * place.pixel, "tile_y_words": t.grid_y * row_y * place.line,
        "tiles_y": t.tiles_y, "tiles_x": t.tiles_x, "grid_y": t.grid_y, "grid_x": t.grid_x,
        "patch_y": t.patch_y, "patch_x": t.patch_x, "block_y": t.block_y, "block_x": t.block_x,
        "act_slices": work.act_slices, "weight_slices": work.weight_slices,
        "kernel_y": work.y.kernel, "kernel_x": work.x.kernel, "channel_beats": work.channel_beats,
        "act_kernel_x": tap, "act_kernel_y": line,
        "act_slice": place.groups * lanes, "act_x": unit_x * pixel, "act_y": unit * line,
        "weights_stay": int(t.weights_stay),
        "mode": 0 if work.mode is None else work.mode.index,
    }  # fmt: skip


def _channel_tiles(work: Work, t: Tiling, core: CoreSpec) -> dict[str, int]:
    """Of a depthwise convolution: n goes on by words of channels, and so does tx, if there are several."""
    if not work.diagonal:
        return {}
    fields = {"diagonal": 1, "act_n": core.lane_groups if t.n_tiles > core.col_groups else 0}
    if t.channel_tiles == 1:
        return fields
    return fields | {
        "tiles_x": t.channel_tiles, "tile_x": 0, "tile_x_words": t.n_tiles // core.col_groups,
        "tile_out_x": 0, "out_tile_x": t.n_tiles, "constants_tile_x": t.n_tiles,
    }  # fmt: skip


def _store(work: Work, t: Tiling, placements: Mapping[str, Placement], core: CoreSpec) -> dict[str, int]:
    """Where results go, and where their residual operands are."""
    place, groups = placements[work.written], core.col_groups
    planes = 1 if work.out is None else place.planes
    residual = work.residual
    other = placements[residual.tensor] if residual else place
    counts = Planes(out=planes, residual=other.planes if residual else 0)
    out = {
        "out_height": work.out_height, "out_width": work.out_width,
        "tile_out_y": t.grid_y * t.block_y, "tile_out_x": t.grid_x * t.block_x,
        "out_planes": planes, "drain_step": drain_step(core, work, counts),
    }  # fmt: skip
    if work.out is None:
        return out
    out |= _strides("out", place.line * groups, place.pixel * groups, t)
    mode, other_mode = core.mode(place.act_bits), core.mode(other.act_bits)
    out |= {"out": _first(work, place, groups, mode.level_parts), "out_plane": place.groups * groups}
    out |= {"out_mode": mode.index}
    if residual is None:
        return out
    top, left = residual.top + work.top * residual.stride, residual.left + work.left * residual.stride
    start, step = other.base + top * other.line + left * other.pixel, residual.stride * groups
    return (
        out
        | _strides("residual", step * other.line, step * other.pixel, t)
        | {
            "residual": start * groups + (residual.first_group - residual.first) * other_mode.level_parts,
            "residual_mode": other_mode.index,
            "residual_planes": other.planes, "residual_plane": other.groups * groups,
            "residual_first": residual.first, "residual_count": residual.count,
        }
    )  # fmt: skip


def _first(work: Work, place: Placement, groups: int, parts: int) -> int:
    """Column group of the first result; each takes ``parts`` of them."""
    line, pixel = place.border + work.top - work.target_top, place.border + work.left
    return (place.base + line * place.line + pixel * place.pixel) * groups + work.first_n * parts


def _strides(name: str, line: int, pixel: int, t: Tiling) -> dict[str, int]:
    """From pixel to pixel, block to block, tile to tile, for steps of ``line`` and ``pixel``."""
    return {
        f"{name}_x": pixel, f"{name}_y": line,
        f"{name}_row_x": t.block_x * pixel, f"{name}_row_y": t.block_y * line,
        f"{name}_tile_x": t.grid_x * t.block_x * pixel, f"{name}_tile_y": t.grid_y * t.block_y * line,
    }  # fmt: skip


def _window(work: Work, placements: Mapping[str, Placement], core: CoreSpec) -> dict[str, int]:
    """A sum or a maximum: an output pixel is a tile, its window the grid."""
    place, out, groups = placements[work.source.tensor], placements[work.written], core.col_groups
    planes = 1 if work.out is None else out.planes
    mode, out_mode = core.mode(place.act_bits), core.mode(out.act_bits)
    source, line, pixel = work.source, place.line * groups, place.pixel * groups
    origin_y = work.top * work.y.stride - work.y.padding
    start = place.base * groups + (source.top + origin_y) * line + (source.left - work.x.padding) * pixel
    results = {} if work.out is None else {  # raw sums have no place in the buffer
        "out": _first(work, out, groups, out_mode.level_parts), "out_plane": out.groups * groups,
        "out_mode": out_mode.index, "out_tile_x": out.pixel * groups, "out_tile_y": out.line * groups,
    }  # fmt: skip
    return results | {
        "source_height": source.height, "source_width": source.width,
        "origin_y": origin_y, "origin_x": -work.x.padding,
        "tiles_y": work.out_height, "tiles_x": work.out_width,
        "grid_y": work.y.kernel, "grid_x": work.x.kernel,
        "tile_out_y": work.y.stride, "tile_out_x": work.x.stride,
        "out_height": source.height, "out_width": source.width,
        "out_planes": planes, "drain_step": drain_step(core, work, Planes(out=planes, residual=place.planes)),
        "residual_mode": mode.index,
        "residual": start, "residual_planes": place.planes, "residual_plane": place.groups * groups,
        "residual_row_y": line, "residual_row_x": pixel,
        "residual_tile_y": work.y.stride * line, "residual_tile_x": work.x.stride * pixel,
        "residual_first": 0, "residual_count": min(work.n_tiles, source.words * groups // mode.level_parts),
    }  # fmt: skip
