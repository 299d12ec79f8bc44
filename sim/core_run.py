"""A whole core in the simulator: what its memory holds, the run, and what was recorded."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pact_hw.design import Design
from pact_hw.files import read_json, write_json
from pact_hw.golden.matmul import Int64
from pact_hw.progress import SILENT, Progress
from pact_hw.spec import CoreSpec, seal, unseal
from pact_hw.spec.registers import BASE_ALIGNMENT, CoreError

from .build import Bench, build, wave_window
from .core_range import Part
from .errors import SimulationError
from .icarus import build_icarus
from .simulator import Kind, require_libpython, run_bench

TOP = "core_bench"
PERIOD = 2
"""Simulator steps of a clock cycle, as in the bench."""
_SOURCE = Path(__file__).parent / "verilog" / f"{TOP}.sv"
LEAST_MEMORY_BYTES = 64 << 20
"""The memory of every simulation that needs no more, so that networks share a simulator."""
WATCHDOG_CYCLES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class External:
    """The memory outside: how soon and how fast it answers."""

    latency_cycles: int = 0
    """From a read's address to its first beat; what is written is there after twice as many."""
    bandwidth_256: int = 256
    """Beats of read data in 256 cycles."""


@dataclass(frozen=True, kw_only=True)
class Waves:
    """A window of cycles that goes into an FST."""

    first_cycle: int
    cycles: int
    file: str = "core.fst"


@dataclass(frozen=True, kw_only=True, eq=False)
class Record:
    """What was recorded of one run."""

    error: CoreError
    came: bool
    """Whether the interrupt did, in reasonable time."""
    operations_done: int
    writes: tuple[npt.NDArray[np.void], ...]
    """``address``, ``mask``, ``data`` (bytes) of every write into the activation buffer, by operation."""
    ends: Int64
    """Cycles and stalls at the start, and at the end of each operation."""
    results: bytes


@dataclass(frozen=True, kw_only=True, eq=False)
class CoreRun:
    """All runs of a simulation, in order; up to the first that did not end well."""

    records: tuple[Record, ...]
    cycles: int
    """Clock cycles that the simulator ran."""
    seconds: float
    """Wall time of these cycles."""


