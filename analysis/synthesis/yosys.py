"""Yosys in a child process."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys
from pathlib import Path

from pact_hw.errors import InputError
from pact_hw.tools import system_yosys

from . import child

_PYOSYS = "import sys; from pyosys import libyosys; libyosys.run_pass('script ' + sys.argv[1])"


def command(script: str) -> tuple[list[str], str]:
    """The command that runs ``script`` and the version of its Yosys.

    Raises:
        InputError: there is no Yosys, or the one that ``PACT_HW_YOSYS`` names is unusable.
    """
    tool = system_yosys()
    if tool is not None:
        return [str(tool.path), "-s", script], tool.version
    if importlib.util.find_spec("pyosys") is None:
        raise InputError("Yosys is missing: pip install pyosys, or set PACT_HW_YOSYS to a yosys program")
    return [sys.executable, "-c", _PYOSYS, script], importlib.metadata.version("pyosys")


def run(script: str, *, folder: Path, timeout: float) -> tuple[str, str]:
    """Run ``script`` in ``folder``; its log and Yosys' version.

    Raises:
        InputError: Yosys refused (with its own first error), or took more than ``timeout`` seconds.
    """
    arguments, version = command(script)
    return child.run("Yosys", arguments, folder=folder, timeout=timeout), version
