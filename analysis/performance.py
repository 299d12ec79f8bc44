"""Images per second of a network on a chip of cores, for arrays of designs in one call.

The chip is the one of PACT's hardware study (section 6), or one of our own arrays; all cores work on the
same layer. ``analysis.cores`` says how long a layer computes, ``analysis.memory`` what crosses the pins.
Within a layer transfer and computation overlap fully (double buffers): the layer takes the longer of the
two. Nothing is fetched ahead of its layer; the images are loaded (8 bits a sample) before the first layer
starts. Every layer may have its own widths.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from .cores import compute
from .memory import Allocation, Retention, allocate
from .system import FITTED, SAMPLE_BYTES, STREAM_BYTES, Constants, CoreKind, Floats, System, Widths
from .workloads import Workload

__all__ = [
    "FITTED",
    "Constants",
    "CoreKind",
    "Performance",
    "Retention",
    "System",
    "Widths",
    "compute_cycles",
    "evaluate",
]

BLOCK = 1024
"""Designs that are evaluated at a time: what is only needed meanwhile stays small."""


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
    image_bytes: Floats
    """The image itself, bytes per image, shape (designs,)."""
    batch: Floats
    """Images in a batch, shape (designs,)."""

    @property
    def layer_s(self) -> Floats:
        """Seconds per layer: the longer of computation and transfer."""
        return np.maximum(self.compute_s, self.transfer_s)

    @property
    def traffic_bytes(self) -> dict[str, Floats]:
        """Bytes per image over the pins by kind, each of shape (designs,)."""
        kinds = {
            "weights": self.allocation.streamed,
            "activations": self.allocation.spilled,
            "fetched again": self.allocation.reloaded,
        }
        per_image = {kind: values.sum(axis=1) / self.batch for kind, values in kinds.items()}
        return {"image": self.image_bytes, **per_image}

    @property
    def bytes_per_image(self) -> Floats:
        """All of them."""
        total: Floats = sum(self.traffic_bytes.values(), np.zeros_like(self.batch))
        return total


def compute_cycles(
    workload: Workload, system: System, constants: Constants = FITTED, *, widths: Widths | None = None
) -> Floats:
    """Cycles per layer and batch if no transfer were ever waited for, shape (designs, layers)."""
    return compute(workload, system, widths or Widths.of(workload, system), constants).cycles


def evaluate(
    workload: Workload,
    system: System,
    *,
    retention: Retention = Retention.EXPOSED_FIRST,
    constants: Constants = FITTED,
    act_bits: Any = None,
    weight_bits: Any = None,
) -> Performance:
    """Time, traffic and images per second of ``workload`` on every design of ``system``.

    Args:
        workload: the network.
        system: the designs.
        retention: what may stay on the chip.
        constants: of the model.
        act_bits: widths per layer, of shape (layers,) or (designs, layers), instead of the system's own
            with its edges.
        weight_bits: the same of the weights.

    Raises:
        InputError: given widths do not fit the network.
    """
    widths = Widths.of(workload, system, act=act_bits, weight=weight_bits)
    blocks = []
    for start in range(0, len(system), BLOCK):
        chosen = slice(start, start + BLOCK)
        blocks.append(_evaluate(workload, system.part(chosen), widths.part(chosen), retention, constants))
    return blocks[0] if len(blocks) == 1 else _joined(blocks)


def _joined(blocks: list[Any]) -> Any:
    """Dataclasses of arrays as one."""
    members = {}
    for field in fields(blocks[0]):
        values = [getattr(block, field.name) for block in blocks]
        members[field.name] = np.concatenate(values) if isinstance(values[0], np.ndarray) else _joined(values)
    return type(blocks[0])(**members)


def _evaluate(
    workload: Workload, system: System, widths: Widths, retention: Retention, constants: Constants
) -> Performance:
    layers = workload.columns
    bandwidth = system.bandwidth_bytes_per_s[:, None]
    work = compute(workload, system, widths, constants)
    compute_s = work.cycles / system.clock_hz[:, None]
    values = layers["act_elements"] * widths.stored / 8
    allocation = allocate(
        capacity=constants.tensor_memory_share * system.memory_bytes[:, None],
        live=system.batch[:, None] * (values + layers["stream_elements"] * STREAM_BYTES),
        weights=layers["weights"] * widths.weight / 8,
        hidden=compute_s * bandwidth,
        retention=retention,
        border=layers["halo_elements"] * widths.stored / 8,
    )
    transfer_s = allocation.moved / bandwidth
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
        image_bytes=np.full(len(system), float(workload.image_elements * SAMPLE_BYTES)),
        batch=system.batch,
    )
