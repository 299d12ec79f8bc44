"""What is wanted of a design, what it must not exceed, and how the space is gone through."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from pact_hw.errors import InputError

from .axes import AXES, BITS
from .checks import choice, finite, table, whole
from .model import METRICS

DIRECTIONS = ("maximise", "minimise")
NUMBERS = [*METRICS, *(axis.name for axis in AXES.values() if not axis.choices and axis.name != BITS)]
"""What objectives and limits can name: metrics, and the parameters that are numbers."""
MEANINGS = {name: axis.meaning for name, axis in AXES.items()} | {
    name: metric.meaning for name, metric in METRICS.items()
}


@dataclass(frozen=True, kw_only=True)
class Objective:
    """A column of the table, and whether more or less of it is better."""

    metric: str
    direction: str

    @property
    def sign(self) -> float:
        """Times the column, it is to be minimised."""
        return -1.0 if self.direction == "maximise" else 1.0


@dataclass(frozen=True, kw_only=True)
class Limit:
    """A design is eligible if a column is from ``least`` to ``most``."""

    metric: str
    least: float = -math.inf
    most: float = math.inf


@dataclass(frozen=True, kw_only=True)
class Method:
    """Every design (then ``points`` only guards against slips), or a search of ``points`` tries."""

    search: bool = False
    points: int = 20_000_000
    population: int = 64
    seed: int = 0


def _column(where: str, name: str) -> str:
    if name not in NUMBERS:
        raise InputError(f"{where}: {name!r} is no metric, only {', '.join(NUMBERS)}")
    return name


def objectives(given: Any) -> tuple[Objective, ...]:
    """The ``[objectives]`` table: one to four columns, each "maximise" or "minimise"."""
    goals = tuple(
        Objective(
            metric=_column("[objectives]", name),
            direction=choice(f"[objectives] {name}", direction, DIRECTIONS),
        )
        for name, direction in table("[objectives]", given, given).items()
    )
    if not 1 <= len(goals) <= 4:
        raise InputError(f"[objectives] must have 1 to 4 entries, not {len(goals)}")
    return goals


def limits(given: Any) -> tuple[Limit, ...]:
    """The ``[limits]`` table: columns with ``at_least``, ``at_most`` or both."""
    found = []
    for name, bounds in table("[limits]", given, given).items():
        where = f"[limits] {_column('[limits]', name)}"
        if not table(where, bounds, {"at_least", "at_most"}):
            raise InputError(f"{where} must have at_least, at_most or both, not neither")
        least = finite(f"{where} at_least", bounds["at_least"]) if "at_least" in bounds else -math.inf
        most = finite(f"{where} at_most", bounds["at_most"]) if "at_most" in bounds else math.inf
        if least > most:
            raise InputError(f"{where}: at_most must not be below at_least = {least:g}, not {most:g}")
        found.append(Limit(metric=name, least=least, most=most))
    return tuple(found)


def method(given: Any) -> Method:
    """The ``[method]`` table: ``kind`` is "exhaustive" or "search"."""
    table("[method]", given, {"kind", "points", "population", "seed"})
    kind = choice("[method] kind", given.get("kind", "exhaustive"), ("exhaustive", "search"))
    if kind == "exhaustive":
        for key in ("population", "seed"):
            if key in given:
                raise InputError(f'[method] {key} belongs to kind = "search", not to "exhaustive"')
        return Method(points=whole("[method] points", given.get("points", Method.points), 1, 10**9))
    return Method(
        search=True,
        points=whole("[method] points", given.get("points", 2000), 1, 50_000),
        population=whole("[method] population", given.get("population", Method.population), 4, 10_000),
        seed=whole("[method] seed", given.get("seed", Method.seed), 0, 2**32 - 1),
    )