def core_bench(design: Design, memory_bytes: int) -> Bench:
    """The bench around ``design``."""
    core = _core(design)
    # The ports stand at the head of the bench; cocotb sees them alone.
    head = _SOURCE.read_text(encoding="utf-8").split(") (", 1)[1].split(");", 1)[0]
    ports = re.findall(r"^\s*(?:input|output) .*?(\w+),?$", head, re.MULTILINE)
    return Bench(
        top=TOP,
        sources=(_SOURCE,),
        parameters=(
            ("BUS_BITS", core.bus_bits),
            ("MEMORY_BEATS", memory_bytes // (core.bus_bits // 8)),
            ("OUT_BITS", core.array.cols * core.array.act.bits),
        ),
        defines=(("CORE", design.top),),
        public=tuple((TOP, name) for name in ports),
    )


def _core(design: Design) -> CoreSpec:
    assert design.core is not None
    return design.core


@dataclass(frozen=True, kw_only=True, eq=False)
class Job:
    """One run: a part of a compiled network, and the levels (C x Y x X) of its operands by name."""

    part: Part
    values: Mapping[str, Int64]


class _Memory:
    """What lies in the simulated memory, piece by piece."""

    def __init__(self) -> None:
        self.size = 0
        self._pieces: list[bytes] = []
        self._models: dict[int, int] = {}

    def put(self, data: bytes) -> int:
        """The address of ``data``."""
        address = self.size
        padded = data + bytes(-len(data) % BASE_ALIGNMENT)
        self._pieces.append(padded)
        self.size += len(padded)
        return address

    def put_model(self, part: Part) -> int:
        """The address of the part's model, which is there once."""
        model = part.compiled.model
        if id(model) not in self._models:
            self._models[id(model)] = self.put(model)
        return self._models[id(model)]

    def content(self) -> bytes:
        """All of it."""
        return b"".join(self._pieces)


def run_core(
    design: Design,
    jobs: Sequence[Job],
    *,
    folder: Path,
    external: External | None = None,
    waves: Waves | None = None,
    kind: Kind = Kind.VERILATOR,
    progress: Progress = SILENT,
) -> CoreRun:
    """Run ``jobs`` on ``design``, one after the other, from the simulated memory.

    Raises:
        InputError: a tool is missing.
        SimulationError: the build or the simulator failed.
    """
    require_libpython()
    external = external or External()
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    memory = _Memory()
    runs: list[dict[str, int]] = []
    for job in jobs:
        model = memory.put_model(job.part)
        runs.append(
            {
                "model_address": model,
                "transfers_address": model + job.part.transfers_offset,
                "transfers": len(job.part.compiled.transfers),
                "input_address": memory.put(job.part.input_bytes(job.values)),
            }
        )
    results_from = memory.size
    for job, run in zip(jobs, runs, strict=True):
        # What is not written stays as no result looks like.
        run["result_address"] = memory.put(b"\x5a" * job.part.compiled.result_bytes)
    (folder / "memory.bin").write_bytes(memory.content())
    least = LEAST_MEMORY_BYTES if kind is Kind.VERILATOR else 1 << 16
    memory_bytes = max(least, 1 << (memory.size - 1).bit_length())
    cycles = sum(job.part.compiled.cycles for job in jobs)
    bench = core_bench(design, memory_bytes)
    if kind is Kind.ICARUS:
        program = build_icarus(design, bench, folder)
    else:
        program = build(design, bench=bench, waves=waves is not None, progress=progress)
    plan = {
        "design": str(design.manifest.absolute()),
        "runs": runs,
        "watchdog_cycles": WATCHDOG_CYCLES,
        "most_cycles": 1000 * cycles + 10 * WATCHDOG_CYCLES,
    }
    write_json(folder / "plan.json", seal(plan))
    found = folder / "found.json"
    found.unlink(missing_ok=True)
    run_bench(
        program,
        top=TOP,
        module="sim.bench.core_main",
        folder=folder,
        kind=kind,
        environment={
            "PACT_HW_PLAN": str(folder / "plan.json"),
            "PACT_HW_RESULTS": str(found),
            **({} if waves is None else wave_window(waves.first_cycle * PERIOD, waves.cycles * PERIOD)),
        },
        arguments=[
            f"+memory={folder / 'memory.bin'}",
            f"+writes={folder / 'writes.bin'}",
            f"+operations={folder / 'operations.bin'}",
            f"+results={folder / 'results.bin'}",
            f"+results_from={results_from}",
            f"+results_bytes={memory.size - results_from}",
            f"+latency={external.latency_cycles}",
            f"+bandwidth={external.bandwidth_256}",
            *([] if waves is None else ["--trace", "--trace-file", str(folder / waves.file)]),
        ],
        total=cycles,
        progress=progress,
    )
    if not found.is_file():
        raise SimulationError(f"the bench left no results; see {folder / 'simulation.log'}")
    offsets = [run["result_address"] - results_from for run in runs]
    return _read(folder, unseal(read_json(found), name=str(found)), jobs, offsets)


def _read(folder: Path, found: dict[str, Any], jobs: Sequence[Job], offsets: list[int]) -> CoreRun:
    """What the bench and the simulator's monitor wrote."""
    if "error" in found:
        raise SimulationError(found["error"])
    core = jobs[0].part.compiled.core
    words = -(-core.array.cols * core.array.act.bits // 32)
    write = np.dtype([("address", "<u4"), ("operation", "<u4"), ("mask", "<u8"), ("data", "u1", 4 * words)])
    writes = np.fromfile(folder / "writes.bin", dtype=write)
    operations = np.fromfile(folder / "operations.bin", dtype="<u8").reshape(-1, 4).astype(np.int64)
    results = (folder / "results.bin").read_bytes()
    starts = np.flatnonzero(operations[:, 0] == 0)[-len(found["runs"]) :]
    records = []
    for index, (run, ends) in enumerate(zip(found["runs"], np.split(operations, starts)[1:], strict=True)):
        # Behind the last operation that ended there are the writes of one that failed.
        rest = operations[starts[index + 1], 3] if index + 1 < len(starts) else len(writes)
        size = jobs[index].part.compiled.result_bytes
        records.append(
            Record(
                error=CoreError(run["error"]),
                came=run["came"],
                operations_done=run["operations_done"],
                writes=tuple(np.split(writes[: int(rest)], ends[:, 3])[1:]),
                ends=ends[:, 1:3],
                results=results[offsets[index] : offsets[index] + size],
            )
        )
    return CoreRun(records=tuple(records), cycles=found["cycles"], seconds=found["seconds"])
