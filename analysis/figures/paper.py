"""The paper's figure, point by point: its numbers and the models'."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import numpy as np

from pact_hw.spec import ActFormat, Dataflow, HardwareSpec, WeightEncoding, WeightFormat

from ..area import array_area, libraries
from ..area_points import points
from ..memory import Retention
from ..performance import FITTED, Constants, Performance, System, evaluate
from ..tables import finite, packaged
from ..workloads import resnet50

BITS = (16, 8, 4, 2)
PAPER_CORES = {16: 4, 8: 8, 4: 16, 2: 32}
BANDWIDTHS = (np.inf, 64.0, 32.0)
LANES = 16
"""Lanes of our PEs in the comparisons: 8 rows x 4 columns x 16 lanes are the paper's 512 MACs a core."""

Rows = list[dict[str, Any]]


def array(bits: int, *, lanes: int = LANES, rows: int = 8) -> HardwareSpec:
    """An array of 512 MACs (rows x cols x lanes), both operands ``bits`` wide, PACT's weights."""
    return HardwareSpec(
        act=ActFormat(bits=bits),
        weight=WeightFormat(bits=bits, encoding=WeightEncoding.ODD),
        rows=rows,
        cols=512 // (rows * lanes),
        lanes=lanes,
    )


def paper_system(rows: list[dict[str, float]], **changes: Any) -> System:
    """The paper's chip at every row."""
    given = {
        "bits": [row["bits"] for row in rows],
        "cores": [row["cores"] for row in rows],
        "bandwidth_bytes_per_s": [row["bandwidth_gb_per_s"] * 1e9 for row in rows],
    }
    return System(**{**given, **changes})


def _evaluate(system: System, retention: Retention, constants: Constants = FITTED) -> Performance:
    return evaluate(resnet50(), system, retention=retention, constants=constants)


def fig6b() -> Rows:
    """Area of a MAC relative to the one of 2 bits: the paper's, and our PEs', synthesised and by the model.

    With 1 lane and with 16 lanes a PE.
    """
    paper = {row["bits"]: row["relative_area"] for row in packaged("paper_fig6b.csv")}
    rows: Rows = [
        {"source": "paper", "lanes": 1, "bits": bits, "relative_area": paper[bits], "um2_per_mac": None}
        for bits in BITS
    ]
    for library in libraries():
        for lanes in (1, LANES):
            model = {bits: array_area(array(bits, lanes=lanes, rows=4), library) for bits in BITS}
            found = {bits: _synthesised_pe(library, bits, lanes) for bits in BITS}
            for bits in BITS:
                pes = model[bits].pes_um2 / model[bits].macs_per_cycle
                rows += [
                    {
                        "source": f"{library}, {kind}",
                        "lanes": lanes,
                        "bits": bits,
                        "relative_area": value / base,
                        "um2_per_mac": value,
                    }
                    for kind, value, base in (
                        ("synthesised", found[bits], found[2]),
                        ("model", pes, model[2].pes_um2 / model[2].macs_per_cycle),
                    )
                ]
    return rows


def _synthesised_pe(library: str, bits: int, lanes: int) -> float:
    """um2 a MAC of a synthesised output-stationary PE for odd weights."""
    for point in points():
        spec = point.spec
        widths = (spec.act.bits, spec.weight.bits, spec.lanes, spec.max_reduction, spec.rows)
        same = widths == (bits, bits, lanes, HardwareSpec.max_reduction, 4) and spec.cols == 4
        plain = spec.dataflow is Dataflow.OUTPUT_STATIONARY and spec.requantiser is None
        if point.library == library and same and plain and spec.weight.encoding is WeightEncoding.ODD:
            return point.modules["pe"] / lanes
    raise LookupError(f"{library}: no synthesised PE of {bits} bits and {lanes} lanes")


def fig6c(constants: Constants = FITTED) -> Rows:
    """The paper's 12 points and the model's, with the relative error of each."""
    rows = packaged("paper_fig6c.csv")
    model = _evaluate(paper_system(rows), Retention.EXPOSED_FIRST, constants)
    off = _evaluate(paper_system(rows), Retention.NONE, constants)
    nothing = _evaluate(paper_system(rows), Retention.NOTHING, constants)
    megabytes = model.allocation.moved.sum(axis=1) / 1e6
    return [
        {
            "bandwidth_gb_per_s": finite(row["bandwidth_gb_per_s"]),
            "bits": int(row["bits"]),
            "cores": int(row["cores"]),
            "paper": row["images_per_s"],
            "paper_linear": row["linear_images_per_s"],
            "model": float(model.images_per_s[i]),
            "error": float(model.images_per_s[i] / row["images_per_s"] - 1),
            "model_without_retention": float(off.images_per_s[i]),
            "model_nothing_kept": float(nothing.images_per_s[i]),
            "model_streamed_mb_per_image": float(megabytes[i]),
            "model_utilisation": float(model.utilisation[i]),
        }
        for i, row in enumerate(rows)
    ]


def errors(rows: Rows) -> dict[str, float]:
    """Mean and worst of the absolute relative errors of ``fig6c``."""
    absolute = np.abs([row["error"] for row in rows])
    return {"mean_error": float(absolute.mean()), "worst_error": float(absolute.max())}


def sensitivity() -> Rows:
    """How the fit of ``fig6c`` changes when one constant moves."""
    rows: Rows = [{"constant": "as fitted", "factor": 1.0, "value": None, **errors(fig6c())}]
    for name, value in asdict(FITTED).items():
        for factor in (0.5, 0.8, 0.9, 1.1, 1.2, 1.5):
            moved = replace(FITTED, **{name: value * factor})
            rows.append({"constant": name, "factor": factor, "value": value * factor, **errors(fig6c(moved))})
    return rows


def narrow_edges() -> Rows:
    """What it gains when first and last layer are as narrow as the others (64 GB/s)."""
    rows = [row for row in packaged("paper_fig6c.csv") if row["bandwidth_gb_per_s"] == 64 and row["bits"] < 8]
    wide = _evaluate(paper_system(rows), Retention.EXPOSED_FIRST).images_per_s
    narrow = _evaluate(paper_system(rows, edge_bits=0), Retention.EXPOSED_FIRST).images_per_s
    return [{"bits": int(row["bits"]), "gain": float(narrow[i] / wide[i])} for i, row in enumerate(rows)]
