"""Pareto fronts: the designs that no other design beats in everything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..system import Floats
from .space import Space

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

BLOCK = 512
PIVOTS = 32


def eligible(space: Space, columns: Mapping[str, npt.NDArray[Any]]) -> Bools:
    """Which designs keep every limit, and have every objective, shape (designs,)."""
    kept: Bools = np.logical_not(np.isnan(costs(space, columns)).any(axis=1))
    for limit in space.limits:
        value = columns[limit.metric]
        kept &= (value >= limit.least) & (value <= limit.most)
    return kept


def costs(space: Space, columns: Mapping[str, npt.NDArray[Any]]) -> Floats:
    """The objectives, all to be minimised, shape (designs, objectives)."""
    return np.stack(
        [goal.sign * columns[goal.metric].astype(np.float64) for goal in space.objectives], axis=1
    )


def front(cost: Floats) -> Ints:
    """Which rows no other row dominates; of equal rows only the first. In the order of the first cost.

    A row dominates another if it is nowhere larger and somewhere smaller.
    """
    order: Ints = np.lexsort((np.arange(len(cost)), *cost.T[::-1]))  # ties go to the first row
    if cost.shape[1] <= 2:
        return _front_of_two(cost, order)
    order = order[~_beaten_by_the_balanced(cost[order])]
    kept = np.empty((0, cost.shape[1]))
    found: list[Ints] = []
    for start in range(0, len(order), BLOCK):
        # In lexicographic order a row is only ever dominated by an earlier one.
        block = order[start : start + BLOCK]
        block = block[~_covered(cost[block], kept)]
        rows = cost[block]
        block = block[~np.tril(_at_most(rows, rows), -1).any(axis=1)]
        found.append(block)
        kept = np.concatenate([kept, cost[block]])
    return np.concatenate(found) if found else order


def _front_of_two(cost: Floats, order: Ints) -> Ints:
    last = cost[order, -1]
    best_before = np.concatenate([[np.inf], np.minimum.accumulate(last)[:-1]])
    is_best = last < best_before
    if len(order):
        is_best[0] = True  # also where every cost is infinite
    best: Ints = order[:1] if cost.shape[1] == 1 else order[is_best]
    return best


def _at_most(low: Floats, high: Floats) -> Bools:
    """Whether row j of ``low`` is nowhere larger than row i of ``high``, shape (high rows, low rows)."""
    below: Bools = np.ones((len(high), len(low)), np.bool_)
    for one, other in zip(low.T, high.T, strict=True):  # column by column: numpy is slow along short axes
        below &= one[None, :] <= other[:, None]
    return below


def _beaten_by_the_balanced(cost: Floats) -> Bools:
    """Which rows are dominated by one of the few that are best in the sum of ranks: most rows, cheaply."""
    ranks = np.argsort(np.argsort(cost, axis=0), axis=0).sum(axis=1)
    pivots = cost[np.argsort(ranks, kind="stable")[:PIVOTS]]
    smaller: Bools = np.zeros((len(cost), len(pivots)), np.bool_)
    for one, other in zip(pivots.T, cost.T, strict=True):
        smaller |= one[None, :] < other[:, None]
    beaten = np.flatnonzero((_at_most(pivots, cost) & smaller).any(axis=1))
    return np.isin(np.arange(len(cost)), beaten)


def _covered(rows: Floats, by: Floats) -> Bools:
    """Which rows are equal to or dominated by some row of ``by``."""
    covered = np.zeros(len(rows), np.bool_)
    for start in range(0, len(by), BLOCK):
        open_rows = np.flatnonzero(~covered)
        covered[open_rows] = _at_most(by[start : start + BLOCK], rows[open_rows]).any(axis=1)
    return covered


def hypervolume(cost: Floats, reference: Floats) -> float:
    """Area that the rows of ``cost`` (rows, 2) dominate, up to ``reference`` (2,)."""
    inside = cost[(cost < reference).all(axis=1)]
    best = inside[front(inside)]
    heights = np.concatenate([[reference[1]], best[:-1, 1]]) - best[:, 1]
    return float((heights * (reference[0] - best[:, 0])).sum())
