import json
import random

import pytest

from sim import sweep


def test_the_sweep_covers_what_must_hold():
    specs = sweep.points()
    assert len({spec.digest for spec in specs}) == len(specs) == 8 * 8 * 2 * 2 * 3
    assert {spec.act.bits for spec in specs} == {spec.weight.bits for spec in specs} == set(sweep.BITS)


SAMPLE = random.Random(7).sample(sweep.points(), 5)  # noqa: S311 - a choice of test cases


@pytest.mark.parametrize("spec", SAMPLE, ids=lambda spec: spec.digest[:8])
def test_a_sample_of_the_sweep_is_exact(spec):
    entry = sweep.run_point(spec)
    assert entry["problems"] == []
    assert entry["passed"]
    assert entry["values_compared"] > 0


def _entry(spec, *, passed=True):
    problems = [] if passed else ["wrong"]
    return {
        "hardware": spec.to_json(), "wall_seconds": 0, "passed": passed, "values_compared": 3,
        "mismatches": 0, "cycles": 1, "predicted_cycles": 1, "problems": problems,
    }  # fmt: skip


class _Inline:
    """In place of the process pool."""

    def __init__(self, *_arguments, **_options):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        pass

    def shutdown(self, **_options):
        pass

    def submit(self, function, spec):
        from concurrent.futures import Future

        future = Future()
        future.set_result(function(spec))
        return future


@pytest.fixture
def ran(monkeypatch):
    """Replaces the simulation; lists the specs that were run."""
    specs = []

    def run_point(spec):
        specs.append(spec)
        return _entry(spec, passed=spec.act.bits != 16)

    monkeypatch.setattr(sweep, "ProcessPoolExecutor", _Inline)
    monkeypatch.setattr(sweep, "run_point", run_point)
    return specs


def test_a_sweep_goes_on_where_it_was(ran, tmp_path):
    specs, results = sweep.points()[:10], tmp_path / "results.jsonl"
    assert len(list(sweep.sweep(specs[:6], results))) == 6
    with results.open("a") as file:
        file.write('{"digest": "cut sho')
    assert len(list(sweep.sweep(specs, results))) == 10
    assert ran == specs


def test_changed_sources_start_the_sweep_anew(ran, tmp_path, monkeypatch):
    specs, results = sweep.points()[:2], tmp_path / "results.jsonl"
    list(sweep.sweep(specs, results))
    monkeypatch.setattr(sweep, "code_digest", lambda: "other")
    list(sweep.sweep(specs, results))
    assert ran == specs * 2


def test_a_failure_is_reported_and_run_again(ran, tmp_path, capsys):
    arguments = ["--out", str(tmp_path), "--json"]
    for _ in range(2):
        assert sweep.main(arguments) == 1
        output = capsys.readouterr()
        summary = json.loads(output.out)
        assert (summary["arrays"], len(summary["failed"])) == (768, 96)
        assert summary["failed"][0]["problem"] == "wrong"
        assert "FAILED A16 W1 odd 1x1x1 output-stationary: wrong" in output.err
    assert len(ran) == 768 + 96
