"""The same with our own arrays: their area and their cycles; and what an inference's energy goes to."""

from __future__ import annotations

from pathlib import Path

from pact_hw.spec import HardwareSpec

from ..area import array_area, libraries
from ..area_points import judged
from ..energy import energy as energy_of
from ..performance import CoreKind, System, evaluate
from ..process import paper_process, processes
from ..tables import finite
from ..workloads import NETWORKS, network, resnet50
from .paper import BANDWIDTHS, BITS, PAPER_CORES, Rows, array, fig6c


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
    """Millijoules per image on the paper's chip at 64 GB/s, by what they are spent on.

    At 14 nm (interpolated between 45 and 7 nm), or in every process of ``process_file``.
    """
    used = [paper_process()] if process_file is None else list(processes(process_file).values())
    rows: Rows = []
    for process in used:
        for name in NETWORKS:
            workload = network(name)
            for bits in BITS:
                system = System(bits=bits, cores=PAPER_CORES[bits], bandwidth_bytes_per_s=64e9)
                performance = evaluate(workload, system)
                found = energy_of(workload, system, performance, process)
                rows.append(
                    {
                        "process": process.name,
                        "network": name,
                        "bits": bits,
                        "mac_mj": float(found.mac_pj[0]) / 1e9,
                        "on_chip_mj": float(found.on_chip_pj[0]) / 1e9,
                        "partial_sum_mj": float(found.partial_sum_pj[0]) / 1e9,
                        "dram_mj": float(found.dram_pj[0]) / 1e9,
                        "total_mj": float(found.total_pj[0]) / 1e9,
                        "images_per_s": float(performance.images_per_s[0]),
                    }
                )
    return rows
