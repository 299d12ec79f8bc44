"""Fit the area model's coefficients to the synthesised designs, and judge them by those held out.

    python benchmarks/area_points.py NAME=LIBERTY ...   (minutes to an hour: synthesis)
    python benchmarks/area_fit.py                       (seconds)

reads ``analysis/data/area_points.csv`` and writes ``analysis/data/area_coefficients.csv``. Coefficients
are non-negative; the relative errors of each module's area are squared and added up; held-out designs take
no part in it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.optimize import nnls

from analysis.area_features import features
from analysis.area_points import MODULES, points
from pact_hw.files import write_text

TABLE = Path(__file__).parent.parent / "analysis" / "data" / "area_coefficients.csv"


def fit(found, kind):
    """Coefficients by feature of one kind of module."""
    used = [(features(point.spec)[kind], point.modules[kind]) for point in found if point.modules.get(kind)]
    if not used:
        return {}
    names = list(dict.fromkeys(name for counts, _ in used for name in counts))
    matrix = np.array([[counts.get(name, 0) / area for name in names] for counts, area in used])
    scale = np.maximum(matrix.max(axis=0), 1e-30)
    solution, _ = nnls(matrix / scale, np.ones(len(used)), maxiter=10_000)
    return dict(zip(names, solution / scale, strict=True))


def main() -> None:
    rows = []
    everything = points()
    for library in dict.fromkeys(point.library for point in everything):
        found = [point for point in everything if (point.library, point.role) == (library, "fit")]
        for kind in MODULES:
            for name, value in fit(found, kind).items():
                rows.append({"library": library, "module": kind, "feature": name, "um2": f"{value:.6g}"})
        rows.append({"library": library, "module": "nand2", "feature": "area", "um2": found[0].nand2_um2})
    lines = [
        "# Coefficients of analysis/area.py in um2, by benchmarks/area_fit.py from area_points.csv.",
        "library,module,feature,um2",
        *(",".join(str(value) for value in row.values()) for row in rows),
    ]
    write_text(TABLE, "\n".join(lines) + "\n")
    from analysis.area_points import judged, summary

    for line in summary(judged()):
        print(line)


if __name__ == "__main__":
    main()
