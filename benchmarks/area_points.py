"""Synthesise the designs that the area model is fitted to, and those that it is judged by.

    python benchmarks/area_points.py asap7=asap7.lib.gz sky130=sky130.lib.gz ihp13=ihp13.lib.gz
    python benchmarks/area_fit.py

writes ``analysis/data/area_points.csv``: a line a library and design, with the area of each kind of
module, in um2; lines of libraries that are not named stay. What was synthesised before is taken from
``--cache`` (by the Verilog's digest, the library and the recipe), so that a broken run goes on, and after a
change of the generator only what changed is done again. Needs no file but the user's libraries; only
measured areas are kept.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from points_composable import more_fit_points, more_held_out_points

from analysis.synthesis import synthesise
from analysis.synthesis.recipe import FULL_ADDERS
from analysis.tables import packaged_text
from pact_hw.design import Design
from pact_hw.files import write_json, write_text
from pact_hw.spec import (
    ActFormat,
    Dataflow,
    HardwareSpec,
    RequantiserSpec,
    WeightEncoding,
    WeightFormat,
)
from rtl_gen.emit import write_design

TABLE = Path(__file__).parent.parent / "analysis" / "data" / "area_points.csv"
OS, WS = Dataflow.OUTPUT_STATIONARY, Dataflow.WEIGHT_STATIONARY
ODD, TWOS = WeightEncoding.ODD, WeightEncoding.TWOS_COMPLEMENT
MODULES = ("pe", "row", "requantiser")


def spec(act, weight, lanes, *, encoding=ODD, dataflow=OS, rows=4, cols=4, reduction=4608, requantiser=None):
    return HardwareSpec(
        act=ActFormat(bits=act),
        weight=WeightFormat(bits=weight, encoding=encoding),
        rows=rows,
        cols=cols,
        lanes=lanes,
        name="probe",
        dataflow=dataflow,
        max_reduction=reduction,
        requantiser=requantiser,
    )


def fit_points() -> Iterator[HardwareSpec]:
    for lanes in (1, 4, 16):
        for bits in (1, 2, 3, 4, 6, 8, 12, 16):
            yield spec(bits, bits, lanes)
    for bits, lanes in ((1, 32), (2, 32), (4, 32), (8, 32), (2, 8), (8, 2)):
        yield spec(bits, bits, lanes)
    for act, weight, lanes in ((2, 4, 8), (8, 2, 8), (1, 8, 16), (8, 1, 4), (4, 16, 1)):
        yield spec(act, weight, lanes)
    for bits, lanes in ((4, 4), (8, 8), (16, 4)):
        yield spec(bits, bits, lanes, rows=2, cols=2)
    yield spec(4, 4, 4, reduction=64)
    yield spec(2, 2, 16, reduction=1 << 16)
    yield spec(2, 2, 4, cols=16)
    for bits, lanes in ((2, 1), (4, 16), (8, 4), (1, 16), (16, 1)):
        yield spec(bits, bits, lanes, encoding=TWOS)
    for bits, lanes in ((1, 16), (2, 1), (2, 8), (4, 4), (8, 8), (16, 1)):
        yield spec(bits, bits, lanes, dataflow=WS)
    yield spec(4, 4, 4, dataflow=WS, rows=8)
    for bits, lanes in ((4, 4), (8, 1)):
        yield spec(bits, bits, lanes, encoding=TWOS, dataflow=WS)
    for mult, add, level, residual, shift, bits in (
        (24, 48, 8, 8, 40, 4),
        (16, 32, 4, 4, 24, 2),
        (8, 24, 2, 2, 20, 2),
        (12, 40, 8, 4, 30, 8),
        (28, 48, 16, 16, 40, 8),
    ):
        yield spec(bits, bits, 1, requantiser=requantiser(mult, add, level, residual, shift))


def held_out_points() -> Iterator[HardwareSpec]:
    for bits, lanes in (
        (1, 24),
        (2, 3),
        (2, 24),
        (3, 8),
        (3, 32),
        (4, 12),
        (5, 1),
        (5, 16),
        (6, 8),
        (7, 2),
        (9, 4),
        (10, 12),
        (11, 1),
        (14, 8),
        (16, 32),
    ):
        yield spec(bits, bits, lanes)
    for act, weight, lanes in ((3, 5, 12), (8, 3, 16), (2, 8, 24), (16, 2, 2)):
        yield spec(act, weight, lanes)
    yield spec(3, 3, 8, rows=8, cols=8, reduction=576)
    for bits, lanes in ((3, 8), (6, 16)):
        yield spec(bits, bits, lanes, encoding=TWOS)
    for bits, lanes, encoding in ((3, 4, ODD), (6, 8, TWOS)):
        yield spec(bits, bits, lanes, encoding=encoding, dataflow=WS)
    yield spec(4, 4, 2, requantiser=requantiser(18, 36, 4, 4, 32))


def requantiser(mult, add, level, residual, shift):
    return RequantiserSpec(
        mult_bits=mult, add_bits=add, level_bits=level, residual_bits=residual, max_shift=shift
    )


def areas(design: Design, library: str, path: Path, cache: Path) -> dict[str, object]:
    """Synthesis' answer, or the one that it gave to the same question before."""
    verilog = hashlib.sha256(design.verilog.read_bytes()).hexdigest()
    question = json.dumps([verilog, library, path.stat().st_size, FULL_ADDERS.to_json()])
    kept = cache / f"{hashlib.sha256(question.encode()).hexdigest()}.json"
    if not kept.is_file():
        write_json(kept, synthesise(design, [path], timeout=900, timed=False))
    return json.loads(kept.read_text())


