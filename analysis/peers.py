"""Other public models of a systolic array, as what they assume; and why they differ from ours.

An M x K by K x N product (M pixels, K = taps times input channels, N output channels) on ``rows x cols``
multipliers that each hold one weight takes a number of tiles, each of M beats. The models differ in three
assumptions, and in nothing else that matters:

- what lies on the rows: all of K, or one kernel tap's input channels at a time;
- whether a tile's weights load (``rows`` cycles) before its beats, or behind the last tile's;
- whether the array fills and drains (``rows + cols - 2`` cycles) for every tile, or once.

SCALE-Sim 3 flattens K, loads in the open and fills for every tile: its cycles are this closed form exactly.
The paper's core as ``analysis.cores`` has it, and ZigZag 3.9 with the same array, take taps one at a time,
load behind the last tile and fill once.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from .system import Floats
from .workloads import Ints


class Rows(enum.Enum):
    """What lies on the rows of a weight-stationary array."""

    REDUCTION = "reduction"
    """Any ``rows`` of the K products."""
    TAP = "tap"
    """Input channels of one kernel tap."""


class Load(enum.Enum):
    """When a tile's weights come."""

    EXPOSED = "exposed"
    HIDDEN = "hidden"
    """While the tile before computes: a tile takes ``rows`` cycles at least."""


class Fill(enum.Enum):
    """How often the array fills and drains."""

    EVERY_TILE = "every tile"
    ONCE = "once"
    """For every layer."""


@dataclass(frozen=True, kw_only=True)
class Assumptions:
    """Of a weight-stationary model."""

    rows: Rows
    load: Load
    fill: Fill


SCALE_SIM = Assumptions(rows=Rows.REDUCTION, load=Load.EXPOSED, fill=Fill.EVERY_TILE)
PACT_CORE = Assumptions(rows=Rows.TAP, load=Load.HIDDEN, fill=Fill.ONCE)


def weight_stationary_cycles(
    layers: Mapping[str, Ints], rows: int, cols: int, assumptions: Assumptions
) -> Floats:
    """Cycles of each layer (``Workload.columns``; no groups) on one array, shape (layers,)."""
    reduction, outputs, pixels, kernel = (
        layers[name].astype(np.float64) for name in ("reduction", "out_channels", "out_pixels", "kernel")
    )
    if assumptions.rows is Rows.REDUCTION:
        row_tiles = np.ceil(reduction / rows)
    else:
        row_tiles = kernel**2 * np.ceil(reduction / kernel**2 / rows)
    tiles = row_tiles * np.ceil(outputs / cols)
    beats = pixels + rows if assumptions.load is Load.EXPOSED else np.maximum(pixels, rows)
    result: Floats
    if assumptions.fill is Fill.EVERY_TILE:
        result = tiles * (beats + rows + cols - 2) - 1
    else:
        result = tiles * beats + rows + cols
    return result


def output_stationary_cycles(layers: Mapping[str, Ints], rows: int, cols: int) -> Floats:
    """SCALE-Sim's closed form: operands enter skewed, results leave behind the next tile's operands."""
    pixels, outputs, reduction = (
        layers[name].astype(np.float64) for name in ("out_pixels", "out_channels", "reduction")
    )
    tiles: Floats = np.ceil(pixels / rows) * np.ceil(outputs / cols)
    return tiles * (reduction + rows + cols - 2) - 1


STEPS = {
    "all of K on the rows, not one tap": {"rows": Rows.REDUCTION},
    "weights load in the open": {"load": Load.EXPOSED},
    "fills and drains every tile": {"fill": Fill.EVERY_TILE},
}
"""From the paper's core to SCALE-Sim, one assumption after the other."""


def explained(layers: Mapping[str, Ints], rows: int, cols: int) -> dict[str, Floats]:
    """What each assumption adds to the paper's core's cycles until they are SCALE-Sim's."""
    assumptions = PACT_CORE
    found = {"paper's core": weight_stationary_cycles(layers, rows, cols, assumptions)}
    before = found["paper's core"]
    for name, change in STEPS.items():
        assumptions = replace(assumptions, **change)  # type: ignore[arg-type]
        after = weight_stationary_cycles(layers, rows, cols, assumptions)
        found[name] = after - before
        before = after
    return found
