"""Designs that are one generated core: compiled one by one, not estimated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from pact_hw.errors import InputError
from pact_hw.spec import ActFormat, CoreSpec, Dataflow, HardwareSpec, MacKind, WeightFormat
from pact_hw.spec.core import Depthwise

from ..area_core import core_area, core_libraries
from ..core_runs import CORE_NETWORKS, run_sized
from ..process import paper_process
from ..system import Floats

CHIPS = (ARRAYS, CORE) = ("arrays", "core")
"""An ideal chip of MAC arrays, as the analytic model has it; or one core as it is generated."""
CORE_METRICS = (
    "images_per_s",
    "latency_ms",
    "compute_cycles",
    "utilisation",
    "peak_tmac_per_s",
    "traffic_mb_per_image",
    "buffers_mb",
    "memory_mm2",
)
AREA_METRICS = ("area_mm2", "area_ge", "images_per_s_per_mge")


def known_of_cores(library: str) -> tuple[str, ...]:
    """The metrics that there are of cores in ``library``."""
    return CORE_METRICS + (AREA_METRICS if library in core_libraries() else ())


def core_metrics(columns: Mapping[str, npt.NDArray[Any]]) -> dict[str, Floats]:
    """Metrics of designs that are one core around their array; NaN where there is none.

    There is none of several cores, of widths that differ (no network has them), of shapes that a core
    cannot have, and where the buffers that the network takes are more than the chip's memory.
    """
    lists = {name: values.tolist() for name, values in columns.items()}
    rows = [_metrics(dict(zip(lists, values, strict=True))) for values in zip(*lists.values(), strict=True)]
    return {name: np.array([row.get(name, np.nan) for row in rows]) for name in CORE_METRICS + AREA_METRICS}


def array_of(design: Mapping[str, Any], *, name: str = "mac_array") -> HardwareSpec:
    """The array of one core of ``design`` (PACT's unsigned activations, DoReFa's odd weights).

    A composable one is as wide as its network's widest layers.

    Raises:
        InputError: there is no such array.
    """
    kind = MacKind(design["mac_kind"])
    act, weight = int(design["act_bits"]), int(design["weight_bits"])
    if kind is MacKind.COMPOSABLE:
        act = weight = int(composable_bits(max(act, weight), design["edge_bits"]))
    return HardwareSpec(
        act=ActFormat(bits=act),
        weight=WeightFormat(bits=weight),
        rows=int(design["rows"]),
        cols=int(design["cols"]),
        lanes=int(design["lanes"]),
        dataflow=Dataflow(design["dataflow"]),
        mac_kind=kind,
        name=name,
    )


def composable_bits(bits: Any, edge_bits: Any) -> Any:
    """Width of a composable array (4, 8 or 16) for layers of ``bits`` bits, the edges' ``edge_bits``."""
    widest = np.maximum(np.maximum(bits, edge_bits), 4)
    return 2 ** np.ceil(np.log2(widest))


def products(array: HardwareSpec, bits: int) -> int:
    """Products of ``bits``-bit operands that one multiplier of ``array`` makes in a cycle."""
    levels = sum(mode >= bits for mode in array.modes[1:])
    return int(4**levels)


def _metrics(design: Mapping[str, Any]) -> dict[str, float]:
    if design["network"] not in CORE_NETWORKS or design["cores"] != 1:
        return {}
    if design["act_bits"] != design["weight_bits"]:
        return {}
    try:
        array = array_of(design)
        run = run_sized(
            design["network"],
            design["act_bits"],
            array,
            edge_bits=design["edge_bits"],
            requantisers=design["requantisers"],
            depthwise=Depthwise(design["depthwise"]),
            bus_bits=design["bus_bits"],
        )
    except InputError:
        return {}
    if run.memory_bytes > 1e6 * design["memory_mb"]:
        return {}
    clock_hz = 1e9 * design["clock_ghz"]
    bytes_per_cycle = min(run.core.bus_bits / 8, 1e9 * design["bandwidth_gb_per_s"] / clock_hz)
    seconds = run.waiting_cycles(bytes_per_cycle) / clock_hz
    peak = clock_hz * array.macs_per_cycle * products(array, design["act_bits"])
    return {
        "images_per_s": 1 / seconds,
        "latency_ms": 1e3 * seconds * design["batch"],
        "compute_cycles": float(run.total_cycles),
        "utilisation": run.macs / seconds / peak,
        "peak_tmac_per_s": peak / 1e12,
        "traffic_mb_per_image": (int(run.bytes_in.sum()) + run.result_bytes) / 1e6,
        "buffers_mb": run.memory_bytes / 1e6,
        "memory_mm2": run.memory_um2(paper_process()) / 1e6,
    } | _area(run.core, design["library"], 1 / seconds)


def _area(core: CoreSpec, library: str, images_per_s: float) -> dict[str, float]:
    """What is known of the area without memories; nothing where there is no model of it."""
    if library not in core_libraries():
        return {}
    area = core_area(core, library)
    return {
        "area_mm2": area.total_um2 / 1e6,
        "area_ge": area.total_ge,
        "images_per_s_per_mge": 1e6 * images_per_s / area.total_ge,
    }
