"""The C++ compiler, Verilator's run-time library compiled once, and the cache that keeps the results.

The cache is ``PACT_HW_CACHE``, or ``pact-hw`` under ``XDG_CACHE_HOME`` or ``~/.cache``; it may be
deleted at any time.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pact_hw.spec import digest
from pact_hw.tools import Tool, cxx, require_build_programs

from .errors import SimulationError

BUILD_SECONDS = 1800
_SHIM = Path(__file__).parent / "shim"


def cache_folder() -> Path:
    """Where objects and programs are kept."""
    named = os.environ.get("PACT_HW_CACHE")
    if named:
        return Path(named).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "pact-hw"


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder that becomes ``folder`` when the block ends well; the first process wins."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".building-"))
    try:
        yield temporary
        if not folder.exists():
            try:
                temporary.rename(folder)
            except OSError:
                if not folder.exists():
                    raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def keep_newest(folder: Path, count: int) -> None:
    """Remove all but the ``count`` things in ``folder`` that were made or used last."""
    made = []
    for path in folder.iterdir():
        with suppress(FileNotFoundError):  # another process does the same
            made.append((path.stat().st_mtime, path))
    for _, path in sorted(made, reverse=True)[count:]:
        shutil.rmtree(path, ignore_errors=True)


def call(command: Sequence[str], cwd: Path | None = None, environment: dict[str, str] | None = None) -> str:
    """Standard output of a command that must succeed.

    Raises:
        SimulationError: it fails (the line is its first error), or takes longer than ``BUILD_SECONDS``.
    """
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env={**os.environ, **(environment or {})},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=BUILD_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise SimulationError(f"{Path(command[0]).name} did not end within {BUILD_SECONDS} s") from None
    if done.returncode:
        lines = [line for line in (done.stderr + done.stdout).splitlines() if "rror" in line]
        reason = (lines or [f"exit status {done.returncode}"])[0]
        raise SimulationError(f"{Path(command[0]).name}: {reason.strip()}")
    return done.stdout


@dataclass(frozen=True, kw_only=True)
class Compiler:
    """The C++ compiler (``CXX``, or ``c++``) with what Verilator's code needs."""

    command: tuple[str, ...]
    key: str
    """Digest of what every object depends on, apart from its source."""
    include: Path
    """Verilator's own headers and sources."""

    def compile(self, source: Path, target: Path, *, optimise: str, waves: bool = False) -> None:
        """One source to one object; the working directory is the source's."""
        defines = {"VERILATOR": 1, "VM_COVERAGE": 0, "VM_SC": 0, "VM_TIMING": 0, "VM_TRACE_VCD": 0}
        defines |= {"VM_TRACE": int(waves), "VM_TRACE_FST": int(waves), "VM_TRACE_SAIF": 0}
        includes = (Path("."), _SHIM, self.include, self.include / "vltstd")
        # -w: warnings about generated code are nobody's to act on.
        flags = ["-std=c++17", "-w", "-pthread", optimise]
        flags += [f"-D{name}={value}" for name, value in defines.items()] + [f"-I{path}" for path in includes]
        call([*self.command, *flags, "-c", str(source), "-o", str(target)], source.parent)

    def runtime(self, *, waves: bool) -> list[Path]:
        """Objects of Verilator's run-time library, compiled on first use."""
        names = ["verilated", "verilated_threads", "verilated_vpi"] + ["verilated_fst_c"] * waves
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return list(pool.map(self._runtime_object, names))

    def _runtime_object(self, name: str) -> Path:
        folder = cache_folder() / "runtime" / self.key / name
        if not folder.exists():
            with whole_folder(folder) as temporary:
                self.compile(self.include / f"{name}.cpp", temporary / "object.o", optimise="-O2")
        return folder / "object.o"


def compiler_for(tool: Tool) -> Compiler:
    """The compiler for the code of this Verilator.

    Raises:
        InputError: there is no compiler, or no perl, with how to install them.
    """
    require_build_programs()
    command = tuple(cxx())
    root = tool.environment.get("VERILATOR_ROOT") or call([str(tool.path), "--getenv", "VERILATOR_ROOT"])
    recipe = Path(__file__).read_text(encoding="utf-8")
    return Compiler(
        command=command,
        key=digest([recipe, tool.version, root, call([*command, "--version"])])[:32],
        include=Path(root.strip()) / "include",
    )
