"""The one cocotb test: runs every pass that ``vectors.json`` asks for, and writes ``results.json``.

One loop steps all streams once per clock cycle; there is no coroutine per signal. Nothing waits
without an end: a pass in which no beat moves for ``PATIENCE_CYCLES`` is a deadlock, and is reported
as the pass's mismatch.
"""

from __future__ import annotations

import os
import random
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock

from pact_hw.errors import InputError
from pact_hw.files import read_json, write_json
from pact_hw.spec import Dataflow, HardwareSpec, schedule, seal, unseal

from ..products import MatrixProduct
from ..vectors import RESET, Run, load_vectors
from .check import compare
from .streams import Sink, Source, Stalls
from .traffic import Traffic, payloads, traffic

DESIGN, VECTORS, RESULTS, PROGRESS = (
    f"PACT_HW_{name}" for name in ("DESIGN", "VECTORS", "RESULTS", "PROGRESS")
)
"""Environment variables with the paths of the manifest, the vectors, the results, and the cycle count."""
PATIENCE_CYCLES = 1000
"""Beyond the latency; a stall of this length has no measurable probability (stalls <= 0.9)."""
PROGRESS_SECONDS = 0.3


class Bench:
    """The array's ports, and the loop."""

    def __init__(self, dut: Any, spec: HardwareSpec) -> None:
        self._dut = dut
        self._spec = spec
        self._check_ports()
        names = ("in", "scale") if spec.requantiser else ("in",)
        if spec.dataflow is Dataflow.WEIGHT_STATIONARY:
            names = ("weight", "in")
        self._sources = {name: Source(dut, name, payloads(spec, name)) for name in names}
        self._sink = Sink(dut, "out")
        self._patience = PATIENCE_CYCLES + 4 * spec.latency_cycles
        self._told = time.monotonic()
        self.total_cycles = 0

    def _check_ports(self) -> None:
        manifest = read_json(Path(os.environ[DESIGN]))
        for port in manifest["ports"]:
            width = len(getattr(self._dut, port["name"]))
            if width != port["width"]:
                raise InputError(f"port {port['name']} has {width} bits, the manifest says {port['width']}")

    async def reset(self) -> None:
        """Two cycles of reset, with nothing offered."""
        for source in self._sources.values():
            source.stop()
        self._sink.stop()
        self._dut.rst.value = 1
        await self._cycles(2)
        self._dut.rst.value = 0
        await self._cycles(1)

    async def _cycles(self, count: int) -> None:
        for _ in range(count):
            await self._dut.clk.rising_edge

    async def run(self, run: Run, product: MatrixProduct) -> dict[str, Any]:
        """One pass; a deadlock or a surplus beat is its first mismatch."""
        m, k, n = product.shape
        if run.scenario == RESET:
            random_cycles = random.Random(run.seed)  # noqa: S311 - a test pattern
            enough = random_cycles.randint(
                1, schedule(self._spec.in_mode(product.mode_bits), m=m, k=k, n=n).cycles
            )
            await self._pass(run, traffic(self._spec, product), limit=enough)
            await self.reset()
        beats = traffic(self._spec, product)
        cycles, problem = await self._pass(run, beats)
        outcome = compare(beats, self._sink.data[: len(beats.last)], self._sink.last[: len(beats.last)])
        if problem is not None:
            outcome["mismatches"] = max(1, outcome["mismatches"])
            outcome["first_mismatch"] = outcome["first_mismatch"] or problem
            await self.reset()
        known = {"name": product.name, "m": m, "k": k, "n": n, "mode_bits": product.mode_bits}
        return asdict(run) | known | {"cycles": cycles} | outcome

    async def _pass(
        self, run: Run, beats: Traffic, *, limit: int | None = None
    ) -> tuple[int, dict[str, Any] | None]:
        """Cycles from the first operand beat to the last result, and what went wrong with the streams."""
        sources = [self._sources[name] for name in beats.sources]
        for source in sources:
            source.start(beats.sources[source.name], Stalls(run.stalls, f"{run.seed} {source.name}"))
        self._sink.start(Stalls(run.stalls, f"{run.seed} out"))
        expected = len(beats.last)
        edge = self._dut.clk.rising_edge
        cycle = first = idle = 0
        while len(self._sink.data) < expected:
            await edge
            cycle += 1
            moved = self._sink.step()
            for source in sources:
                moved |= source.step()
            if not first and sources[0].count:
                first = cycle
            if cycle == limit:
                break
            idle = 0 if moved else idle + 1
            if idle > self._patience:
                break
            if not cycle & 0xFF:
                self._tell(cycle)
        self.total_cycles += cycle
        cycles = cycle - first + 1
        if limit is not None:
            return cycles, None
        taken = ", ".join(f"{source.count} beats of {source.name!r}" for source in sources)
        if idle > self._patience:
            return cycles, {
                "where": f"deadlock: no beat moved for {idle} cycles after {taken} were taken",
                "expected": expected,
                "got": len(self._sink.data),
            }
        for _ in range(self._spec.latency_cycles + self._spec.cols + 2):
            await edge
            self._sink.step()
        surplus = len(self._sink.data) - expected
        if surplus or not all(source.exhausted for source in sources):
            return cycles, {
                "where": f"end of the product: {surplus} output beats too many; {taken} were taken",
                "expected": expected,
                "got": expected + surplus,
            }
        return cycles, None

    def _tell(self, cycle: int) -> None:
        """Lets the host know that the simulation is alive, and how far it is."""
        if time.monotonic() - self._told > PROGRESS_SECONDS:
            self._told = time.monotonic()
            Path(os.environ[PROGRESS]).write_text(str(self.total_cycles + cycle), encoding="ascii")


@cocotb.test()
async def products(dut: Any) -> None:
    """Run the vectors; what cannot run at all is one line under ``error``."""
    results = Path(os.environ[RESULTS])
    try:
        manifest = Path(os.environ[DESIGN])
        spec = HardwareSpec.from_json(unseal(read_json(manifest), name=str(manifest))["hardware"])
        vectors = load_vectors(Path(os.environ[VECTORS]), spec)
        bench = Bench(dut, spec)
    except InputError as error:
        write_json(results, seal({"error": str(error)}))
        return
    Clock(dut.clk, 2, unit="step", impl="gpi").start()
    await bench.reset()
    started = time.monotonic()
    outcomes = [await bench.run(run, vectors.products[run.product]) for run in vectors.runs]
    write_json(
        results,
        seal(
            {
                "vectors_digest": vectors.digest,
                "hardware_digest": spec.digest,
                "results": outcomes,
                "simulated_cycles": bench.total_cycles,
                "seconds": time.monotonic() - started,
            }
        ),
    )
