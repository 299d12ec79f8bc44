"""Which networks gain, at which batch, and what accuracy it costs."""

from __future__ import annotations

from ..performance import System, evaluate
from ..system import Numbers
from ..tables import packaged_text
from ..workloads import NETWORKS, network
from .paper import BITS, PAPER_CORES, Rows

BATCHES = (1, 8, 64)
ACCURACY_NETWORKS = {"AlexNet": "alexnet", "ResNet18": "resnet18", "ResNet50": "resnet50"}


def _paper_chip(
    bits: int, *, bandwidth: float = 64.0, batch: Numbers = 1, width: int | None = None
) -> System:
    """The paper's chip; ``width`` stored bits on MACs of ``bits``."""
    return System(
        bits=bits,
        act_bits=width or bits,
        weight_bits=width or bits,
        cores=PAPER_CORES[bits],
        bandwidth_bytes_per_s=bandwidth * 1e9,
        batch=batch,
    )


def networks() -> Rows:
    """Speed-up over 16 bits of every network on the paper's chip, and over peak.

    Up to ``batch`` images are worked on together: as many (1, 2, 4, ...) as are the fastest.
    """
    rows: Rows = []
    for name in NETWORKS:
        workload = network(name)
        for batch in BATCHES:
            together = [2**power for power in range(batch.bit_length())]
            for bandwidth in (64.0, 32.0):
                base = 0.0
                for bits in BITS:
                    found = evaluate(workload, _paper_chip(bits, bandwidth=bandwidth, batch=together))
                    best = int(found.images_per_s.argmax())
                    speed = float(found.images_per_s[best])
                    base = base or speed
                    rows.append(
                        {
                            "network": name,
                            "batch": batch,
                            "bandwidth_gb_per_s": bandwidth,
                            "bits": bits,
                            "together": together[best],
                            "images_per_s": speed,
                            "speed_up": speed / base,
                            "speed_up_over_peak": speed / base * bits / 16,
                            "utilisation": float(found.utilisation[best]),
                            "mb_per_image": float(found.bytes_per_image[best]) / 1e6,
                        }
                    )
    return rows


def pareto() -> Rows:
    """Accuracy (the paper's Table 1) against images per second (the model's) on the paper's chip.

    3 bits run on 4-bit MACs and 5 bits on 8-bit ones, stored as they are; full precision runs at 16 bits.
    Table 1 leaves first and last layer unquantised; the chip runs them at 8 bits, which costs little (its
    Table 2).
    """
    rows: Rows = []
    for row in packaged_text("paper_table1.csv"):
        if row["network"] not in ACCURACY_NETWORKS:
            continue
        workload = network(ACCURACY_NETWORKS[row["network"]])
        for label, bits, macs in (("full", 16, 16), ("5", 5, 8), ("4", 4, 4), ("3", 3, 4), ("2", 2, 2)):
            found = evaluate(workload, _paper_chip(macs, width=bits))
            rows.append(
                {
                    "network": row["network"],
                    "scheme": row["scheme"],
                    "bits": bits,
                    "mac_bits": macs,
                    "top1": float(row[label]),
                    "loss": float(row["full"]) - float(row[label]),
                    "images_per_s": float(found.images_per_s[0]),
                }
            )
    for point in rows:
        rivals = [other for other in rows if other["network"] == point["network"]]
        point["on_front"] = not any(
            other["top1"] >= point["top1"]
            and other["images_per_s"] >= point["images_per_s"]
            and (other["top1"], other["images_per_s"]) != (point["top1"], point["images_per_s"])
            for other in rivals
        )
    return rows


def roofline() -> Rows:
    """Multiply-accumulates per byte over the pins, and per second, with the limits of both."""
    rows: Rows = []
    for name in NETWORKS:
        workload = network(name)
        for bits in BITS:
            system = _paper_chip(bits)
            found = evaluate(workload, system)
            intensity = workload.macs / float(found.bytes_per_image[0])
            peak = float(system.peak_macs_per_s[0])
            rows.append(
                {
                    "network": name,
                    "bits": bits,
                    "mac_per_byte": intensity,
                    "tmac_per_s": float(found.images_per_s[0]) * workload.macs / 1e12,
                    "peak_tmac_per_s": peak / 1e12,
                    "bandwidth_gb_per_s": 64.0,
                    "limit_tmac_per_s": min(peak, intensity * 64e9) / 1e12,
                }
            )
    return rows