def line(hardware: HardwareSpec, role: str, library: str, result) -> dict[str, object]:
    found = {module["name"]: module for module in result["modules"]}
    # One instance's own cells of the kinds that there are many of; all others together.
    per_kind = {kind: found.pop(f"probe_{kind}", {}).get("area_um2") for kind in MODULES}
    for part in ("act_total", "act_words"):  # one in each row
        if one := found.pop(f"probe_{part}", None):
            per_kind["row"] += one["area_um2"]
    per_kind["control"] = sum(module["instances"] * module["area_um2"] for module in found.values())
    members = {
        name: value
        for name, value in hardware.to_json().items()
        if name not in ("name", "requantiser", "tree_stages", "pipeline", "drain")
    }
    requant = hardware.to_json()["requantiser"] or {}
    return {
        "library": library,
        "role": role,
        **members,
        **{
            f"requantiser_{name}": requant.get(name)
            for name in ("kind", "mult_bits", "add_bits", "max_shift", "level_bits", "residual_bits")
        },
        **{f"{kind}_um2": area for kind, area in per_kind.items()},
        "area_um2": result["area_um2"],
        "nand2_um2": result["nand2_um2"],
        "yosys": result["versions"]["yosys"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("libraries", nargs="+", metavar="NAME=LIBERTY")
    parser.add_argument("--cache", type=Path, default=Path("out/area_points"))
    parser.add_argument("--limit", type=int, help="only the first points of each role")
    arguments = parser.parse_args()
    rows = []
    points = []
    for role, lists in (
        ("fit", (fit_points, more_fit_points)),
        ("held-out", (held_out_points, more_held_out_points)),
    ):
        points += [(role, point) for every in lists for point in list(every())[: arguments.limit]]
    libraries = [text.split("=", 1) for text in arguments.libraries]
    with tempfile.TemporaryDirectory() as folder:
        for done, (role, hardware) in enumerate(points, 1):
            design = write_design(hardware, Path(folder) / hardware.digest[:16])
            for library, path in libraries:
                rows.append(
                    line(hardware, role, library, areas(design, library, Path(path), arguments.cache))
                )
            print(f"{done} of {len(points)}", file=sys.stderr, flush=True)
    measured = {row["library"] for row in rows}
    rows += [row for row in packaged_text(TABLE.name) if row["library"] not in measured]
    rows.sort(key=lambda row: (row["library"], row["role"]))
    text = [
        "# Areas in um2 by Yosys and abc, before placement, of generated designs. pe, row and requantiser:",
        "# one instance's own cells; control: all other modules together. Made by",
        "# benchmarks/area_points.py from libraries that are not part of this project: SkyWater",
        "# sky130_fd_sc_hd and IHP SG13G2 (Apache-2.0), ASAP7 (BSD).",
    ]
    with tempfile.TemporaryFile("w+", newline="") as file:
        columns = dict.fromkeys(name for row in rows for name in row)
        writer = csv.DictWriter(file, list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            {name: round(value, 4) if isinstance(value, float) else value for name, value in row.items()}
            for row in rows
        )
        file.seek(0)
        write_text(TABLE, "\n".join(text) + "\n" + file.read())


if __name__ == "__main__":
    main()
