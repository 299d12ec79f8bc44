"""Foreign programs as children that cannot outlive us.

An error in one of Yosys' passes ends the process that it runs in, and abc has been seen to run for minutes:
so each program runs in a session of its own, which is killed whole, its own children included, when the time
is up or we are interrupted or terminated.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType

from pact_hw.errors import InputError

_ERROR = re.compile(r"^(?:ERROR: |.*: error: )(.*)$", re.MULTILINE)


def run(name: str, arguments: Sequence[str], *, folder: Path, timeout: float) -> str:
    """What the program ``name``, started with ``arguments`` in ``folder``, printed.

    Raises:
        InputError: it refused (with its own first error), or took more than ``timeout`` seconds.
    """
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
        with _killed_with_us(child):
            log, _ = child.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        raise InputError(f"{name} did not finish within {timeout:g} s; allow more time") from None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        if child.stdout:
            child.stdout.close()
    if child.returncode:
        error = _ERROR.search(log)
        last = log.strip().splitlines()[-1] if log.strip() else ""
        raise InputError(f"{name} stopped with status {child.returncode}: {error[1] if error else last}")
    return log


@contextlib.contextmanager
def _killed_with_us(child: subprocess.Popen[str]) -> Iterator[None]:
    """While the block runs, SIGTERM to us kills ``child`` first; of threads only the main one can tell."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def kill(number: int, _frame: FrameType | None) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    before = signal.signal(signal.SIGTERM, kill)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
