"""Synthesise the cores that the core's area model is fitted to and judged by, and fit it.

    python benchmarks/core_area_points.py asap7=asap7.lib.gz

writes ``analysis/data/core_area_points.csv`` and ``core_area_coefficients.csv``. Fit the arrays' model first
(``area_fit.py``): the array's own area is taken from it. Minutes a core; what was synthesised is taken from
``--cache``.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from core_area import PARTS as MODULES
from core_area import areas
from scipy.optimize import nnls

from analysis.area_core import PARTS, core_features
from analysis.area_core_points import SIZES, judged, points, probe
from analysis.synthesis.recipe import FULL_ADDERS
from pact_hw.files import read_json, write_json, write_text
from rtl_gen.core.emit import write_core

DATA = Path(__file__).parent.parent / "analysis" / "data"
ODD, TWOS = "odd", "twos-complement"
# bits, edge bits, rows, cols, lanes, requantisers, bits of mult and residual mult, bus bits,
# narrowest bits of a composable array, depth of the buffers; encoding
FIT = (
    (4, 8, 4, 4, 4, 4, 24, 24, 64, 0, 1, ODD),
    (4, 8, 4, 4, 4, 1, 24, 12, 64, 0, 1, ODD),
    (2, 8, 2, 4, 8, 2, 16, 16, 32, 0, 1, ODD),
    (4, 4, 8, 4, 4, 2, 24, 8, 64, 0, 1, ODD),
    (8, 8, 4, 4, 2, 2, 24, 24, 128, 0, 1, ODD),
    (4, 8, 2, 8, 8, 1, 24, 16, 64, 0, 1, TWOS),
    (2, 2, 4, 2, 16, 2, 16, 16, 64, 0, 1, ODD),
    (4, 8, 4, 8, 4, 8, 20, 10, 256, 0, 1, ODD),
    (1, 8, 8, 8, 8, 2, 24, 24, 64, 0, 1, ODD),
    (8, 8, 4, 4, 1, 2, 24, 12, 64, 2, 1, ODD),
    (4, 4, 4, 4, 4, 2, 20, 10, 64, 2, 1, ODD),
    (4, 8, 4, 4, 4, 1, 24, 12, 64, 0, 16, ODD),
)
HELD_OUT = (
    (3, 6, 4, 4, 8, 2, 20, 20, 64, 0, 1, ODD),
    (8, 8, 2, 4, 4, 4, 24, 16, 64, 0, 1, TWOS),
    (2, 4, 8, 4, 4, 1, 16, 8, 128, 0, 1, ODD),
    (8, 8, 4, 4, 2, 1, 24, 12, 64, 4, 1, ODD),
    (2, 4, 2, 4, 4, 1, 16, 8, 64, 0, 8, ODD),
    (4, 8, 8, 8, 16, 4, 24, 12, 64, 0, 1, ODD),
)


def parts_of(sizes: dict[str, object], library: Path, cache: Path) -> dict[str, float]:
    """um2 of each part; what is not named in ``core_area`` belongs to the loops."""
    core = probe(sizes)
    with tempfile.TemporaryDirectory() as folder:
        verilog = hashlib.sha256(write_core(core, Path(folder)).verilog.read_bytes()).hexdigest()
    question = json.dumps([verilog, library.name, FULL_ADDERS.to_json()])
    kept = cache / f"{hashlib.sha256(question.encode()).hexdigest()}.json"
    if not kept.is_file():
        write_json(kept, areas(core, library))
    found = dict(zip(PARTS, (0.0 for _ in PARTS), strict=True))
    for name, part in zip(MODULES, PARTS, strict=True):
        found[part] = read_json(kept)[name]
    found["loops"] += read_json(kept)["rest"]
    return found


def fit(library: str) -> list[dict[str, object]]:
    """Non-negative coefficients that make the squares of all parts' relative errors least."""
    rows: list[dict[str, object]] = []
    used = [point for point in points() if (point.library, point.role) == (library, "fit")]
    for part in PARTS:
        counts = [core_features(point.core, library)[part] for point in used]
        names = list(counts[0])
        matrix = np.array(
            [[c[name] / p.parts[part] for name in names] for c, p in zip(counts, used, strict=True)]
        )
        scale = np.maximum(matrix.max(axis=0), 1e-30)
        solution, _ = nnls(matrix / scale, np.ones(len(used)), maxiter=10_000)
        for name, value in zip(names, solution / scale, strict=True):
            rows.append({"library": library, "part": part, "feature": name, "um2": f"{value:.6g}"})
    return rows


def save(name: str, head: str, rows: list[dict[str, object]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(DATA / name, head + text.getvalue())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("libraries", nargs="+", metavar="NAME=LIBERTY")
    parser.add_argument("--cache", type=Path, default=Path("out/core_area"))
    arguments = parser.parse_args()
    rows: list[dict[str, object]] = []
    names = [text.split("=", 1)[0] for text in arguments.libraries]
    for text in arguments.libraries:
        library, path = text.split("=", 1)
        for role, designs in (("fit", FIT), ("held-out", HELD_OUT)):
            for design in designs:
                sizes = dict(zip((*SIZES, "encoding"), design, strict=True))
                parts = parts_of(sizes, Path(path), arguments.cache)
                areas_um2 = {f"{part}_um2": round(area, 2) for part, area in parts.items()}
                rows.append({"library": library, "role": role, **sizes, **areas_um2})
                print(len(rows), file=sys.stderr, flush=True)
    save("core_area_points.csv", "# um2 by part of synthesised cores, without memories.\n", rows)
    save(
        "core_area_coefficients.csv",
        "# Coefficients of analysis/area_core.py, by benchmarks/core_area_points.py.\n",
        [row for library in names for row in fit(library)],
    )
    for row in judged():
        print(row["library"], row["role"], f"{row['error']:+.1%} beside the array {row['beside_error']:+.1%}")


if __name__ == "__main__":
    main()
