"""Whole networks on a generated core: compiled, run, every value compared."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pact_hw.compiler import compile_network
from pact_hw.design import Design
from pact_hw.files import write_json
from pact_hw.golden import network as golden
from pact_hw.golden.matmul import Int64
from pact_hw.progress import SILENT, Progress
from pact_hw.spec import NetworkSpec
from pact_hw.spec.network import INPUT

from .build import build
from .core_check import LayerResult, check_run, run_problem
from .core_range import Part, part
from .core_report import CoreReport, summed
from .core_run import LEAST_MEMORY_BYTES, CoreRun, External, Job, Waves, core_bench, run_core
from .simulator import Kind

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
    from a second run.

    Raises:
        InputError: the design is no core, the network does not fit it, or a tool is missing.
        SimulationError: no result came: the build failed, or the simulator did.
    """
    core = design.runnable_core()
    levels = golden.input_levels(network, tensors, images)
    compiled = compile_network(network, tensors, core)
    cut = part(network, compiled, first_layer, last_layer)
    expected = [_values(network, tensors, image) for image in levels]
    cycles = cut.compiled.cycles * len(levels)
    measured = _measured(design, kind, progress)
    predicted = cycles / _speed(design, kind, measured)
    with progress.task(f"{cycles:,} cycles, about {predicted:.0f} s"):
        pass
    jobs = [Job(part=cut, values=values) for values in expected]
    run = run_core(design, jobs, folder=folder, external=external, kind=kind, progress=progress)
    if run.seconds > 1 and measured is not None:
        write_json(measured, {"cycles_per_second": run.cycles / run.seconds})
    files: tuple[str, ...] = ()
    if waves is not None:
        run_core(
            design,
            jobs[:1],
            folder=folder / "waves",
            external=external,
            waves=waves,
            progress=progress,
        )
        files = (str(folder / "waves" / waves.file),)
    return replace(_report(design, network, cut, expected, run), predicted_seconds=predicted, files=files)


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
            return float(json.loads(measured.read_text(encoding="utf-8"))["cycles_per_second"])
    except (OSError, ValueError, KeyError):
        pass
    return _CYCLES_X_MACS[kind] / design.hardware.macs_per_cycle


def _report(
    design: Design, network: NetworkSpec, cut: Part, expected: list[dict[str, Int64]], run: CoreRun
) -> CoreReport:
    layers: list[list[LayerResult]] = []
    problems = []
    for index, record in enumerate(run.records):
        layers.append(check_run(cut.compiled, record, expected[index]))
        problem = run_problem(record, layers[-1], cut.compiled)
        if problem is not None:
            problems.append(f"image {index}, {problem}")
    to_the_end = cut.compiled.layers[-1].name == network.layers[-1].name
    return CoreReport(
        design=design.top,
        core_digest=design.digest,
        network=network.name,
        network_digest=network.digest,
        images=len(run.records),
        layers=summed(layers),
        problems=tuple(problems),
        classes=tuple(int(cut.compiled.decode(r.results).sum(axis=(1, 2)).argmax()) for r in run.records)
        if to_the_end
        else None,
        predicted_seconds=0.0,
        simulated_cycles=run.cycles,
        seconds=run.seconds,
    )
