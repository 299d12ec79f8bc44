"""Why narrow networks gain more than their peak: what fits, what crosses the pins, and where that ends.

Three policies: ``weights kept`` (what fits stays, by benefit), ``no weights kept``, ``nothing kept``
(activations leave the chip between layers too).
"""

from __future__ import annotations

import numpy as np

from ..memory import Retention
from ..performance import FITTED, System, evaluate
from ..system import STREAM_BYTES
from ..tables import finite
from ..workloads import NETWORKS, network, resnet50
from .paper import BITS, PAPER_CORES, Rows, fig6c

POLICIES = {
    "weights kept": Retention.EXPOSED_FIRST,
    "no weights kept": Retention.NONE,
    "nothing kept": Retention.NOTHING,
}
MEMORIES_MB = tuple(float(2 ** (1 + step / 4)) for step in range(21))
MAP_BANDWIDTHS = tuple(float(2 ** (3 + step / 4)) for step in range(25))


def superlinear() -> Rows:
    """Speed-up over 16 bits, by policy."""
    rows = fig6c()
    base = {row["bandwidth_gb_per_s"]: row for row in rows if row["bits"] == 16}
    columns = ("paper", "model", "model_without_retention", "model_nothing_kept")
    return [
        {
            "bandwidth_gb_per_s": row["bandwidth_gb_per_s"],
            "bits": row["bits"],
            "peak": 16 // row["bits"],
            **{name: row[name] / base[row["bandwidth_gb_per_s"]][name] for name in columns},
        }
        for row in rows
    ]


def footprint() -> Rows:
    """Megabytes at each precision of every network's weights and of its hungriest layer's values.

    First and last layer at 8 bits at least, as in the paper.
    """
    rows: Rows = []
    for name in NETWORKS:
        workload = network(name)
        layers = workload.columns
        for bits in BITS:
            widths = np.full(len(workload.layers), bits)
            for edge in workload.edges:
                widths[edge] = max(bits, 8)
            acts = layers["act_elements"] * bits / 8
            stream = layers["stream_elements"] * STREAM_BYTES
            hungriest = int((acts + stream).argmax())
            weights = float((layers["weights"] * widths / 8).sum())
            rows.append(
                {
                    "network": name,
                    "bits": bits,
                    "weights_mb": weights / 1e6,
                    "activations_mb": float(acts[hungriest]) / 1e6,
                    "residual_stream_mb": float(stream[hungriest]) / 1e6,
                    "total_mb": (weights + float((acts + stream).max())) / 1e6,
                    "hungriest_layer": workload.layers[hungriest].name,
                    "usable_mb_of_16": FITTED.tensor_memory_share * 16,
                }
            )
    return rows


def traffic() -> Rows:
    """Megabytes per image over the pins of the paper's chip, by kind, and whether they cost time."""
    points = [(policy, bandwidth, bits) for policy in POLICIES for bandwidth in (64.0, 32.0) for bits in BITS]
    rows: Rows = []
    for policy, bandwidth, bits in points:
        system = System(bits=bits, cores=PAPER_CORES[bits], bandwidth_bytes_per_s=bandwidth * 1e9)
        found = evaluate(resnet50(), system, retention=POLICIES[policy])
        kinds = {kind: float(values[0]) / 1e6 for kind, values in found.traffic_bytes.items()}
        waiting = float((found.layer_s - found.compute_s).sum() + found.load_s[0])
        rows.append(
            {
                "policy": policy,
                "bandwidth_gb_per_s": bandwidth,
                "bits": bits,
                **{f"{kind.replace(' ', '_')}_mb": megabytes for kind, megabytes in kinds.items()},
                "total_mb": sum(kinds.values()),
                "retained_mb": float(found.allocation.retained.sum()) / 1e6,
                "waiting_share": waiting * float(found.images_per_s[0]),
            }
        )
    return rows


def superlinearity_map() -> Rows:
    """Speed-up over 16 bits relative to peak, over on-chip memory and bandwidth: above 1 is super-linear."""
    memory, bandwidth = (grid.ravel() for grid in np.meshgrid(MEMORIES_MB, MAP_BANDWIDTHS, indexing="ij"))
    rows: Rows = []
    for policy, retention in POLICIES.items():
        speeds = {
            bits: evaluate(
                resnet50(),
                System(
                    bits=bits,
                    cores=PAPER_CORES[bits],
                    memory_bytes=memory * 1e6,
                    bandwidth_bytes_per_s=bandwidth * 1e9,
                ),
                retention=retention,
            ).images_per_s
            for bits in BITS
        }
        for bits in BITS[1:]:
            gain = speeds[bits] / speeds[16]
            rows += [
                {
                    "policy": policy,
                    "bits": bits,
                    "memory_mb": float(memory[i]),
                    "bandwidth_gb_per_s": float(bandwidth[i]),
                    "images_per_s": float(speeds[bits][i]),
                    "speed_up": float(gain[i]),
                    "speed_up_over_peak": float(gain[i]) * bits / 16,
                }
                for i in range(len(memory))
            ]
    return rows


def superlinear_range(rows: Rows) -> Rows:
    """Of the map: between which bandwidths each memory size is super-linear, and the best point."""
    found: Rows = []
    for policy in POLICIES:
        for bits in BITS[1:]:
            for size in MEMORIES_MB[::4]:
                line = [
                    row
                    for row in rows
                    if (row["policy"], row["bits"], row["memory_mb"]) == (policy, bits, size)
                ]
                above = [row["bandwidth_gb_per_s"] for row in line if row["speed_up_over_peak"] > 1]
                best = max(line, key=lambda row: row["speed_up_over_peak"])
                found.append(
                    {
                        "policy": policy,
                        "bits": bits,
                        "memory_mb": size,
                        "from_gb_per_s": finite(min(above, default=np.inf)),
                        "to_gb_per_s": finite(max(above, default=np.inf)),
                        "best_over_peak": best["speed_up_over_peak"],
                        "best_at_gb_per_s": best["bandwidth_gb_per_s"],
                    }
                )
    return found
