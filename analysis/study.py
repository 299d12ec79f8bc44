"""``pact-hw study``: what each bit buys, as figures, tables and JSON."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from pact_hw.progress import SILENT, Progress

from . import figures, plots
from .tables import write_csv


def run_study(out: Path, *, progress: Progress = SILENT) -> dict[str, Any]:
    """Write every figure (PNG, SVG) and its numbers (CSV) into ``out``.

    Returns:
        JSON members: ``fig6c`` (12 points, relative errors; bandwidth None is unlimited), its
        ``mean_error`` and ``worst_error``, ``narrow_edges`` and ``files``.
    """
    files: list[Path] = []
    points = figures.fig6c()
    areas = figures.area_performance()
    tables = {
        "fig6b": figures.fig6b(),
        "fig6c": points,
        "superlinear": figures.superlinear(),
        "area_performance": areas,
        "fig6c_sensitivity": figures.sensitivity(),
    }
    for name, rows in tables.items():
        write_csv(out / f"{name}.csv", rows)
        files.append(out / f"{name}.csv")
    drawings: dict[str, Callable[[], Figure]] = {
        "fig6b": lambda: plots.fig6b(tables["fig6b"]),
        "fig6c": lambda: plots.fig6c(points),
        "superlinear": lambda: plots.superlinear(tables["superlinear"]),
        "area_performance": lambda: plots.area_performance(areas, points),
    }
    with plots.style(), progress.task("figures", total=len(drawings)) as advance:
        for name, draw in drawings.items():
            files += plots.save(draw(), out, name)
            advance(1)
    return {
        "fig6c": points,
        **figures.errors(points),
        "narrow_edges": figures.narrow_edges(),
        "files": [str(path) for path in sorted(files)],
    }
