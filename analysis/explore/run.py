"""An exploration from its space to its table and its front, on any executor, resumable at any moment."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pact_hw.errors import InputError
from pact_hw.progress import SILENT, Progress

from ..core_runs import CORE_NETWORKS
from .core_designs import CORE, known_of_cores
from .executors import Executor
from .model import evaluate_columns
from .pareto import costs, eligible, front
from .search import Values, generations, values
from .space import Space
from .store import COLUMN, Store
from .tasks import checked, chunks

SEARCH_CHUNK = 256
SAMPLE = 3000
"""Designs, at most, that stand for all others in plots."""

Columns = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class Exploration:
    """What an exploration found; its whole table lies in the folder's ``points/``."""

    designs: int
    evaluated_now: int
    """Without those that an earlier run had left."""
    eligible: int
    front: Columns
    """The designs that no eligible one beats, in the order of the first objective."""
    sample: Columns
    """Some eligible designs, evenly spread over the table."""


def explore(space: Space, out: Path, executor: Executor, *, progress: Progress = SILENT) -> Exploration:
    """Evaluate ``space`` into ``out``/points, going on where an earlier run was stopped.

    Raises:
        InputError: an objective or a limit has no model, or ``out`` holds other results.
        ToolError: workers die again and again, or have other models.
    """
    require_models(space)
    store = Store(out, space.digest)
    with store.open():
        if space.method.search:
            evaluated = _search(space, store, executor, progress)
        else:
            evaluated = _exhaustive(space, store, executor, progress)
        return _summary(space, store, evaluated, progress)


def require_models(space: Space) -> None:
    """Check that objectives and limits can be told for every kind of design in ``space``.

    Raises:
        InputError: names the metric and the kind of design that has no model.
    """
    kinds = [
        name for name in ("chip", "library", "network", "dataflow", "mac_kind") if len(space.axes[name]) > 1
    ]
    wanted = [goal.metric for goal in space.objectives] + [limit.metric for limit in space.limits]
    for probe in _probes(space, kinds):
        parameters = space.columns(np.array([probe], np.int64))
        design = {name: values[0] for name, values in parameters.items()}
        what = f"{design['mac_kind']} {design['dataflow']} arrays with {design['network']}"
        if design["chip"] == CORE and design["network"] not in CORE_NETWORKS:
            known = set()
            what = f"{design['network']} on a core, only of {', '.join(CORE_NETWORKS)}"
        elif design["chip"] == CORE:
            known = {*parameters, *known_of_cores(str(design["library"]))}
            what = f"a core in {design['library']}"
        else:
            columns = {**parameters, **evaluate_columns(parameters)}
            known = {name for name in wanted if not np.isnan(np.float64(columns[name][0]))}
        for metric in wanted:
            if metric not in known:
                raise InputError(f"{metric}: there is no model of it for {what}")


def _probes(space: Space, kinds: Sequence[str]) -> Iterator[int]:
    """One design for each combination of values on the axes ``kinds``."""
    for places in np.ndindex(*(len(space.axes[name]) for name in kinds)):
        at = dict(zip(kinds, places, strict=True))
        yield int(np.ravel_multi_index([at.get(name, 0) for name in space.axes], space.shape))


def _exhaustive(space: Space, store: Store, executor: Executor, progress: Progress) -> int:
    done = store.keys()
    missing = [task for task in chunks(space, range(space.size)) if task.key not in done]
    total = sum(len(task.points) for task in missing)
    with progress.task(_description(space.size, total), total=total) as advance:
        for task, result in executor.run(missing):
            store.write(task.key, checked(result))
            advance(len(task.points))
    return total


def _search(space: Space, store: Store, executor: Executor, progress: Progress) -> int:
    known: Values = {}
    for key in sorted(store.keys()):
        known |= values(space, store.read(key))
    before = len(known)

    def look_up(points: Sequence[int]) -> Values:
        new = sorted(set(points) - known.keys())
        for task, result in executor.run(chunks(space, new, SEARCH_CHUNK)):
            columns = checked(result)
            store.write(task.key, columns)
            known.update(values(space, columns))
        return known

    with progress.task(f"searching {space.size:,} designs", total=space.method.points) as advance:
        for tries in generations(space, look_up):
            advance(tries)
    return len(known) - before


def _description(size: int, missing: int) -> str:
    return f"evaluating {missing:,} designs" + (f" ({size - missing:,} are there)" if missing < size else "")


def _summary(space: Space, store: Store, evaluated: int, progress: Progress) -> Exploration:
    """Front and sample of the table, one file in memory at a time."""
    keys = sorted(store.keys())
    best: Columns = {}
    sample: list[Columns] = []
    designs = kept = 0
    share = math.ceil(SAMPLE / max(1, len(keys)))
    with progress.task("Pareto front", total=len(keys)) as advance:
        for key in keys:
            columns = store.read(key)
            designs += len(columns[COLUMN])
            columns = _rows(columns, np.flatnonzero(eligible(space, columns)))
            count = len(columns[COLUMN])
            kept += count
            best = _rows(both := _joined([best, columns]), front(costs(space, both)))
            sample.append(_rows(columns, np.arange(0, count, math.ceil(count / share) or 1)))
            advance(1)
    return Exploration(
        designs=designs, evaluated_now=evaluated, eligible=kept, front=best, sample=_joined(sample)
    )


def _rows(columns: Columns, rows: npt.NDArray[np.int64]) -> Columns:
    return {name: values[rows] for name, values in columns.items()}


def _joined(parts: Sequence[Columns]) -> Columns:
    """``parts`` one below the other; empty ones have no columns to add."""
    parts = [part for part in parts if part]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
