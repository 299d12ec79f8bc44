"""One call of the models for arrays of designs: columns of parameters in, columns of metrics out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pact_hw.errors import InputError
from pact_hw.spec import Dataflow, MacKind

from ..area import array_area
from ..energy import energy
from ..performance import CoreKind, System, evaluate
from ..process import paper_process
from ..system import Floats
from ..workloads import NETWORKS
from ..workloads import network as workload_of
from .core_designs import CORE, array_of, composable_bits, core_metrics

Columns = Mapping[str, npt.NDArray[Any]]

MAC_KINDS = (FIXED, COMPOSABLE) = (MacKind.FIXED.value, "composable")
"""One pair of widths; or several. Weight stationary that is the paper's kind: one product of 2n bits or two
of n; output stationary it is our own: one product of 2n bits or four of n."""

BLOCK = 512
"""Designs in one call of the models: so few that the arrays (designs, layers) stay in the caches."""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One number that the models tell of a design."""

    name: str
    meaning: str
    maximise: bool
    """Whether more is better, for people who do not say."""


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(name="images_per_s", meaning="images per second", maximise=True),
        Metric(name="latency_ms", meaning="time for one batch (ms)", maximise=False),
        Metric(
            name="compute_cycles", meaning="cycles an image, if no transfer were waited for", maximise=False
        ),
        Metric(name="utilisation", meaning="useful over peak MACs", maximise=True),
        Metric(name="peak_tmac_per_s", meaning="peak MACs (10^12/s)", maximise=True),
        Metric(name="traffic_mb_per_image", meaning="bytes over the pins (MB/image)", maximise=False),
        Metric(name="retained_mb", meaning="weights kept on the chip (MB)", maximise=True),
        Metric(name="buffers_mb", meaning="buffers that a core needs (MB)", maximise=False),
        Metric(name="memory_mm2", meaning="on-chip memory at 14 nm (mm2)", maximise=False),
        Metric(name="energy_uj_per_image", meaning="energy at 14 nm (uJ/image)", maximise=False),
        Metric(
            name="area_mm2",
            meaning="cells of all MAC arrays, or of a core (mm2 in the library)",
            maximise=False,
        ),
        Metric(
            name="area_ge",
            meaning="cells of all MAC arrays, or of a core (NAND2 equivalents)",
            maximise=False,
        ),
        Metric(name="images_per_s_per_mge", meaning="images/s per 10^6 NAND2 equivalents", maximise=True),
    )
}


ARRAY = ("dataflow", "mac_kind", "act_bits", "weight_bits", "edge_bits", "rows", "cols", "lanes")
"""The parameters that say what array a core has."""


@lru_cache(maxsize=65536)
def _area(library: str, *array: str | int) -> tuple[float, float]:
    """Square millimetres and gate equivalents of one array; NaN where there is no model of it."""
    try:
        area = array_area(array_of(dict(zip(ARRAY, array, strict=True))), library)
    except InputError:
        return float("nan"), float("nan")
    return area.total_um2 / 1e6, area.total_ge


def _areas(columns: Columns) -> tuple[Floats, Floats]:
    """The same of all cores of each design."""
    names = ("library", *ARRAY)
    one_core = [_area(*array) for array in zip(*(columns[name].tolist() for name in names), strict=True)]
    mm2, ge = np.array(one_core, np.float64).T * columns["cores"]
    return mm2, ge


def _core(dataflow: str, mac_kind: str) -> CoreKind:
    """The kind of core, as the performance model calls it."""
    if mac_kind == COMPOSABLE:
        return CoreKind.PACT if dataflow == Dataflow.WEIGHT_STATIONARY.value else CoreKind.COMPOSABLE
    return CoreKind(dataflow)


