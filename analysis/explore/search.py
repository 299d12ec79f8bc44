"""Multi-objective search of a space that is too large to go through: NSGA-II, by Optuna.

The course of a search follows from its seed and from the designs' values alone. So a killed search is
resumed by going the same way again, with the values that are already in the table.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..system import Floats
from .axes import AXES
from .extras import extra
from .pareto import costs
from .space import Space

Values = dict[int, tuple[float, ...]]
"""By design number: its costs, then by how much it breaks each limit (0 or less: it does not)."""


def values(space: Space, columns: Mapping[str, Any]) -> Values:
    """What the search needs to know of the designs in ``columns``."""
    broken = [_broken(columns[limit.metric], limit.least, limit.most) for limit in space.limits]
    table = np.column_stack([costs(space, columns), *broken])
    table = np.where(np.isnan(table), np.inf, table)  # a core that there cannot be is the worst
    return {int(point): tuple(row) for point, row in zip(columns["point"], table.tolist(), strict=True)}


def _broken(column: Any, least: float, most: float) -> Floats:
    """How far outside its limits each value is, relative to the limit."""
    size = max(abs(bound) for bound in (least, most) if np.isfinite(bound)) or 1.0
    outside: Floats = np.maximum(least - column, column - most) / size
    return outside


def generations(space: Space, known: Callable[[Sequence[int]], Values]) -> Iterator[int]:
    """Go through the search; yields how many tries a generation had.

    Args:
        space: the space; its method says how many tries, the population and the seed.
        known: gives the values of designs (evaluating what is not in the table yet).
    """
    optuna = extra("optuna")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    method, goals = space.method, len(space.objectives)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        # Children near their parents: with uniform crossover the search stays twice as far from the front.
        crossover = optuna.samplers.nsgaii.SBXCrossover()
    sampler = optuna.samplers.NSGAIISampler(
        population_size=method.population, seed=method.seed, crossover=crossover
    )
    study = optuna.create_study(directions=["minimize"] * goals, sampler=sampler)
    distributions = {
        name: optuna.distributions.CategoricalDistribution(tuple(range(len(space.axes[name]))))
        if AXES[name].choices
        else optuna.distributions.IntDistribution(0, len(space.axes[name]) - 1)
        for name in space.varied
    }
    for start in range(0, method.points, method.population):
        trials = [study.ask(distributions) for _ in range(min(method.population, method.points - start))]
        points = [_point(space, trial.params) for trial in trials]
        found = known(points)
        for trial, point in zip(trials, points, strict=True):
            for limit, excess in zip(space.limits, found[point][goals:], strict=True):
                trial.set_constraint(limit.metric, excess)
            study.tell(trial, found[point][:goals])
        yield len(trials)


def _point(space: Space, places: Mapping[str, int]) -> int:
    """The number of the design at these places on the varied axes (0 on the others)."""
    return int(np.ravel_multi_index([places.get(name, 0) for name in space.axes], space.shape))
