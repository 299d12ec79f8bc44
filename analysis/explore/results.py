"""What an exploration leaves for people and programs: front and sample as CSV, figures, explore.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pact_hw.files import write_json

from ..plots.style import save, style
from ..tables import Value, write_csv
from .axes import AXES
from .goals import MEANINGS, NUMBERS
from .plots import trade_off
from .refine import with_measured_areas
from .run import Columns, Exploration
from .space import Space
from .store import COLUMN

RESULT = "explore.json"
FRONT, SAMPLE = "front", "sample"

REFINED = {
    "measured_area_ge": "cells of all MAC arrays by synthesis (NAND2 equivalents)",
    "on_refined_front": "1: no measured design beats it, with measured areas",
}

Rows = list[dict[str, Value]]


def rows(columns: Columns) -> Rows:
    """``columns`` as records of plain values; NaN (no model of it) becomes None."""
    names = list(columns)
    return [
        {name: None if value != value else value for name, value in zip(names, record, strict=True)}
        for record in zip(*(columns[name].tolist() for name in names), strict=True)
    ]


def shown(space: Space) -> list[str]:
    """The columns that a reader wants: number, what varies, what is told."""
    told = [name for name in NUMBERS if name not in AXES]
    goals = [goal.metric for goal in space.objectives if goal.metric in AXES]
    return list(dict.fromkeys([COLUMN, *space.varied, *goals, *told]))


def write_results(
    space: Space, found: Exploration, out: Path, *, refined: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """Write ``front.csv``, ``sample.csv``, a figure for each pair of objectives, and ``explore.json``.

    Returns:
        The members of ``explore.json``.
    """
    files = []
    columns = shown(space)
    best = found.front
    if refined:
        best = with_measured_areas(space, best, refined)
        columns += REFINED
    tables = {FRONT: rows(best), SAMPLE: rows(found.sample)}
    for name, table in tables.items():
        (out / f"{name}.csv").unlink(missing_ok=True)  # of other objectives or limits
        if table:
            write_csv(out / f"{name}.csv", table)
            files.append(out / f"{name}.csv")
    goals = space.objectives
    with style():
        for index, across in enumerate(goals):
            for up in goals[index + 1 :]:
                if tables[FRONT]:
                    figure = trade_off(tables[SAMPLE], tables[FRONT], across=across, up=up)
                    files += save(figure, out, f"{FRONT}_{across.metric}_{up.metric}")
    result: dict[str, Any] = {
        "name": space.name,
        "digest": space.digest,
        "kind": "search" if space.method.search else "exhaustive",
        "designs_in_space": space.size,
        "designs_evaluated": found.designs,
        "evaluated_now": found.evaluated_now,
        "eligible": found.eligible,
        "objectives": {goal.metric: goal.direction for goal in goals},
        "limits": space.limits_json,
        "axes": space.axes_json,
        "columns": columns,
        "meanings": {name: meaning for name, meaning in (MEANINGS | REFINED).items() if name in columns},
        "front": tables[FRONT],
        "refined": list(refined),
        "files": [path.name for path in files],
    }
    result = _finite(result)
    write_json(out / RESULT, result)
    return result


def _finite(value: Any) -> Any:
    """``value`` with infinities as the texts "inf" and "-inf": JSON has none."""
    if isinstance(value, dict):
        return {name: _finite(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_finite(member) for member in value]
    return str(value) if isinstance(value, float) and abs(value) == float("inf") else value
