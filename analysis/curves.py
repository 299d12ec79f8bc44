"""A training's log, drawn."""

from __future__ import annotations

import json
import math
from pathlib import Path

from pact_hw.errors import InputError
from pact_hw.files import read

from .plots.style import Rows, save, style
from .plots.training import training

LOG = "metrics.jsonl"


def read_log(path: Path) -> Rows:
    """The lines of a training's log; a last one that a kill cut short is left out.

    Raises:
        InputError: the file is missing, or is no such log.
    """

    def load() -> Rows:
        text = path.read_text(encoding="utf-8")
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]

    rows = read(path, load)
    if not rows or not all(map(_is_line, rows)) or len({tuple(row["alpha"]) for row in rows}) != 1:
        raise InputError(f"{path}: is no training's log: lines with step, loss and alpha are expected")
    return rows


def _is_line(row: object) -> bool:
    if not isinstance(row, dict) or not isinstance(row.get("alpha"), dict):
        return False
    numbers = (row.get("step"), row.get("loss"), *row["alpha"].values())
    return all(isinstance(number, int | float) and math.isfinite(number) for number in numbers)


def draw_curves(folder: Path, out: Path) -> list[Path]:
    """Draw loss and clips of the training in ``folder`` to ``training.png`` and ``training.svg`` in ``out``.

    Raises:
        InputError: ``folder`` holds no training's log.
    """
    rows = read_log(folder / LOG)
    with style():
        return save(training(rows), out, "training")
