"""The synthesised designs of ``data/area_points.csv``, and how well the area model predicts them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pact_hw.spec import HardwareSpec

from .area import array_area
from .area_features import KINDS, instances
from .tables import packaged_text

MODULES = KINDS
_REQUANTISER = ("mult_bits", "add_bits", "max_shift", "level_bits", "residual_bits")


@dataclass(frozen=True, kw_only=True)
class AreaPoint:
    """One design synthesised with one library."""

    library: str
    role: str
    """``"fit"`` or ``"held-out"``."""
    spec: HardwareSpec
    modules: dict[str, float]
    """um2 of one instance of each kind of module, of its own cells."""
    area_um2: float
    nand2_um2: float


def points() -> list[AreaPoint]:
    """Every synthesised design."""
    return [_point(row) for row in packaged_text("area_points.csv")]


def _point(row: dict[str, str]) -> AreaPoint:
    members: dict[str, Any] = {
        "name": "probe",
        "mac_kind": row.get("mac_kind") or "fixed",
        "narrowest_bits": int(row.get("narrowest_bits") or 0),
        "weight_encoding": row["weight_encoding"],
        "dataflow": row["dataflow"],
        "requantiser": None,
    }
    for name in ("act_bits", "weight_bits", "rows", "cols", "lanes", "max_reduction", "acc_bits"):
        members[name] = int(row[name])
    if row["requantiser_mult_bits"]:
        widths = {name: int(row[f"requantiser_{name}"]) for name in _REQUANTISER}
        members["requantiser"] = {"kind": row.get("requantiser_kind") or "multiply-shift", **widths}
    return AreaPoint(
        library=row["library"],
        role=row["role"],
        spec=HardwareSpec.from_json(members),
        modules={kind: float(row[f"{kind}_um2"] or 0) for kind in MODULES},
        area_um2=float(row["area_um2"]),
        nand2_um2=float(row["nand2_um2"]),
    )


def judged() -> list[dict[str, Any]]:
    """Every synthesised design beside the model's prediction: relative error of the whole, and of a PE."""
    rows = []
    for point in points():
        found = array_area(point.spec, point.library)
        pe = found.pes_um2 / instances(point.spec)["pe"]
        rows.append(
            {
                "library": point.library,
                "role": point.role,
                "dataflow": point.spec.dataflow.value,
                "encoding": point.spec.weight.encoding.value,
                "act_bits": point.spec.act.bits,
                "weight_bits": point.spec.weight.bits,
                "lanes": point.spec.lanes,
                "requantised": int(point.spec.requantiser is not None),
                "synthesised_um2": point.area_um2,
                "model_um2": found.total_um2,
                "error": found.total_um2 / point.area_um2 - 1,
                "error_percent": 100 * (found.total_um2 / point.area_um2 - 1),
                "pe_error": pe / point.modules["pe"] - 1,
            }
        )
    return rows


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Median and worst absolute error by library and role."""
    found = []
    for library, role in dict.fromkeys((row["library"], row["role"]) for row in rows):
        chosen = [row for row in rows if (row["library"], row["role"]) == (library, role)]
        whole = np.abs([row["error"] for row in chosen])
        pe = np.abs([row["pe_error"] for row in chosen])
        found.append(
            {
                "library": library,
                "role": role,
                "designs": len(chosen),
                "median_error": float(np.median(whole)),
                "worst_error": float(whole.max()),
                "pe_median_error": float(np.median(pe)),
                "pe_worst_error": float(pe.max()),
            }
        )
    return found