def _system(columns: Columns, core: CoreKind) -> System:
    """The designs as the performance model takes them."""
    pact = core is CoreKind.PACT  # its rows are reduction terms, each with one multiplier
    bits = np.maximum(columns["act_bits"], columns["weight_bits"])
    return System(
        bits=composable_bits(bits, columns["edge_bits"]) if core is CoreKind.COMPOSABLE else bits,
        act_bits=columns["act_bits"],
        weight_bits=columns["weight_bits"],
        cores=columns["cores"],
        bandwidth_bytes_per_s=columns["bandwidth_gb_per_s"] * 1e9,
        memory_bytes=columns["memory_mb"] * 1e6,
        edge_bits=columns["edge_bits"],
        batch=columns["batch"],
        rows=columns["rows"] * (columns["lanes"] if pact else 1),
        cols=columns["cols"],
        lanes=1 if pact else columns["lanes"],
        clock_hz=columns["clock_ghz"] * 1e9,
        core=core,
    )


_workload, _process = cache(workload_of), cache(paper_process)


def _block(network: str, core: CoreKind, columns: Columns) -> dict[str, Floats]:
    workload, system = _workload(network), _system(columns, core)
    found = evaluate(workload, system)
    area_mm2, area_ge = _areas(columns)
    return {
        "images_per_s": found.images_per_s,
        "latency_ms": 1e3 * system.batch / found.images_per_s,
        "compute_cycles": (found.compute_s * system.clock_hz[:, None]).sum(axis=1) / system.batch,
        "utilisation": found.utilisation,
        "peak_tmac_per_s": system.peak_macs_per_s / 1e12,
        "traffic_mb_per_image": sum(found.traffic_bytes.values()) / 1e6,
        "retained_mb": found.allocation.retained.sum(axis=1) / 1e6,
        "memory_mm2": _process().sram_um2(1.0) * system.memory_bytes / 1e6,
        "energy_uj_per_image": energy(workload, system, found, _process()).total_pj / 1e6,
        "area_mm2": area_mm2,
        "area_ge": area_ge,
        "images_per_s_per_mge": found.images_per_s / area_ge * 1e6,
    }


def _of_kind(kind: tuple[str, ...], columns: Columns) -> Mapping[str, Floats]:
    chip, network, dataflow, mac_kind = kind
    if chip == CORE:
        return core_metrics(columns)
    return _block(network, _core(dataflow, mac_kind), columns) if network in NETWORKS else {}


def evaluate_columns(columns: Columns) -> dict[str, Floats]:
    """Every metric of the designs whose parameters stand in ``columns`` (each of shape (designs,)).

    A design's metrics do not depend on its neighbours. NaN: there is no model of it.
    """
    count = len(columns["network"])
    metrics = {name: np.full(count, np.nan) for name in METRICS}
    names = ("chip", "network", "dataflow", "mac_kind")
    kinds = list(zip(*(columns[name].tolist() for name in names), strict=True))
    for kind in dict.fromkeys(kinds):
        chosen = np.flatnonzero([other == kind for other in kinds])
        for start in range(0, len(chosen), BLOCK):
            part = chosen[start : start + BLOCK]
            block = _of_kind(kind, {name: column[part] for name, column in columns.items()})
            for name, values in block.items():
                metrics[name][part] = values
    return metrics


_NOT_THE_MODELS = ("synthesis", "report", "figures", "plots", "study")
"""What of ``analysis`` decides no metric's value."""
_OWN = ("axes.py", "core_designs.py", "model.py", "space.py")


@cache
def model_digest() -> str:
    """SHA-256 of the source of what decides a metric's value or a design's number.

    Results are kept under it: a changed model never continues another one's table.
    """
    root = Path(__file__).parents[1]
    files = [path for path in root.rglob("*") if path.suffix in (".py", ".csv", ".toml")]
    files = [
        path
        for path in files
        if (path.name in _OWN if path.parent.name == "explore" else _decides(path.relative_to(root)))
    ]
    for room in ("spec", "compiler"):
        files += (root.parent / "pact_hw" / room).glob("*.py")
    total = hashlib.sha256()
    for path in sorted(files):
        total.update(f"{path.relative_to(root.parent).as_posix()}\0".encode())
        total.update(path.read_bytes())
    return total.hexdigest()


def _decides(path: Path) -> bool:
    """Whether the file at ``path``, relative to ``analysis``, is part of the models."""
    return not path.parts[0].removesuffix(".py").startswith(_NOT_THE_MODELS)
