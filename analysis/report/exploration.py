"""What the page tells of an exploration: the trade-offs, the front, the arrays that were measured."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from pact_hw.errors import InputError
from pact_hw.files import read, read_json

from ..tables import Value
from .html import Row, details, facts, link, table, typed
from .scatter import scatter

RESULT = "explore.json"
MOST_ROWS = 2000
"""Designs of the front in the page's table; the CSV beside it has all."""

Rows = list[dict[str, Value]]


def exploration(folder: Path) -> tuple[str, str] | None:
    """Title and HTML of the exploration in ``folder``, or None if there is none.

    Raises:
        InputError: its files are damaged.
    """
    path = folder / RESULT
    if not path.is_file():
        return None
    result = read_json(path)
    try:
        return "Exploration", _section(folder, result)
    except (KeyError, TypeError, AttributeError, IndexError, StopIteration) as error:
        raise InputError(
            f"{path}: is not what pact-hw explore wrote: {type(error).__name__}: {error}"
        ) from None


def _section(folder: Path, result: dict[str, Any]) -> str:
    front = _typed(result["front"])
    sample = _sample(folder)
    objectives: dict[str, str] = result["objectives"]
    columns: list[str] = result["columns"]
    meanings: dict[str, str] = result["meanings"]
    labels = {name: _label(name, meanings, objectives) for name in columns}
    files = [folder / name for name in result["files"] if (folder / name).is_file()]
    numbers = facts(
        {
            "designs in the space": f"{result['designs_in_space']:,}",
            "evaluated": f"{result['designs_evaluated']:,} ({result['kind']})",
            "within the limits": f"{result['eligible']:,}",
            "on the Pareto front": f"{len(front):,}",
            "objectives": ", ".join(f"{way} {name}" for name, way in objectives.items()),
        }
    )
    parts = [numbers]
    if front:
        varied = [name for name, values in result["axes"].items() if len(values) > 1]
        parts.append(
            _plot(front, sample, columns=columns, varied=varied, objectives=objectives, labels=labels)
        )
        caption = "Pareto front" + (f", the first {MOST_ROWS:,}" if len(front) > MOST_ROWS else "")
        parts.append(
            table(front[:MOST_ROWS], columns, caption=caption, meanings=meanings, identity="front-table")
        )
    if result["refined"]:
        parts.append(_refined(folder, result["refined"]))
    parts.append(details("What the columns mean", facts(meanings)))
    axes = {name: ", ".join(map(str, values)) for name, values in result["axes"].items()}
    parts.append(details("The declared space", facts(axes | _limits(result["limits"]))))
    parts.append(f"<p>Files: {', '.join(link(file, folder) for file in files)}</p>")
    return "".join(parts)


def _limits(limits: dict[str, list[Value]]) -> dict[str, str]:
    return {f"limit of {name}": f"{least} to {most}" for name, (least, most) in limits.items()}


def _typed(rows: Rows) -> Rows:
    return [{name: typed(value) for name, value in row.items()} for row in rows]


def _sample(folder: Path) -> Rows:
    path = folder / "sample.csv"
    if not path.is_file():
        return []
    return _typed(read(path, lambda: list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))))


def _label(name: str, meanings: dict[str, str], objectives: dict[str, str]) -> str:
    better = {"maximise": ": more is better", "minimise": ": less is better"}
    return meanings.get(name, name) + better.get(objectives.get(name, ""), "")


def _plot(
    front: Rows,
    sample: Rows,
    *,
    columns: list[str],
    varied: list[str],
    objectives: dict[str, str],
    labels: dict[str, str],
) -> str:
    """The picture, and for scripts the numbers behind it."""
    numeric = [name for name in columns if any(isinstance(row.get(name), int | float) for row in front)]
    across, up = (*objectives, *(name for name in numeric if name not in objectives))[:2]
    colour = next((name for name in columns[1:] if name not in (across, up)), columns[0])
    data = {
        "columns": columns,
        "numeric": numeric,
        "labels": labels,
        "told": [name for name in columns if name in varied or name in objectives],
        "start": {"x": across, "y": up, "colour": colour},
        "front": _records(front[:MOST_ROWS], columns),
        "sample": _records(sample, columns),
    }
    # "<" cannot end the element, whatever a name holds.
    text = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    picture = scatter(front, sample, across, up, labels)
    return (
        f'<figure id="plot"><div class="controls"></div><div class="picture">{picture}</div>'
        '<div class="legend"></div><figcaption>Grey: a sample of all designs within the limits. Coloured: '
        "the Pareto front, the designs that no other one equals or beats in every objective."
        "</figcaption></figure>"
        f'<script type="application/json" id="plot-data">{text}</script>'
    )


def _records(rows: Rows, columns: list[str]) -> list[list[Value]]:
    return [[_plain(row.get(name)) for name in columns] for row in rows]


def _plain(value: Value) -> Value:
    """``value`` with six digits, infinities as text: JSON has none."""
    if isinstance(value, float):
        return float(f"{value:.6g}") if abs(value) != float("inf") else str(value)
    return value


def _refined(folder: Path, refined: list[Row]) -> str:
    names = ("model_area_ge", "measured_area_ge", "area_error", "cycles", "predicted_cycles")
    columns = ["design", "macs_per_cycle", *names, "values_compared", "mismatches"]
    columns += ["model_library", "library"]
    links = [_files(folder, folder / str(row["folder"])) for row in refined]
    return table(
        refined,
        columns,
        caption="Arrays of the front, generated, synthesised and simulated",
        cells={"files": links},
    )


def _files(folder: Path, design: Path) -> str:
    found = sorted(path for path in design.glob("*") if path.suffix in (".v", ".json"))
    return ", ".join(link(path, folder) for path in found)
