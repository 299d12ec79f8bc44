"""Folders of results to report on."""

import json
from pathlib import Path

from analysis.explore.executors import Here
from analysis.explore.results import write_results
from analysis.explore.run import explore
from analysis.explore.space import Space
from pact_hw.spec import HardwareSpec
from rtl_gen.emit import write_design

SPACE = {
    "name": "six <b>chips</b> & more",
    "space": {
        "network": "alexnet",
        "bits": [2, 4, 8],
        "rows": [2, 4, 8, 16],
        "cores": [1, 2, 4],
        "bandwidth_gb_per_s": [8, float("inf")],
    },
    "objectives": {"images_per_s": "maximise", "area_ge": "minimise", "bandwidth_gb_per_s": "minimise"},
}


def write_exploration(folder: Path) -> dict:
    """An exploration of 72 designs, with one array of the front generated and (as if) measured."""
    from analysis.explore.refine import refine

    space = Space.from_toml(SPACE)
    found = explore(space, folder, Here())

    def measure(spec: HardwareSpec, where: Path) -> dict:
        write_design(spec, where)
        return {
            "area_ge": 1234.5,
            "cycles": 10,
            "predicted_cycles": 10,
            "values_compared": 5,
            "mismatches": 0,
        }

    return write_results(space, found, folder, refined=refine(found.front, folder, measure, most=1))


def edit(folder: Path, change) -> None:
    """Change ``explore.json``."""
    path = folder / "explore.json"
    members = json.loads(path.read_text())
    change(members)
    path.write_text(json.dumps(members))
