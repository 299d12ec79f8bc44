"""``pact-hw study``: what each bit buys, as figures, tables and JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from pact_hw.errors import InputError
from pact_hw.progress import SILENT, Progress

from . import figures, plots
from .figures import Rows
from .tables import write_csv


@dataclass(frozen=True, kw_only=True)
class Study:
    """One figure: what it shows, its numbers, and how they are drawn (None: a table alone)."""

    shows: str
    rows: Callable[[], Rows]
    draw: Callable[[Rows], Figure] | None = None


STUDIES: dict[str, Study] = {
    "fig6b": Study(
        shows="the paper's Fig. 6(b): area of a MAC against precision, and our arrays'",
        rows=figures.fig6b,
        draw=plots.fig6b,
    ),
    "fig6c": Study(
        shows="the paper's Fig. 6(c): ResNet-50 images per second against precision, 12 points",
        rows=figures.fig6c,
        draw=plots.fig6c,
    ),
    "fig6c_sensitivity": Study(
        shows="how the fit of Fig. 6(c) changes when a constant of the model moves (table)",
        rows=figures.sensitivity,
    ),
    "superlinear": Study(
        shows="speed-up over 16 bits, with weights kept on the chip and without",
        rows=figures.superlinear,
        draw=plots.superlinear,
    ),
    "footprint": Study(
        shows="memory that each network needs at each precision, against what fits",
        rows=figures.footprint,
        draw=plots.footprint,
    ),
    "traffic": Study(
        shows="traffic per image by kind, for three policies of what stays on the chip",
        rows=figures.traffic,
        draw=plots.traffic,
    ),
    "superlinearity_map": Study(
        shows="where narrow is super-linear: 2 to 64 MB on chip, 8 to 512 GB/s, three policies",
        rows=figures.superlinearity_map,
        draw=plots.superlinearity_map,
    ),
    "superlinear_range": Study(
        shows="the same map: from which bandwidth to which, for each memory size (table)",
        rows=lambda: figures.superlinear_range(figures.superlinearity_map()),
    ),
    "networks": Study(
        shows="which of six networks gain more than their peak, for one image and for batches",
        rows=figures.networks,
        draw=plots.networks,
    ),
    "pareto": Study(
        shows="accuracy (the paper's Table 1) against images per second",
        rows=figures.pareto,
        draw=plots.pareto,
    ),
    "roofline": Study(
        shows="multiply-accumulates per second against those per byte, with the chip's limits",
        rows=figures.roofline,
        draw=plots.roofline,
    ),
    "area_performance": Study(
        shows="ResNet-50 throughput against area, and at equal area",
        rows=figures.area_performance,
        draw=plots.area_performance,
    ),
    "area_fit": Study(
        shows="area by the model against synthesis, designs of the fit and held out, per cell library",
        rows=figures.area_fit,
        draw=plots.area_fit,
    ),
    "energy": Study(
        shows="energy per image by what it is spent on",
        rows=figures.energy,
        draw=plots.energy,
    ),
}
"""Every figure of the study, by name."""


def run_study(
    out: Path, names: Sequence[str] = (), *, process_file: Path | None = None, progress: Progress = SILENT
) -> dict[str, Any]:
    """Write figures (PNG, SVG) and their numbers (CSV) into ``out``.

    Args:
        out: the folder.
        names: which of ``STUDIES``; none: all.
        process_file: a technology of your own for the energy figure (``analysis.process``).
        progress: listener.

    Returns:
        JSON members: ``fig6c`` (12 points, relative errors; bandwidth None is unlimited), its
        ``mean_error`` and ``worst_error``, ``narrow_edges`` and ``files``.

    Raises:
        InputError: there is no figure of such a name, or the process file is unusable.
    """
    for name in names:
        if name not in STUDIES:
            raise InputError(f"figure must be one of {', '.join(STUDIES)}, not {name!r}")
    chosen = list(dict.fromkeys(names)) or list(STUDIES)
    files: list[Path] = []
    with plots.style(), progress.task("figures", total=len(chosen)) as advance:
        for name in chosen:
            study = STUDIES[name]
            rows = figures.energy(process_file) if name == "energy" else study.rows()
            write_csv(out / f"{name}.csv", rows)
            files.append(out / f"{name}.csv")
            if study.draw is not None:
                files += plots.save(study.draw(rows), out, name)
            advance(1)
    points = figures.fig6c()
    return {
        "fig6c": points,
        **figures.errors(points),
        "narrow_edges": figures.narrow_edges(),
        "files": [str(path) for path in sorted(files)],
    }
