"""cocotb in a simulator program that is already built."""

from __future__ import annotations

import contextlib
import enum
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import cocotb_tools.config
import cocotb_tools.runner
import find_libpython

from pact_hw.errors import InputError
from pact_hw.progress import SILENT, Advance, Progress
from pact_hw.tools import icarus

from .errors import SimulationError

PROGRESS = "PACT_HW_PROGRESS"
"""Environment variable with the path of the file in which the bench tells how far it is."""
SILENCE_SECONDS = 300
"""A simulator that tells no progress for so long is ended."""
RANDOM_START = ("+verilator+rand+reset+2", "+verilator+seed+1")
"""Registers without a reset start with random values, as in silicon."""


class Kind(enum.Enum):
    """Which simulator runs a program."""

    VERILATOR = "verilator"
    """Compiled, two values; registers start at random."""
    ICARUS = "icarus"
    """Interpreted, four values; registers start unknown. For small designs, as a second opinion."""


def _command(kind: Kind, program: Path) -> list[str]:
    if kind is Kind.VERILATOR:
        return [str(program), *RANDOM_START]
    library = cocotb_tools.config.lib_name_path("vpi", "icarus")
    return [str(icarus().path.parent / "vvp"), "-m", str(library), str(program), "-none"]


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


def run_bench(
    program: Path,
    *,
    top: str,
    module: str,
    folder: Path,
    environment: Mapping[str, str],
    kind: Kind = Kind.VERILATOR,
    arguments: Sequence[str] = (),
    total: int | None = None,
    progress: Progress = SILENT,
) -> None:
    """Run the cocotb tests of Python ``module`` on the ``top`` of ``program``; its log goes to ``folder``.

    ``total`` is how far the number goes that the bench writes into the file ``PROGRESS``.

    Raises:
        SimulationError: the simulator failed, was silent for too long, or a test failed.
    """
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    told, log = folder / ".progress", folder / "simulation.log"
    with progress.task(f"simulating {top}", total=total) as advance:
        command = [*_command(kind, program), *arguments]
        simulator = _Simulator(command, told, advance)
        try:
            simulator.test(
                test_module=module,
                hdl_toplevel=top,
                hdl_toplevel_lang="verilog",
                build_dir=program.parent,
                test_dir=folder,
                results_xml=str(folder / "results.xml"),
                log_file=log,
                extra_env={**environment, PROGRESS: str(told)},
            )
        except SystemExit:  # how cocotb's runner says, under pytest, that the test failed
            raise SimulationError(f"the bench failed; see {log}") from None
        finally:
            told.unlink(missing_ok=True)


class _Simulator(cocotb_tools.runner.Verilator):
    """cocotb's runner for a program that is already built; silent, and with an end to its patience."""

    def __init__(self, command: list[str], progress_file: Path, advance: Advance) -> None:
        super().__init__()
        self._command = command
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
