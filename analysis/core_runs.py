"""Whole networks on a generated core: the compiler's cycles, which are the RTL's.

Nothing is estimated here: the network is compiled for the core, and ``spec.core_schedule`` counts its
operations. Simulation finds the same number in every operation, stalls aside (docs/core.md).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pact_hw.compiler import Compiled, compile_network
from pact_hw.compiler.examples import mobilenet, random_tensors, resnet20, resnet50
from pact_hw.compiler.sizing import core_for
from pact_hw.golden.network import Tensors
from pact_hw.spec import CoreSpec, HardwareSpec, NetworkSpec
from pact_hw.spec.core import Depthwise

from .process import Process
from .system import Floats
from .workloads import Ints

CORE_NETWORKS: dict[str, Callable[[int, int], NetworkSpec]] = {
    "resnet50-v1.5": resnet50,
    "resnet20": resnet20,
    "mobilenet": mobilenet,
}
"""Networks that can be had in integers (random codes), by bits and edge bits."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CoreRun:
    """One image on one core, layer by layer."""

    core: CoreSpec
    layers: tuple[str, ...]
    cycles: Ints
    """Of each layer, as long as no transfer is waited for: equal to the RTL's."""
    bytes_in: Ints
    """What each layer brings over the bus: weights, constants, and the first one the image."""
    macs: int
    result_bytes: int

    @classmethod
    def of(cls, compiled: Compiled) -> CoreRun:
        """What was compiled, counted."""
        return cls(
            core=compiled.core,
            layers=tuple(layer.name for layer in compiled.layers),
            cycles=np.array([layer.cycles for layer in compiled.layers], np.int64),
            bytes_in=np.array([layer.bytes_in for layer in compiled.layers], np.int64),
            macs=sum(layer.macs for layer in compiled.layers),
            result_bytes=compiled.result_bytes,
        )

    @property
    def total_cycles(self) -> int:
        """Of one image, as long as no transfer is waited for."""
        return int(self.cycles.sum())

    @property
    def buffers(self) -> dict[str, tuple[int, int]]:
        """Bits and ports of each kind of memory: one port to write, the others to read."""
        core = self.core
        return {
            "activations": (core.activation_words * core.word_bits, 3),
            "patches": (2 * core.array.rows * core.patch_words * core.word_bits, 2),
            "weights": (core.weight_words * core.weight_word_bits, 2),
            "constants": (core.constant_words * core.constant_word_bits, 2),
            "program": (core.program_words * 32, 2),
        }

    @property
    def memory_bytes(self) -> float:
        """All of them."""
        return sum(bits for bits, _ in self.buffers.values()) / 8

    def memory_um2(self, process: Process) -> float:
        """Their area."""
        return sum(process.sram_um2(bits / 8, ports=ports) for bits, ports in self.buffers.values())

    def waiting_cycles(self, bytes_per_cycle: float) -> float:
        """Cycles of one image where each layer takes the longer of computation and its own transfer."""
        transfers: Floats = self.bytes_in / bytes_per_cycle
        return float(np.maximum(self.cycles, transfers).sum())


def run_on_core(network: NetworkSpec, tensors: Tensors, core: CoreSpec) -> CoreRun:
    """``network`` on ``core``.

    Raises:
        InputError: it does not fit.
    """
    return CoreRun.of(compile_network(network, tensors, core))


@lru_cache(maxsize=8)
def _network(name: str, bits: int, edge_bits: int) -> tuple[NetworkSpec, Tensors]:
    network = CORE_NETWORKS[name](bits, max(bits, edge_bits))
    return network, random_tensors(network, 0)


@lru_cache(maxsize=65536)
def run_sized(
    name: str,
    bits: int,
    array: HardwareSpec,
    *,
    edge_bits: int = 8,
    requantisers: int = 0,
    depthwise: Depthwise = Depthwise.NONE,
    bus_bits: int = 64,
) -> CoreRun:
    """Network ``name`` in ``bits`` bits on the smallest core around ``array`` that runs it.

    Raises:
        InputError: there is no such core.
    """
    network, tensors = _network(name, bits, edge_bits)
    core = core_for(
        network, tensors, array, bus_bits=bus_bits, requantisers=requantisers, depthwise=depthwise
    )
    return run_on_core(network, tensors, core)
