"""Whole networks on a generated core: compiled, run, every value compared."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pact_hw.compiler import compile_network
from pact_hw.design import Design
from pact_hw.errors import InputError
from pact_hw.files import read_json, write_json
from pact_hw.golden import network as golden
from pact_hw.golden.matmul import Int64
from pact_hw.progress import SILENT, Progress
from pact_hw.spec import NetworkSpec, digest
from pact_hw.spec.network import INPUT
from pact_hw.spec.registers import CoreError

from .build import build
from .core_check import check_run, run_problem
from .core_journal import Done, Journal
from .core_range import Part, part
from .core_report import CoreReport
from .core_run import LEAST_MEMORY_BYTES, CoreRun, External, Job, Waves, core_bench, run_core
from .simulator import Kind

BATCH_SECONDS = 20
"""About so long the simulator runs before what it did is compared and kept."""
SPEED = "speed.json"
"""Beside a simulator: how fast it was in its last run."""
_CYCLES_X_MACS = {Kind.VERILATOR: 1e8, Kind.ICARUS: 3e4}
"""What a simulator makes of cycles times MACs in a second, before it has been measured."""


def simulate_network(
    design: Design,
    network: NetworkSpec,
    tensors: golden.Tensors,
    images: npt.NDArray[np.integer],
    *,
    first_layer: str | None = None,
    last_layer: str | None = None,
    external: External | None = None,
    waves: Waves | None = None,
    kind: Kind = Kind.VERILATOR,
    folder: Path,
    progress: Progress = SILENT,
) -> CoreReport:
    """Run ``images`` (B x C x Y x X: pixels, or levels) through ``network`` on the core ``design``.

    Every level that the core writes is compared with ``pact_hw.golden``, every operation's cycles with
    the schedule, and the logits. ``first_layer`` and ``last_layer`` cut the run to a range, whose
    operands come from the reference. ``waves`` leaves an FST of a window of the first image's cycles,
    from a second run. ``folder`` keeps what is done: a run that was killed goes on with the first image
    that was not.

    Raises:
        InputError: the design is no core, the network does not fit it, or a tool is missing.
        SimulationError: no result came: the build failed, or the simulator did.
    """
    core = design.runnable_core()
    levels = golden.input_levels(network, tensors, images)
    compiled = compile_network(network, tensors, core)
    cut = part(network, compiled, first_layer, last_layer)
    journal = Journal(folder, _key(design, cut, levels, external, kind))
    done = journal.load(len(levels))
    if done.images:
        with progress.task(f"going on behind image {done.images - 1}, as a run before did not end"):
            pass
    cycles = cut.compiled.cycles * (len(levels) - done.images)
    measured = _measured(design, kind, progress)
    speed = _speed(design, kind, measured)
    with progress.task(f"{cycles:,} cycles, about {cycles / speed:.0f} s"):
        pass
    at_a_time = max(1, int(BATCH_SECONDS * speed / cut.compiled.cycles))
    while done.images < len(levels):
        batch = levels[done.images : done.images + at_a_time]
        jobs = [Job(part=cut, values=_values(network, tensors, image)) for image in batch]
        run = run_core(design, jobs, folder=folder, external=external, kind=kind, progress=progress)
        if run.seconds > 1 and measured is not None:
            write_json(measured, {"cycles_per_second": run.cycles / run.seconds})
        done = _with(done, network, cut, jobs, run)
        if not _ended(run, jobs):
            break
        journal.keep(done)
    journal.close()
    files: tuple[str, ...] = ()
    if waves is not None:
        job = Job(part=cut, values=_values(network, tensors, levels[0]))
        run_core(
            design, [job], folder=folder / "waves", external=external, waves=waves, progress=progress
        )  # fmt: skip
        files = (str(folder / "waves" / waves.file),)
    return CoreReport(
        design=design.top,
        core_digest=design.digest,
        network=network.name,
        network_digest=network.digest,
        images=done.images,
        layers=done.layers,
        problems=done.problems,
        classes=done.classes if _to_the_end(network, cut) else None,
        predicted_seconds=cut.compiled.cycles * len(levels) / speed,
        simulated_cycles=done.cycles,
        seconds=done.seconds,
        files=files,
    )


def _key(design: Design, cut: Part, levels: Int64, external: External | None, kind: Kind) -> str:
    """Stands for everything that the results of a run depend on."""
    return digest(
        {
            "verilog": hashlib.sha256(design.verilog.read_bytes()).hexdigest(),
            "model": hashlib.sha256(cut.compiled.model).hexdigest(),
            "compiled": cut.compiled.to_json(),  # what the host makes of the results, too
            "levels": [list(levels.shape), hashlib.sha256(levels.tobytes()).hexdigest()],
            "external": str(external),
            "simulator": kind.value,
        }
    )


def _to_the_end(network: NetworkSpec, cut: Part) -> bool:
    return cut.compiled.layers[-1].name == network.layers[-1].name


def _ended(run: CoreRun, jobs: list[Job]) -> bool:
    """Whether every image came to its end."""
    return len(run.records) == len(jobs) and all(
        record.came and record.error is CoreError.NONE for record in run.records
    )


def _values(network: NetworkSpec, tensors: golden.Tensors, levels: Int64) -> dict[str, Int64]:
    """The reference's levels of one image, by layer, each C x Y x X."""
    values = golden.run(network, tensors, levels[None])
    return {INPUT: levels, **{name: value[0] for name, value in values.items()}}


def _measured(design: Design, kind: Kind, progress: Progress) -> Path | None:
    """The file with the simulator's speed, beside its program, which is built."""
    if kind is Kind.ICARUS:
        return None
    return build(design, bench=core_bench(design, LEAST_MEMORY_BYTES), progress=progress).parent / SPEED


def _speed(design: Design, kind: Kind, measured: Path | None) -> float:
    """Cycles a second, as last measured, or a guess."""
    try:
        if measured is not None:
            speed = float(read_json(measured)["cycles_per_second"])
            if 0 < speed < math.inf:
                return speed
    except (InputError, KeyError, TypeError, ValueError, OverflowError):
        pass
    return _CYCLES_X_MACS[kind] / design.hardware.macs_per_cycle


def _with(done: Done, network: NetworkSpec, cut: Part, jobs: list[Job], run: CoreRun) -> Done:
    """``done``, and what was found in ``run``."""
    layers, problems, classes = [], [], []
    for number, (record, job) in enumerate(zip(run.records, jobs, strict=False), done.images):
        layers.append(check_run(cut.compiled, record, job.values))
        problem = run_problem(record, layers[-1], cut.compiled)
        if problem is not None:
            problems.append(f"image {number}, {problem}")
        if _to_the_end(network, cut):
            classes.append(int(cut.compiled.decode(record.results).sum(axis=(1, 2)).argmax()))
    return done.and_then(layers, problems, classes, run.cycles, run.seconds)
