"""A save file that opens a waveform with the top's ports, grouped by stream."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from pact_hw.design import Design, Port
from pact_hw.files import write_text

_HEXADECIMAL = "@22"
_BINARY = "@28"
_GROUP_BEGIN = "@800200"
_GROUP_END = "@1000200"


def _stream(port: Port) -> str:
    return port.name.split("_")[0] if "_" in port.name else "clock and reset"


def _lines(top: str, port: Port) -> list[str]:
    span = f"[{port.width - 1}:0]" if port.width > 1 else ""
    return [_HEXADECIMAL if span else _BINARY, f"{top}.{port.name}{span}"]


def write_save_file(design: Design, trace: Path) -> Path:
    """``NAME.gtkw`` beside ``trace``, for GTKWave (which also names its format's codes)."""
    lines = [f'[dumpfile] "{trace.name}"']
    for stream, ports in groupby(design.ports, key=_stream):
        lines += [_GROUP_BEGIN, f"-{stream}"]
        for port in ports:
            lines += _lines(design.top, port)
        lines += [_GROUP_END, f"-{stream}"]
    path = trace.with_suffix(".gtkw")
    write_text(path, "\n".join(lines) + "\n")
    return path
