"""What is evaluated: chips of cores, as columns of parameters."""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pact_hw.errors import InputError

from .workloads import Workload

Numbers = npt.ArrayLike
Floats = npt.NDArray[np.float64]

SAMPLE_BYTES = 1
"""Bytes of one image sample: pictures have 8 bits a channel."""
STREAM_BYTES = 2
"""Bytes of one value of the residual stream, which PACT does not quantise: 16 bits assumed."""


NARROWEST_BITS = 2
"""Operands of a composable array's narrowest mode, as ``HardwareSpec.narrowest_bits`` is by default."""


class CoreKind(enum.Enum):
    """What a core is; ``analysis.cores`` counts its cycles."""

    PACT = "pact"
    """The paper's: a weight-stationary systolic array whose tiles follow each other without a gap, of
    MACs that make one product of 2n bits or two of n."""
    OUTPUT_STATIONARY = "output-stationary"
    """Our own array: the cycles of ``pact_hw.spec.schedule``."""
    WEIGHT_STATIONARY = "weight-stationary"
    """Our own array: the cycles of ``pact_hw.spec.schedule``."""
    COMPOSABLE = "composable"
    """Our own composable, output-stationary array, ``bits`` wide: the same schedule in the narrowest mode
    that holds a layer's operands."""


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

    Bandwidth may be infinite. ``bits`` is the precision that the MACs are counted at; ``act_bits`` and
    ``weight_bits`` (as ``bits`` if not given) are what the layers use. ``edge_bits`` is the least
    precision of the first and the last layer (0: as the others). Memory and bandwidth are decimal (1 MB =
    1e6 bytes), as the paper's axis has them. ``lanes`` and ``requantiser_cycles`` (its latency, once a layer)
    belong to our own arrays.
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
        lanes: Numbers = 1,
        clock_hz: Numbers = 2e9,
        act_bits: Numbers | None = None,
        weight_bits: Numbers | None = None,
        requantiser_cycles: Numbers = 0,
        core: CoreKind = CoreKind.PACT,
    ) -> None:
        given = {
            "bits": bits,
            "cores": cores,
            "bandwidth_bytes_per_s": bandwidth_bytes_per_s,
            "memory_bytes": memory_bytes,
            "edge_bits": edge_bits,
            "batch": batch,
            "rows": rows,
            "cols": cols,
            "lanes": lanes,
            "clock_hz": clock_hz,
            "act_bits": bits if act_bits is None else act_bits,
            "weight_bits": bits if weight_bits is None else weight_bits,
            "requantiser_cycles": requantiser_cycles,
        }
        self.core = core
        arrays = np.broadcast_arrays(*(np.atleast_1d(np.asarray(v, np.float64)) for v in given.values()))
        for name, values in zip(given, arrays, strict=True):
            low = 0 if name in ("memory_bytes", "edge_bits", "requantiser_cycles") else np.nextafter(0, 1)
            if values.ndim != 1 or not (values >= low).all():
                raise InputError(f"{name} must be positive, a number or a list of them, not {given[name]!r}")
        columns = [np.array(values) for values in arrays]
        (
            self.bits,
            self.cores,
            self.bandwidth_bytes_per_s,
            self.memory_bytes,
            self.edge_bits,
            self.batch,
            self.rows,
            self.cols,
            self.lanes,
            self.clock_hz,
            self.act_bits,
            self.weight_bits,
            self.requantiser_cycles,
        ) = columns
        self._columns = dict(zip(given, columns, strict=True))

    def __len__(self) -> int:
        return len(self.bits)

    def part(self, chosen: slice) -> System:
        """Some of the designs."""
        return System(**{name: values[chosen] for name, values in self._columns.items()}, core=self.core)

    def products(self, bits: Floats) -> Floats:
        """Products of operands of ``bits`` bits that one multiplier makes in a cycle.

        ``bits`` is of shape (designs,) or (designs, layers). Composable: 4 of half the width, and so on, down
        to ``NARROWEST_BITS``; of all others 1.
        """
        widest = self.bits if bits.ndim == 1 else self.bits[:, None]
        if self.core is not CoreKind.COMPOSABLE:
            return np.ones_like(widest * bits)
        halvings = np.floor(np.log2(widest / np.maximum(bits, NARROWEST_BITS)))
        found: Floats = 4.0 ** np.maximum(halvings, 0.0)
        return found

    @property
    def macs_per_cycle(self) -> Floats:
        """Multiply-accumulates a cycle at the network's own precision, shape (designs,)."""
        own = self.products(np.maximum(self.act_bits, self.weight_bits))
        macs: Floats = self.cores * self.rows * self.cols * self.lanes * own
        return macs

    @property
    def peak_macs_per_s(self) -> Floats:
        """Peak multiply-accumulates a second at the network's own precision, shape (designs,)."""
        peak: Floats = self.macs_per_cycle * self.clock_hz
        return peak


@dataclass(frozen=True, kw_only=True)
class Widths:
    """Bits of activations and weights per design and layer, each of shape (designs, layers)."""

    act: Floats
    weight: Floats
    stored: Floats
    """Bits at which activations lie in memory: the edges' inputs too have the chip's precision."""

    @classmethod
    def of(
        cls, workload: Workload, system: System, *, act: Numbers | None = None, weight: Numbers | None = None
    ) -> Widths:
        """The system's own widths, edges at ``edge_bits`` or more; or given ones, broadcast.

        Raises:
            InputError: given widths are not positive, or not of shape (layers,) or (designs, layers).
        """
        shape = (len(system), len(workload.layers))
        own = (system.act_bits, system.weight_bits)
        filled = []
        for name, values, column in zip(("act", "weight"), (act, weight), own, strict=True):
            if values is None:
                bits = np.repeat(column[:, None], shape[1], axis=1)
                for edge in workload.edges:
                    bits[:, edge] = np.maximum(column, system.edge_bits)
            else:
                try:
                    bits = np.array(np.broadcast_to(np.asarray(values, np.float64), shape))
                except ValueError:
                    raise InputError(
                        f"{name} widths must be one, {shape[1]}, or {shape[0]} x {shape[1]} numbers, "
                        f"not of shape {np.shape(values)}"
                    ) from None
                if not (bits > 0).all():
                    raise InputError(f"{name} widths must be positive, not {float(bits.min()):g}")
            filled.append(bits)
        stored = np.broadcast_to(system.act_bits[:, None], shape) if act is None else filled[0]
        return cls(act=filled[0], weight=filled[1], stored=stored)

    def part(self, chosen: slice) -> Widths:
        """Those of some of the designs."""
        return Widths(act=self.act[chosen], weight=self.weight[chosen], stored=self.stored[chosen])
