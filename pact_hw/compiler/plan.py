"""Which operations a matrix product is cut into, so that its pixels fill the rows of the array."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache

from ..spec.core import CoreSpec
from ..spec.program import Opcode
from .placement import Placement
from .tiling import Planes, Tiling, choose
from .work import Work

_LONGEST = 1 << 15
"""Pixels of a line: so that its fields hold them, and what lies a tile beyond."""


def flattened(work: Work, placements: dict[str, Placement]) -> Work:
    """A 1 x 1 convolution as one over a single line: its pixels need no neighbours.

    So that 14 x 14 pixels are 196, and fill 8 rows but for 4.
    """
    source, residual = work.source, work.residual
    whole = [(placements[source.tensor], source.width), (placements[work.written], work.out_width)]
    if residual is not None:
        whole.append((placements[residual.tensor], work.out_width))
    # The first line of the result is the first of the source, whether these are strips or not.
    one = work.opcode == Opcode.MATRIX and work.y == (1, 1, work.top) and work.x == (1, 1, 0)
    one &= work.out is not None
    longest = work.out_height * max(source.width, work.out_width)
    if not one or longest > _LONGEST or any(place.width != width for place, width in whole):
        return work
    height = work.out_height
    return replace(
        work,
        source=replace(source, height=1, width=height * source.width),
        out_height=1,
        out_width=height * work.out_width,
    )


@cache
def _steps(height: int, width: int, rows: int) -> int:
    """Pixels that each row computes, at least."""
    grids = [(y, rows // y) for y in range(1, rows + 1) if rows % y == 0]
    return min(-(-height // y) * -(-width // x) for y, x in grids)


def _parts(work: Work, rows: int) -> list[list[Work]]:
    """``work`` whole, and cut in two where that saves the rows of the array most."""
    h, w = work.out_height, work.out_width
    cuts = [(_steps(y, w, rows) + _steps(h - y, w, rows), y, w) for y in range(1, h)]
    cuts += [(_steps(h, x, rows) + _steps(h, w - x, rows), h, x) for x in range(1, w)]
    steps, y, x = min(cuts, default=(h * w, h, w))
    if work.diagonal or steps >= _steps(h, w, rows):
        return [[work]]
    return [
        [work],
        [
            replace(work, out_height=y, out_width=x, macs=work.macs * y * x // (h * w)),
            replace(
                work,
                top=work.top + y % h, left=work.left + x % w,
                out_height=h - y or h, out_width=w - x or w,
                macs=work.macs - work.macs * y * x // (h * w),
            ),
        ],
    ]  # fmt: skip


def plan(
    work: Work, placements: dict[str, Placement], core: CoreSpec, *, bus_limited: bool
) -> Iterator[tuple[Work, Tiling | None]]:
    """The operations of ``work``, each with its tiling (windows have none).

    Raises:
        InputError: it does not fit the core.
    """
    if work.opcode != Opcode.MATRIX:
        yield work, None
        return
    work = flattened(work, placements)
    planes = Planes(
        out=1 if work.out is None else placements[work.written].planes,
        residual=placements[work.residual.tensor].planes if work.residual else 0,
    )
    plans = [
        [(part, choose(part, core, planes, bus_limited=bus_limited)) for part in parts]
        for parts in _parts(work, core.array.rows)
    ]
    yield from min(plans, key=lambda found: sum(tiling.time(bus_limited) for _, tiling in found))
