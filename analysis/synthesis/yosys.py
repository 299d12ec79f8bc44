"""Yosys in a child process that cannot outlive us.

An error in a pass ends the process that Yosys runs in, and abc has been seen to run for minutes: so it
runs in a session of its own, which is killed whole, abc included, when the time is up or we are
interrupted.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from pact_hw.errors import InputError
from pact_hw.tools import system_yosys

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
    child = subprocess.Popen(
        arguments,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    )
    try:
        log, _ = child.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        raise InputError(f"Yosys did not finish within {timeout:g} s; allow more time") from None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        if child.stdout:
            child.stdout.close()
    if child.returncode:
        error = re.search(r"^(?:ERROR: |.*: error: )(.*)$", log, re.MULTILINE)
        last = log.strip().splitlines()[-1] if log.strip() else ""
        raise InputError(f"Yosys stopped with status {child.returncode}: {error[1] if error else last}")
    return log, version
