"""The host side: plan the passes, build, run the simulator, read what it found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pact_hw.design import Design
from pact_hw.errors import InputError
from pact_hw.files import read_json
from pact_hw.progress import SILENT, Progress
from pact_hw.spec import HardwareSpec, schedule, unseal

from .build import build
from .errors import SimulationError
from .products import MatrixProduct
from .report import Mismatch, ProductResult, SimulationReport, result_from_bench
from .simulator import require_libpython, run_bench
from .vectors import PLAIN, RESET, STALLS, Run, save_vectors
from .waves import write_save_file

__all__ = ["Mismatch", "ProductResult", "SimulationError", "SimulationReport", "simulate"]

EXTRA_CYCLES = 8000
"""Size of the products that are run again with a reset and with stalls."""
EXTRA_STALLS = 0.3
WAVE_CYCLES = 20_000
"""Size of the products that go into a waveform, unless one alone is larger."""


def simulate(
    design: Design,
    products: Sequence[MatrixProduct],
    *,
    seed: int = 0,
    stalls: float = 0.0,
    waves: bool = False,
    folder: Path,
    progress: Progress = SILENT,
) -> SimulationReport:
    """Run ``products`` on ``design`` and compare every value with ``pact_hw.golden``.

    Beside the products as asked for, one is reset in mid-stream and run again, and some are run again
    with random stalls on all streams. ``folder`` receives vectors, results and log; with ``waves``
    also an FST of the first failure and the pass before it (or, if all is well, of the first products),
    from a second run, and a save file for GTKWave.

    ``stalls`` is the probability that a stream pauses in a cycle; with it, only values are compared.

    Raises:
        InputError: a product does not fit the design, or a tool is missing.
        SimulationError: no result came: the build failed, or the simulator did.
    """
    spec = design.hardware
    if not products:
        raise InputError("there is no product to simulate")
    if not 0 <= stalls <= 0.9:
        raise InputError(f"stalls must be a probability from 0 to 0.9, not {stalls!r}")
    for product in products:
        product.check(spec)
    require_libpython()
    runs = plan(spec, products, seed=seed, stalls=stalls)
    program = build(design, progress=progress)
    report = _run(design, program, products, runs, folder=folder, trace=None, progress=progress)
    if not waves:
        return report
    traced = build(design, waves=True, progress=progress)
    trace = folder.absolute() / f"{design.top}.fst"
    window = _window(spec, products, runs, report)
    _run(design, traced, products, window, folder=folder / "waves", trace=trace, progress=progress)
    files = (str(trace), str(write_save_file(design, trace)))
    return SimulationReport(**{**vars(report), "files": files})


def _cycles(spec: HardwareSpec, product: MatrixProduct) -> int:
    m, k, n = product.shape
    return schedule(spec.in_mode(product.mode_bits), m=m, k=k, n=n).cycles


def plan(spec: HardwareSpec, products: Sequence[MatrixProduct], *, seed: int, stalls: float) -> list[Run]:
    """All products as asked for, then the extra scenarios on products that are small enough (or smallest)."""
    runs = [Run(product=i, scenario=PLAIN, stalls=stalls, seed=seed + i) for i in range(len(products))]
    cycles = [_cycles(spec, product) for product in products]
    small = [i for i, c in enumerate(cycles) if c <= EXTRA_CYCLES] or [cycles.index(min(cycles))]
    largest = max(small, key=lambda i: cycles[i])
    runs.append(Run(product=largest, scenario=RESET, stalls=stalls, seed=seed))
    total = 0
    for i in small:
        total += cycles[i]
        if i == small[0] or total <= EXTRA_CYCLES:
            runs.append(Run(product=i, scenario=STALLS, stalls=max(stalls, EXTRA_STALLS), seed=seed + i))
    return runs


def _window(
    spec: HardwareSpec, products: Sequence[MatrixProduct], runs: list[Run], report: SimulationReport
) -> list[Run]:
    for index, result in enumerate(report.results):
        if result.problem is not None:
            # What the pass before it left behind may be the cause.
            return runs[max(0, index - 1) : index + 1]
    window, total = runs[:1], _cycles(spec, products[runs[0].product])
    for run in runs[1:]:
        total += _cycles(spec, products[run.product])
        if total > WAVE_CYCLES:
            break
        window.append(run)
    return window


def _run(
    design: Design,
    program: Path,
    products: Sequence[MatrixProduct],
    runs: list[Run],
    *,
    folder: Path,
    trace: Path | None,
    progress: Progress,
) -> SimulationReport:
    spec = design.hardware
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    vectors, results = folder / "vectors.json", folder / "results.json"
    digest = save_vectors(vectors, spec, products, runs)
    results.unlink(missing_ok=True)
    run_bench(
        program,
        top=design.top,
        module="sim.bench.main",
        folder=folder,
        environment={
            "PACT_HW_DESIGN": str(design.manifest.absolute()),
            "PACT_HW_VECTORS": str(vectors),
            "PACT_HW_RESULTS": str(results),
        },
        arguments=[] if trace is None else ["--trace", "--trace-file", str(trace)],
        total=sum(_cycles(spec, products[run.product]) for run in runs),
        progress=progress,
    )
    log = folder / "simulation.log"
    return _report(design, _read_results(results, log, digest))


def _read_results(results: Path, log: Path, vectors_digest: str) -> dict[str, Any]:
    if not results.is_file():
        raise SimulationError(f"the bench left no results; see {log}")
    body = unseal(read_json(results), name=str(results))
    if "error" in body:
        raise SimulationError(body["error"])
    if body["vectors_digest"] != vectors_digest:
        raise SimulationError(f"{results} belongs to other vectors than those just written")
    return body


def _report(design: Design, body: dict[str, Any]) -> SimulationReport:
    return SimulationReport(
        design=design.top,
        hardware_digest=body["hardware_digest"],
        results=tuple(result_from_bench(design.hardware, members) for members in body["results"]),
        simulated_cycles=body["simulated_cycles"],
        seconds=body["seconds"],
    )
