"""The synthesised cores of ``data/core_area_points.csv``, and how well the model predicts them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pact_hw.spec import (
    ActFormat,
    CoreSpec,
    HardwareSpec,
    MacKind,
    RequantiserSpec,
    WeightEncoding,
    WeightFormat,
)

from .area_core import PARTS, core_area
from .tables import packaged_text

SIZES = (
    "bits",
    "edge_bits",
    "rows",
    "cols",
    "lanes",
    "requantisers",
    "mult_bits",
    "residual_mult_bits",
    "bus_bits",
    "narrowest_bits",
    "depth",
)


@dataclass(frozen=True, kw_only=True)
class CorePoint:
    """One core synthesised with one library."""

    library: str
    role: str
    """``"fit"`` or ``"held-out"``."""
    core: CoreSpec
    parts: dict[str, float]
    """um2 of each part."""


def probe(sizes: Mapping[str, Any]) -> CoreSpec:
    """The core that ``sizes`` (``SIZES`` and ``encoding``) stand for.

    ``narrowest_bits`` 0: a fixed array. ``depth``: of all buffers, over the least that were tried.
    """
    bits, edge = int(sizes["bits"]), int(sizes["edge_bits"])
    narrowest, depth = int(sizes["narrowest_bits"]), int(sizes["depth"])
    array = HardwareSpec(
        act=ActFormat(bits=bits),
        weight=WeightFormat(bits=bits, encoding=WeightEncoding(sizes["encoding"])),
        rows=int(sizes["rows"]),
        cols=int(sizes["cols"]),
        lanes=int(sizes["lanes"]),
        name="core",
        mac_kind=MacKind.COMPOSABLE if narrowest else MacKind.FIXED,
        narrowest_bits=narrowest,
        requantiser=RequantiserSpec(
            mult_bits=int(sizes["mult_bits"]), add_bits=32, max_shift=24, level_bits=edge, residual_bits=edge
        ),
    )
    return CoreSpec(
        array=array,
        widest_act_bits=edge,
        widest_weight_bits=edge,
        activation_words=4096 * depth,
        patch_words=64 * depth,
        weight_words=128 * depth,
        constant_words=16 * depth,
        program_words=2048,
        requantisers=int(sizes["requantisers"]),
        residual_mult_bits=int(sizes["residual_mult_bits"]),
        bus_bits=int(sizes["bus_bits"]),
    )


def points() -> list[CorePoint]:
    """Every synthesised core."""
    return [
        CorePoint(
            library=row["library"],
            role=row["role"],
            core=probe(row),
            parts={part: float(row[f"{part}_um2"]) for part in PARTS},
        )
        for row in packaged_text("core_area_points.csv")
    ]


def judged() -> list[dict[str, Any]]:
    """Every synthesised core beside the prediction: the whole's relative error, and that beside the array."""
    rows = []
    for point in points():
        found = core_area(point.core, point.library)
        area, array = sum(point.parts.values()), point.parts["array"]
        beside = found.total_um2 - found.parts_um2["array"]
        rows.append(
            {
                "library": point.library,
                "role": point.role,
                "synthesised_um2": area,
                "model_um2": found.total_um2,
                "error": found.total_um2 / area - 1,
                "beside_error": beside / (area - array) - 1,
            }
        )
    return rows
