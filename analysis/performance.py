"""Images per second of a network on a chip of cores, for arrays of designs in one call.

The chip is the one of PACT's hardware study (section 6): every core is a weight-stationary systolic
array of ``rows`` input channels by ``cols`` output channels; all cores work on the same layer.

- *Compute*: a tile is one kernel tap, ``rows`` input and ``cols`` output channels; its pixels stream
  through, one a cycle, while the next tile's weights shift in (``rows`` cycles, hidden unless there are
  fewer pixels). A layer's output channels and pixels (of the whole batch) are split over the cores in
  the way that takes the fewest cycles. Each layer adds fill and drain (``rows + cols`` cycles) and
  ``Constants.layer_start_cycles``.
- *Precision*: a MAC of 2n bits is two MACs of n bits, as in the paper: a layer at twice the chip's
  precision runs on half as many cores.
- *Transfer*: ``analysis.memory`` says what crosses the pins. Within a layer transfer and computation
  overlap fully (double buffers): the layer takes the longer of the two. Nothing is fetched ahead of its
  layer; the images are loaded (8 bits a sample) before the first layer starts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pact_hw.errors import InputError

from .memory import Allocation, Floats, Retention, allocate
from .workloads import Workload

Numbers = npt.ArrayLike

SAMPLE_BYTES = 1
"""Bytes of one image sample: pictures have 8 bits a channel."""
STREAM_BYTES = 2
"""Bytes of one value of the residual stream, which PACT does not quantise: 16 bits assumed."""


@dataclass(frozen=True, kw_only=True)
class Constants:
    """The global constants of the model: fitted once to the 12 points of the paper's Fig. 6(c).

    ``pact-hw study`` writes how the fit changes when each moves (fig6c_sensitivity.csv).
    """

    layer_start_cycles: float = 80.0
    """Cycles per layer, besides fill and drain, to set up and synchronise the cores."""
    tensor_memory_share: float = 0.67
    """Share of on-chip memory that can hold retained weights and live activations; the rest is double
    buffers, partial sums, copies at the cores' borders, and fragmentation."""


FITTED = Constants()


class System:
    """Designs to evaluate: every parameter a number or an array; all are broadcast to (designs,).

    Bandwidth may be infinite. ``edge_bits`` is the least precision of the first and the last layer (0: as
    the others). Memory and bandwidth are decimal (1 MB = 1e6 bytes), as the paper's axis has them.
    """

    def __init__(
        self,
        *,
        bits: Numbers,
        cores: Numbers,
        bandwidth_bytes_per_s: Numbers,
        memory_bytes: Numbers = 16e6,
        edge_bits: Numbers = 8,
        batch: Numbers = 1,
        rows: Numbers = 8,
        cols: Numbers = 64,
        clock_hz: Numbers = 2e9,
    ) -> None:
        given = {name: value for name, value in locals().items() if name != "self"}
        arrays = np.broadcast_arrays(*(np.atleast_1d(np.asarray(v, np.float64)) for v in given.values()))
        for name, values in zip(given, arrays, strict=True):
            low = 0 if name in ("memory_bytes", "edge_bits") else np.nextafter(0, 1)
            if values.ndim != 1 or not (values >= low).all():
                raise InputError(f"{name} must be positive, a number or a list of them, not {given[name]!r}")
        (
            self.bits,
            self.cores,
            self.bandwidth_bytes_per_s,
            self.memory_bytes,
            self.edge_bits,
            self.batch,
            self.rows,
            self.cols,
            self.clock_hz,
        ) = (np.array(values) for values in arrays)

    @property
    def peak_macs_per_s(self) -> Floats:
        """Peak multiply-accumulates a second at the chip's own precision, shape (designs,)."""
        peak: Floats = self.cores * self.rows * self.cols * self.clock_hz
        return peak


@dataclass(frozen=True, kw_only=True)
class Performance:
    """Result of ``evaluate``; per batch, shape (designs, layers) unless said otherwise."""

    compute_s: Floats
    transfer_s: Floats
    allocation: Allocation
    load_s: Floats
    """Loading the images, shape (designs,)."""
    images_per_s: Floats
    """Shape (designs,)."""
    utilisation: Floats
    """Useful MACs over peak MACs, shape (designs,)."""

    @property
    def layer_s(self) -> Floats:
        """Seconds per layer: the longer of computation and transfer."""
        return np.maximum(self.compute_s, self.transfer_s)


def layer_bits(workload: Workload, system: System) -> Floats:
    """Precision per design and layer: ``edge_bits`` is a floor for the first and the last one."""
    bits = np.repeat(system.bits[:, None], len(workload.layers), axis=1)
    for edge in (0, -1):
        bits[:, edge] = np.maximum(system.bits, system.edge_bits)
    return bits


def compute_cycles(workload: Workload, system: System, constants: Constants = FITTED) -> Floats:
    """Cycles per layer and batch if no transfer were ever waited for, shape (designs, layers)."""
    layers = workload.columns
    rows, cols = system.rows[:, None], system.cols[:, None]
    equivalent = system.cores[:, None] * system.bits[:, None] / layer_bits(workload, system)
    cores = np.maximum(1.0, np.floor(equivalent))
    slowdown = np.maximum(1.0, 1.0 / equivalent)  # one narrow core makes a wide product in several passes
    pixels = layers["out_pixels"] * system.batch[:, None]
    channel_tiles = np.ceil(layers["out_channels"] / cols)
    beats = np.full(cores.shape, np.inf)
    for channel_cores in range(1, int(min(cores.max(), channel_tiles.max())) + 1):
        pixel_cores = np.floor(cores / channel_cores)
        split = np.ceil(channel_tiles / channel_cores) * np.maximum(
            np.ceil(pixels / np.maximum(1.0, pixel_cores)), rows
        )
        beats = np.where(pixel_cores >= 1, np.minimum(beats, split), beats)
    passes = layers["kernel"] ** 2 * np.ceil(layers["in_channels"] / rows)
    result: Floats = passes * beats * slowdown + rows + cols + constants.layer_start_cycles
    return result


def evaluate(
    workload: Workload,
    system: System,
    *,
    retention: Retention = Retention.EXPOSED_FIRST,
    constants: Constants = FITTED,
) -> Performance:
    """Time, traffic and images per second of ``workload`` on every design of ``system``."""
    layers = workload.columns
    batch = system.batch[:, None]
    bandwidth = system.bandwidth_bytes_per_s[:, None]
    compute_s = compute_cycles(workload, system, constants) / system.clock_hz[:, None]
    weights = layers["weights"] * layer_bits(workload, system) / 8
    live = batch * (
        layers["act_elements"] * system.bits[:, None] / 8 + layers["stream_elements"] * STREAM_BYTES
    )
    allocation = allocate(
        capacity=constants.tensor_memory_share * system.memory_bytes[:, None],
        live=live,
        weights=weights,
        hidden=compute_s * bandwidth,
        retention=retention,
    )
    transfer_s = (allocation.streamed + allocation.spilled) / bandwidth
    load_s = system.batch * workload.image_elements * SAMPLE_BYTES / system.bandwidth_bytes_per_s
    total_s = np.maximum(compute_s, transfer_s).sum(axis=1) + load_s
    images_per_s = system.batch / total_s
    return Performance(
        compute_s=compute_s,
        transfer_s=transfer_s,
        allocation=allocation,
        load_s=load_s,
        images_per_s=images_per_s,
        utilisation=images_per_s * workload.macs / system.peak_macs_per_s,
    )
