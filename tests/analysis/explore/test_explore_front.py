"""Fronts against the definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from analysis.explore.pareto import front, hypervolume


def by_definition(cost):
    """Rows that no row dominates, and of equal rows the first."""
    best = []
    for i, row in enumerate(cost):
        dominated = any((other <= row).all() and (other < row).any() for other in cost)
        if not dominated and not any((cost[j] == row).all() for j in range(i)):
            best.append(i)
    return sorted(best)


costs = st.integers(1, 4).flatmap(
    lambda goals: arrays(
        np.float64,
        st.tuples(st.integers(0, 40), st.just(goals)),
        elements=st.sampled_from([0, 1, 2, 3, np.inf]),
    )
)


@given(cost=costs)
def test_small_tables_against_the_definition(cost):
    assert sorted(front(cost).tolist()) == by_definition(cost)


@pytest.mark.parametrize("goals", [2, 3, 4])
def test_larger_than_a_block(goals):
    cost = np.random.default_rng(goals).integers(0, 60, (3000, goals)).astype(float)
    found = front(cost)
    assert sorted(found.tolist()) == by_definition(cost)
    assert (np.diff(cost[found, 0]) >= 0).all()


def test_front_of_fronts_is_the_front():
    cost = np.random.default_rng(0).random((5000, 3))
    parts = [front(cost[:2000]), 2000 + front(cost[2000:])]
    both = np.concatenate(parts)
    assert sorted(both[front(cost[both])].tolist()) == sorted(front(cost).tolist())


def test_hypervolume_by_hand():
    cost = np.array([[1.0, 3.0], [2.0, 1.0], [2.0, 2.0], [9.0, 9.0]])
    assert hypervolume(cost, np.array([4.0, 4.0])) == (4 - 1) * (4 - 3) + (4 - 2) * (3 - 1)
