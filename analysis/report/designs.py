"""The designs below a folder, with links to their files; and its figures, with the numbers behind them."""

from __future__ import annotations

import base64
import csv
from html import escape
from pathlib import Path

from pact_hw.design import MANIFEST, load_design
from pact_hw.files import read

from .html import Row, details, link, table, typed

MOST_ROWS = 500
"""Lines of a figure's CSV in the page; the file is linked."""


def designs(folder: Path) -> tuple[str, str] | None:
    """Title and HTML of the designs below ``folder``, or None if there is none.

    Raises:
        InputError: a design was edited since it was generated.
    """
    rows: list[Row] = []
    links = []
    for manifest in sorted(folder.rglob(MANIFEST)):
        design = load_design(manifest.parent)
        spec = design.hardware
        rows.append(
            {
                "design": spec.name,
                "act_bits": spec.act.bits,
                "weight_bits": spec.weight.bits,
                "rows": spec.rows,
                "cols": spec.cols,
                "lanes": spec.lanes,
                "dataflow": spec.dataflow.value,
                "acc_bits": spec.acc_bits,
                "macs_per_cycle": spec.macs_per_cycle,
                "latency_cycles": spec.latency_cycles,
                "digest": spec.digest[:12],
            }
        )
        beside = sorted({design.verilog, manifest, *manifest.parent.glob("*.json")})
        beside += sorted((manifest.parent / "simulation").glob("*.json"))
        links.append(", ".join(link(path, folder) for path in beside))
    if not rows:
        return None
    return "Designs", table(rows, list(rows[0]), caption="Generated arrays", cells={"files": links})


def figures(folder: Path, without: set[str]) -> tuple[str, str] | None:
    """Title and HTML of the SVG figures below ``folder``, or None; not those named in ``without``."""
    pictures = [path for path in sorted(folder.rglob("*.svg")) if path.name not in without]
    if not pictures:
        return None
    return "Figures", "".join(_figure(folder, path) for path in pictures)


def _figure(folder: Path, path: Path) -> str:
    """An SVG as an image: nothing inside it can run, or clash with another one's names."""
    image = base64.b64encode(path.read_bytes()).decode()
    name = path.stem.replace("_", " ")
    data = path.with_suffix(".csv")
    beside = [found for found in (path, path.with_suffix(".png"), data) if found.is_file()]
    links = ", ".join(link(file, folder) for file in beside)
    numbers = _numbers(data) if data.is_file() else ""
    return (
        f'<figure class="card"><img alt="{escape(name)}" src="data:image/svg+xml;base64,{image}">'
        f"<figcaption>{escape(name)}: {links}</figcaption>{numbers}</figure>"
    )


def _numbers(path: Path) -> str:
    lines = read(path, lambda: list(csv.DictReader(path.read_text(encoding="utf-8").splitlines())))
    rows = [{name: typed(value) for name, value in line.items()} for line in lines[:MOST_ROWS]]
    if not rows:
        return ""
    return details("The numbers", table(rows, list(rows[0]), caption=path.name))
