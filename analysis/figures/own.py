"""The same with our own arrays: their area and their cycles; and what an inference's energy goes to."""

from __future__ import annotations

from pathlib import Path

from ..energy import energy as energy_of
from ..performance import System, evaluate
from ..process import paper_process, processes
from ..tables import finite
from ..workloads import NETWORKS, network, resnet50
from .paper import BANDWIDTHS, BITS, PAPER_CORES, Rows, core_area, fig6c


def area_performance() -> Rows:
    """ResNet-50 throughput against the area of all arrays, for two ways to spend narrower MACs.

    ``paper's cores``: twice the cores at half the precision. ``iso-area``: as many cores as fit in the
    area of four 16-bit ones. Memory and bandwidth are the paper's in both; the area is our arrays' of
    fixed precision. Both let 8-bit edge layers run on narrower cores as the paper's configurable MACs do,
    whose overhead is in no area here: so the gain at 4 and 2 bits is an upper bound.
    """
    areas = {bits: core_area(bits).total_ge for bits in BITS}
    budget = PAPER_CORES[16] * areas[16]
    spent = {
        "paper's cores": PAPER_CORES,
        "iso-area": {bits: int(budget // areas[bits]) for bits in BITS},
    }
    paper = {(row["bandwidth_gb_per_s"], row["bits"]): row["paper"] for row in fig6c()}
    points = [
        (way, bits, cores[bits], bandwidth)
        for way, cores in spent.items()
        for bandwidth in BANDWIDTHS
        for bits in BITS
    ]
    system = System(
        bits=[bits for _, bits, _, _ in points],
        cores=[cores for _, _, cores, _ in points],
        bandwidth_bytes_per_s=[bandwidth * 1e9 for _, _, _, bandwidth in points],
    )
    result = evaluate(resnet50(), system)
    return [
        {
            "cores_chosen_by": way,
            "bandwidth_gb_per_s": finite(bandwidth),
            "bits": bits,
            "cores": cores,
            "area_ge": cores * areas[bits],
            "peak_tmac_per_s": float(system.peak_macs_per_s[i] / 1e12),
            "images_per_s": float(result.images_per_s[i]),
            "paper": paper[finite(bandwidth), bits],
        }
        for i, (way, bits, cores, bandwidth) in enumerate(points)
    ]


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
