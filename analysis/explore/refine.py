"""The front's arrays, measured: generated, synthesised and simulated by whoever calls (nothing here does)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pact_hw.errors import InputError, ToolError
from pact_hw.files import read_json, write_json
from pact_hw.progress import SILENT, Progress
from pact_hw.spec import Dataflow, HardwareSpec, seal, unseal
from pact_hw.spec.canonical import digest

from ..area import array_area
from .core_designs import array_of
from .model import ARRAY, FIXED
from .pareto import costs, front
from .run import Columns
from .space import Space

Measure = Callable[[HardwareSpec, Path], Mapping[str, Any]]
"""Generates the array in a folder and measures it.

Members: ``area_ge`` or ``area_um2`` with ``nand2_um2``; ``cycles``, ``predicted_cycles``,
``values_compared``, ``mismatches``; ``problems``, one line each for what does not hold.
"""
FOLDER, MEASURED = "refined", "measured.json"
_SHORT = {Dataflow.OUTPUT_STATIONARY.value: "os", Dataflow.WEIGHT_STATIONARY.value: "ws"}


def arrays(found: Columns, most: int) -> list[tuple[HardwareSpec, str]]:
    """At most ``most`` different arrays of a front, evenly spread over its order; those we can generate.

    Each with the library of the first design that has it.
    """
    kinds: dict[tuple[Any, ...], tuple[HardwareSpec, str]] = {}
    names = (*ARRAY, "library")
    for *values, library in zip(*(found[name].tolist() for name in names), strict=True):
        design = dict(zip(ARRAY, values, strict=True))
        if design["mac_kind"] == FIXED and tuple(values) not in kinds:
            kinds[tuple(values)] = array_of(design, name=_name(design)), str(library)
    every = list(kinds.values())
    chosen = np.unique(np.linspace(0, len(every) - 1, min(most, len(every))).round().astype(int))
    return [every[place] for place in chosen]


def _name(design: Mapping[str, Any]) -> str:
    shape = "x".join(str(design[name]) for name in ("rows", "cols", "lanes"))
    return f"{_SHORT[design['dataflow']]}_{design['act_bits']}x{design['weight_bits']}_{shape}"


def refine(
    found: Columns, out: Path, measure: Measure, *, most: int, how: object = None, progress: Progress = SILENT
) -> list[dict[str, Any]]:
    """Measure up to ``most`` arrays of the front ``found`` in ``out``/refined/NAME; a row for each.

    What was measured before is not measured again, unless ``how`` (JSON: libraries, versions) differs.
    A tool's failure is that row's problem and stops nothing.
    """
    chosen = arrays(found, most)
    rows = []
    with progress.task("measuring arrays", total=len(chosen)) as advance:
        for spec, library in chosen:
            folder = out / FOLDER / spec.name
            key = digest({"hardware": spec.digest, "how": how})
            measured = _measured_before(folder / MEASURED, key)
            if measured is None:
                try:
                    measured = dict(measure(spec, folder))
                except (InputError, ToolError) as error:
                    measured = {"problems": [str(error)]}
                else:
                    write_json(folder / MEASURED, seal({"key": key, "measured": measured}))
            rows.append(_row(spec, library, folder.relative_to(out), measured))
            advance(1)
    return rows


def _measured_before(path: Path, key: str) -> dict[str, Any] | None:
    try:
        body = unseal(read_json(path), name=str(path))
    except InputError:
        return None
    return dict(body["measured"]) if body.get("key") == key else None


def _row(spec: HardwareSpec, library: str, folder: Path, measured: Mapping[str, Any]) -> dict[str, Any]:
    area = measured.get("area_ge")
    if area is None and "nand2_um2" in measured:
        area = measured["area_um2"] / measured["nand2_um2"]
    model = array_area(spec, library).total_ge
    return {
        "design": spec.name,
        "folder": folder.as_posix(),
        "digest": spec.digest,
        "macs_per_cycle": spec.macs_per_cycle,
        "model_area_ge": model,
        "measured_area_ge": area,
        "area_error": model / area - 1 if area else None,
        "model_library": library,
        "library": measured.get("library"),
        **{
            name: measured.get(name)
            for name in ("cycles", "predicted_cycles", "values_compared", "mismatches", "delay_ps")
        },
        "problems": list(measured.get("problems", [])),
    }


def with_measured_areas(space: Space, found: Columns, refined: Sequence[Mapping[str, Any]]) -> Columns:
    """``found`` with two more columns: the chip's area from measured arrays, and who is then on the front.

    ``measured_area_ge`` is NaN where the array was not measured. ``on_refined_front``: 1 if no other
    measured design beats it with measured areas (and what follows from them), 0 if one does, NaN unknown.
    """
    areas = {row["design"]: row["measured_area_ge"] for row in refined if row["measured_area_ge"]}
    names = [
        _name(dict(zip(ARRAY, values, strict=True)))
        for values in zip(*(found[name].tolist() for name in ARRAY), strict=True)
    ]
    core = np.array([areas.get(name, math.nan) for name in names], np.float64)
    total = core * found["cores"]
    density = found["images_per_s"] / total * 1e6
    known = np.flatnonzero(np.isfinite(total) & (found["mac_kind"] == FIXED))
    mm2 = found["area_mm2"] * total / found["area_ge"]
    corrected = {**found, "area_ge": total, "area_mm2": mm2, "images_per_s_per_mge": density}
    verdict = np.full(len(total), np.nan)
    verdict[known] = 0.0
    best = front(costs(space, {name: values[known] for name, values in corrected.items()}))
    verdict[known[best]] = 1.0
    return {**found, "measured_area_ge": total, "on_refined_front": verdict}
