"""A chunk of work: designs by number, evaluated anywhere, the same everywhere."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pact_hw.errors import ToolError

from .core_designs import CORE
from .model import evaluate_columns, model_digest
from .space import Space
from .store import COLUMN

CHUNK = 8192
"""Designs in one file of results: about a second of work, and a megabyte."""
CORE_CHUNK = 8
"""The same where cores are compiled: a network takes from a tenth of a second to ten."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """The designs ``points`` of ``space``."""

    space: Space
    points: range | tuple[int, ...]

    @property
    def numbers(self) -> npt.NDArray[np.int64]:
        """The designs' numbers as an array."""
        return np.array(self.points, np.int64)

    @property
    def key(self) -> str:
        """First designs' number, and a digest of the space, the models and all numbers."""
        content = hashlib.sha256(self.space.digest.encode())
        content.update(self.numbers.astype("<i8").tobytes())
        return f"{self.points[0]:012}-{content.hexdigest()[:24]}"


def chunks(space: Space, points: Sequence[int] | range, size: int = CHUNK) -> Iterator[Task]:
    """``points`` in tasks of at most ``size``, or ``CORE_CHUNK`` where there are cores among them."""
    if CORE in space.axes["chip"]:
        size = min(size, CORE_CHUNK)
    for start in range(0, len(points), size):
        part = points[start : start + size]
        yield Task(space=space, points=part if isinstance(part, range) else tuple(part))


Result = tuple[str, dict[str, npt.NDArray[Any]]]


def work(task: Task) -> Result:
    """The models' digest where this ran, and the columns of the task's designs."""
    parameters = task.space.columns(task.numbers)
    return model_digest(), {COLUMN: task.numbers, **parameters, **evaluate_columns(parameters)}


def checked(result: Result) -> dict[str, npt.NDArray[Any]]:
    """The result's columns.

    Raises:
        ToolError: it was computed by other models than ours.
    """
    digest, columns = result
    if digest != model_digest():
        raise ToolError(
            f"a worker has other models (digest {digest[:12]}, here {model_digest()[:12]}): "
            "install the same pact-hw on every machine of the cluster"
        )
    return columns
