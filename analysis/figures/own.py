"""The same with our own arrays: their area and their cycles; and what an inference's energy goes to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pact_hw.spec import HardwareSpec

from ..area import array_area, libraries
from ..area_points import judged
from ..energy import energy as energy_of
from ..performance import CoreKind, System, evaluate
from ..process import Process, paper_process, processes
from ..tables import finite
from ..workloads import NETWORKS, network, resnet50
from .paper import BANDWIDTHS, BITS, PAPER_CORES, Rows, array, fig6c

PAPER_MEMORY_BYTES = 16e6


def area_performance() -> Rows:
    """ResNet-50 throughput against the area of all arrays, for three ways to spend narrower MACs.

    ``paper's cores``: twice the cores at half the precision, whose cycles are the paper's. ``iso-area``:
    as many of them as fit in the area of four 16-bit ones. ``our arrays``: the same number, with the cycles
    of our output-stationary arrays (8 x 4 PEs of 16 lanes), that is, of the RTL. The area is that of our
    arrays of fixed precision by the area model; memory, bandwidth and clock are the paper's. The first two
    let 8-bit edge layers run on narrower cores as the paper's configurable MACs do, whose overhead is in no
    area here; the third cuts them into digits.
    """
    paper = {(row["bandwidth_gb_per_s"], row["bits"]): row["paper"] for row in fig6c()}
    # Only the 7 nm library has a process with a bit cell beside it.
    memory = {"asap7": processes()["7nm"].sram_um2(PAPER_MEMORY_BYTES) / 1e6}
    rows: Rows = []
    for library in libraries():
        areas = {bits: array_area(array(bits), library) for bits in BITS}
        budget = PAPER_CORES[16] * areas[16].total_um2
        fitting = {bits: int(budget // areas[bits].total_um2) for bits in BITS}
        for way, cores, core in (
            ("paper's cores", PAPER_CORES, CoreKind.PACT),
            ("iso-area", fitting, CoreKind.PACT),
            ("our arrays", fitting, CoreKind.OUTPUT_STATIONARY),
        ):
            for bandwidth in BANDWIDTHS:
                for bits in BITS:
                    system = _system(array(bits), cores[bits], bandwidth, core)
                    found = evaluate(resnet50(), system)
                    rows.append(
                        {
                            "library": library,
                            "cores_chosen_by": way,
                            "bandwidth_gb_per_s": finite(bandwidth),
                            "bits": bits,
                            "cores": cores[bits],
                            "area_ge": cores[bits] * areas[bits].total_ge,
                            "area_mm2": cores[bits] * areas[bits].total_um2 / 1e6,
                            "memory_mm2": memory.get(library),
                            "peak_tmac_per_s": float(system.peak_macs_per_s[0]) / 1e12,
                            "images_per_s": float(found.images_per_s[0]),
                            "utilisation": float(found.utilisation[0]),
                            "paper": paper[finite(bandwidth), bits],
                        }
                    )
    return rows


def _system(spec: HardwareSpec, cores: int, bandwidth: float, core: CoreKind) -> System:
    """The paper's chip with ``cores`` cores: its own, or ours of ``spec``."""
    own = {"rows": spec.rows, "cols": spec.cols, "lanes": spec.lanes} if core is not CoreKind.PACT else {}
    return System(bits=spec.act.bits, cores=cores, bandwidth_bytes_per_s=bandwidth * 1e9, core=core, **own)


def area_fit() -> Rows:
    """Every synthesised design beside the area model's prediction."""
    return judged()


def energy(process_file: Path | None = None) -> Rows:
    """Millijoules per image at 64 GB/s, by what they are spent on: the paper's cores, and as many of ours.

    At 14 nm (interpolated between 45 and 7 nm), or in every process of ``process_file``.
    """
    used = [paper_process()] if process_file is None else list(processes(process_file).values())
    points = [
        (process, core, name, bits)
        for process in used
        for core in ("paper's cores", "our arrays")
        for name in NETWORKS
        for bits in BITS
    ]
    return [_energy(*point) for point in points]


def _energy(process: Process, core: str, name: str, bits: int) -> dict[str, Any]:
    workload = network(name)
    kind = CoreKind.PACT if core == "paper's cores" else CoreKind.OUTPUT_STATIONARY
    system = _system(array(bits), PAPER_CORES[bits], 64.0, kind)
    performance = evaluate(workload, system)
    found = energy_of(workload, system, performance, process)
    return {
        "process": process.name,
        "cores": core,
        "network": name,
        "bits": bits,
        "mac_mj": float(found.mac_pj[0]) / 1e9,
        "on_chip_mj": float(found.on_chip_pj[0]) / 1e9,
        "partial_sum_mj": float(found.partial_sum_pj[0]) / 1e9,
        "dram_mj": float(found.dram_pj[0]) / 1e9,
        "total_mj": float(found.total_pj[0]) / 1e9,
        "images_per_s": float(performance.images_per_s[0]),
    }
