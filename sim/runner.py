"""The host side: plan the passes, build, run the simulator, read what it found."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cocotb_tools.runner
import find_libpython

from pact_hw.design import Design
from pact_hw.errors import InputError
from pact_hw.files import read_json
from pact_hw.progress import SILENT, Advance, Progress
from pact_hw.spec import HardwareSpec, schedule, unseal

from .build import build
from .errors import SimulationError
from .products import MatrixProduct
from .report import Mismatch, ProductResult, SimulationReport, result_from_bench
from .vectors import PLAIN, RESET, STALLS, Run, save_vectors
from .waves import write_save_file

__all__ = ["Mismatch", "ProductResult", "SimulationError", "SimulationReport", "simulate"]

SILENCE_SECONDS = 300
"""A simulator that tells no progress for so long is ended."""
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


def require_libpython() -> None:
    """Check for Python's shared library, which the simulator loads.

    Raises:
        InputError: there is none, with how to install it.
    """
    if find_libpython.find_libpython() is None:
        raise InputError(
            "missing: Python's shared library. Debian: apt install libpython3-dev. Fedora: dnf install "
            "python3-libs. pyenv: PYTHON_CONFIGURE_OPTS=--enable-shared pyenv install VERSION."
        )


def _cycles(spec: HardwareSpec, product: MatrixProduct) -> int:
    m, k, n = product.shape
    return schedule(spec, m=m, k=k, n=n).cycles


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


class _Simulator(cocotb_tools.runner.Verilator):
    """cocotb's runner for a program that is already built; silent, and with an end to its patience."""

    def __init__(self, program: Path, arguments: list[str], progress_file: Path, advance: Advance) -> None:
        super().__init__()
        self._command = [str(program), *arguments]
        self._progress_file = progress_file
        self._advance = advance

    def _test_command(self) -> list[list[str]]:
        return [self._command]

    def _execute(self, cmds: Sequence[list[str]], cwd: os.PathLike[str] | str) -> None:
        with Path(str(self.log_file)).open("wb") as log:
            process = subprocess.Popen(cmds[0], cwd=cwd, env=self.env, stdout=log, stderr=subprocess.STDOUT)
            try:
                self._watch(process)
            finally:
                process.kill()
                process.wait()
        if process.returncode:
            raise SimulationError(
                f"the simulator ended with status {process.returncode}; see {self.log_file}"
            )

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        known, silence, patience = 0, 0.0, 0.05
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=patience)
                return
            silence += patience
            patience = min(2 * patience, 0.5)
            with contextlib.suppress(OSError, ValueError):
                cycles = int(self._progress_file.read_text(encoding="ascii"))
                if cycles != known:
                    self._advance(cycles - known)
                    known, silence = cycles, 0.0
            if silence > SILENCE_SECONDS:
                raise SimulationError(
                    f"the simulator made no progress for {SILENCE_SECONDS} s; see {self.log_file}"
                )


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
    told, log = folder / ".progress", folder / "simulation.log"
    digest = save_vectors(vectors, spec, products, runs)
    results.unlink(missing_ok=True)
    total = sum(_cycles(spec, products[run.product]) for run in runs)
    # Registers without a reset start with random values, as in silicon.
    arguments = ["+verilator+rand+reset+2", "+verilator+seed+1"]
    if trace is not None:
        arguments += ["--trace", "--trace-file", str(trace)]
    with progress.task(f"simulating {design.top}", total=total) as advance:
        simulator = _Simulator(program, arguments, told, advance)
        try:
            simulator.test(
                test_module="sim.bench.main",
                hdl_toplevel=design.top,
                hdl_toplevel_lang="verilog",
                build_dir=program.parent,
                test_dir=folder,
                results_xml=str(folder / "results.xml"),
                log_file=log,
                extra_env={
                    "PACT_HW_DESIGN": str(design.manifest.absolute()),
                    "PACT_HW_VECTORS": str(vectors),
                    "PACT_HW_RESULTS": str(results),
                    "PACT_HW_PROGRESS": str(told),
                },
            )
        except SystemExit:  # how cocotb's runner says, under pytest, that the test failed
            raise SimulationError(f"the bench failed; see {log}") from None
        finally:
            told.unlink(missing_ok=True)
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
