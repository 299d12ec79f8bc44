"""Energy of one inference, by what it is spent on.

Counted: every multiply-accumulate (product in proportion to the product of its widths, sum to the width of
an exact accumulator); on-chip memory (activations read by every tile that needs them, weights by every core
that needs them, results written); partial sums that leave a weight-stationary array and come back (small
memories beside it); and everything that crosses the pins. Not counted, and so in no total: leakage, clock
tree, control, the network between cores, the requantiser.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .cores import compute
from .performance import Performance
from .process import Process
from .system import CoreKind, Floats, System, Widths
from .workloads import Workload


@dataclass(frozen=True, kw_only=True)
class Energy:
    """Picojoules per image, each of shape (designs,)."""

    mac_pj: Floats
    on_chip_pj: Floats
    partial_sum_pj: Floats
    dram_pj: Floats

    @property
    def total_pj(self) -> Floats:
        """All that is counted."""
        return self.mac_pj + self.on_chip_pj + self.partial_sum_pj + self.dram_pj


def energy(workload: Workload, system: System, performance: Performance, process: Process) -> Energy:
    """Energy per image of what ``performance = evaluate(workload, system)`` found, with the same widths."""
    layers = workload.columns
    widths = Widths.of(workload, system)
    work = compute(workload, system, widths)
    batch = system.batch[:, None]
    rows, cols, lanes = system.rows[:, None], system.cols[:, None], system.lanes[:, None]
    reduction = layers["reduction"].astype(np.float64)
    acc_bits = widths.act + widths.weight + np.ceil(np.log2(reduction)) + 1
    outputs = layers["out_pixels"] * layers["out_channels"]
    products = process.multiply_8x8_pj * widths.act * widths.weight / 64
    macs = layers["macs"] * (products + process.add_pj_per_bit * acc_bits)

    channel_tiles = np.ceil(layers["out_channels"] / layers["groups"] / cols)
    # Each group reads its own channels, once for each of its channel tiles.
    act_reads = layers["out_pixels"] * reduction * layers["groups"] * channel_tiles * widths.act
    second_operand = reduction * layers["out_channels"] * widths.weight
    if system.core in (CoreKind.OUTPUT_STATIONARY, CoreKind.COMPOSABLE):
        loads = np.ceil(layers["out_pixels"] * batch / rows)
        passes = np.ones_like(loads)
    else:
        loads = work.pixel_cores
        row_terms = rows * lanes
        if system.core is CoreKind.PACT:
            taps = layers["kernel"] ** 2
            passes = taps * np.ceil(reduction / taps / row_terms)
        else:
            passes = np.ceil(reduction / row_terms)
    # What the batch shares is loaded once for all of it.
    weight_reads = second_operand * loads / np.where(layers["per_image"], 1.0, batch)
    on_chip = act_reads + weight_reads + outputs * widths.stored
    partial_sums = 2 * outputs * (passes - 1) * acc_bits
    return Energy(
        mac_pj=macs.sum(axis=1),
        on_chip_pj=on_chip.sum(axis=1) * process.sram_large_pj_per_bit,
        partial_sum_pj=partial_sums.sum(axis=1) * process.sram_small_pj_per_bit,
        dram_pj=performance.bytes_per_image * 8 * process.dram_pj_per_bit,
    )
