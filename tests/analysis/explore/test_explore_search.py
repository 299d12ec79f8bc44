"""The search: good, repeatable, and resumed by going the same way again."""

import os
import signal
import time

import explored
import numpy as np
import pytest

from analysis.explore.executors import Here
from analysis.explore.pareto import costs, hypervolume
from analysis.explore.run import explore
from analysis.explore.space import Space

pytest.importorskip("pyarrow", reason="pip install 'pact-hw[explore]'")
pytest.importorskip("optuna", reason="pip install 'pact-hw[explore]'")

SEARCH = '\n[method]\nkind = "search"\npoints = 800\npopulation = 64\nseed = 3\n'
TWO_GOALS = explored.LARGE.replace('bandwidth_gb_per_s = "minimise"', "")


@pytest.fixture
def space(tmp_path):
    def write(text):
        (tmp_path / "space.toml").write_text(text)
        return Space.load(tmp_path / "space.toml")

    return write


def logarithmic(space, columns):
    """Costs on logarithmic axes: a factor counts the same everywhere."""
    return np.sign(cost := costs(space, columns)) * np.log(np.abs(cost))


def test_a_search_comes_near_the_front(space, tmp_path):
    """With 1 % of the designs: 98 % of the front's hypervolume, and nearer than random designs."""
    everything = space(TWO_GOALS)
    all_designs = explore(everything, tmp_path / "all", Here())
    searched = space(TWO_GOALS + SEARCH.replace("800", "1000"))
    found = explore(searched, tmp_path / "searched", Here())
    assert found.designs <= 1000
    cost = logarithmic(everything, explored.table(tmp_path / "all"))
    reference = cost.max(axis=0)
    best = hypervolume(cost[all_designs.front["point"]], reference)
    missed = 1 - hypervolume(logarithmic(searched, found.front), reference) / best
    assert 0 <= missed < 0.02
    rng = np.random.default_rng(0)
    draws = [rng.choice(len(cost), found.designs, replace=False) for _ in range(9)]
    by_chance = [1 - hypervolume(cost[draw], reference) / best for draw in draws]
    assert missed < 0.5 * np.median(by_chance)


def test_the_same_seed_is_the_same_table(space, tmp_path):
    short = SEARCH.replace("800", "120")
    for name in ("one", "two"):
        explore(space(explored.LARGE + short), tmp_path / name, Here())
    one, two = explored.table(tmp_path / "one"), explored.table(tmp_path / "two")
    assert explored.same(one, two)
    explore(space(explored.LARGE + short.replace("seed = 3", "seed = 4")), tmp_path / "other", Here())
    assert not explored.same(one, explored.table(tmp_path / "other"))
    assert len(set(one["point"])) == len(one["point"])


def test_limits_steer_the_search(space, tmp_path):
    limits = "\n[limits]\narea_ge = {at_most = 1e5}\n"
    free = explore(space(explored.LARGE + SEARCH), tmp_path / "free", Here())
    bound = explore(space(explored.LARGE + limits + SEARCH), tmp_path / "bound", Here())
    assert bound.front["area_ge"].max() <= 1e5
    assert bound.eligible > 2 * (free.sample["area_ge"] <= 1e5).sum()


def test_killed_in_the_middle_and_run_again(space, tmp_path):
    space(explored.LARGE + SEARCH)
    run = explored.start(tmp_path / "space.toml", "--out", tmp_path / "out", "--workers", 1)
    while len(explored.chunks_written(tmp_path / "out")) < 4:
        assert run.poll() is None, run.communicate()[0]
        time.sleep(0.01)
    os.kill(run.pid, signal.SIGKILL)
    run.communicate()
    left = len(explored.table(tmp_path / "out")["point"])
    again = explore(space(explored.LARGE + SEARCH), tmp_path / "out", Here())
    assert again.evaluated_now == again.designs - left
    explore(space(explored.LARGE + SEARCH), tmp_path / "whole", Here())
    assert left < again.designs
    assert explored.same(explored.table(tmp_path / "out"), explored.table(tmp_path / "whole"))
