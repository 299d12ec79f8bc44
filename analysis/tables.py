"""Rows of results: read from and written to CSV, and made fit for JSON."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

from pact_hw.files import write_text

Value = str | int | float | None
Row = Mapping[str, Value]


def packaged_text(name: str) -> list[dict[str, str]]:
    """The rows of ``analysis/data/NAME``; lines that begin with ``#`` say where the numbers come from."""
    lines = (resources.files("analysis") / "data" / name).read_text(encoding="utf-8").splitlines()
    return list(csv.DictReader(line for line in lines if not line.startswith("#")))


def packaged(name: str) -> list[dict[str, float]]:
    """The same where every column is a number."""
    return [{column: float(text) for column, text in row.items()} for row in packaged_text(name)]


def finite(value: float) -> float | None:
    """``value``, or None where it is infinite (unlimited): JSON has no infinity."""
    return value if math.isfinite(value) else None


def write_csv(path: Path, rows: Sequence[Row]) -> None:
    """Write ``rows`` with the first one's columns; None becomes an empty field."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {name: f"{value:.6g}" if isinstance(value, float) else value for name, value in row.items()}
        for row in rows
    )
    write_text(path, text.getvalue())
