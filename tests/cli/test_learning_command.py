"""``pact-hw curves`` and ``accuracy`` as a script sees them."""

import json

import pytest

from pact_hw.cli.main import _run
from pact_hw.files import write_json


@pytest.fixture
def run(capsys):
    def call(*arguments):
        code = _run([str(a) for a in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def write_log(folder, lines):
    folder.mkdir()
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"step": 9')


def line(step, **changes):
    return {
        "epoch": 1,
        "step": step,
        "loss": 2.0 / step,
        "rate": 0.1,
        "alpha": {"relu": 10.0 - step},
        **changes,
    }


def test_curves_are_drawn(run, tmp_path):
    write_log(tmp_path / "log", [line(step) for step in range(1, 5)])
    code, out, _ = run("curves", tmp_path / "log", "--out", tmp_path / "plots", "--json")
    result = json.loads(out)
    assert code == 0
    assert result["alpha"] == {"relu": 6.0}
    assert result["loss"] == 0.5
    assert [path.name for path in sorted((tmp_path / "plots").iterdir())] == ["training.png", "training.svg"]
    svg = (tmp_path / "plots" / "training.svg").read_text()
    assert "Clips" in svg
    assert ">relu<" in svg


@pytest.mark.parametrize(
    "lines",
    [[], [3], [line(1, alpha=3)], [line(1, loss="x")], [line(1), line(2, alpha={"other": 1.0})]],
)
def test_what_is_no_log_is_refused_in_one_line(run, tmp_path, lines):
    write_log(tmp_path / "log", lines)
    code, _, err = run("curves", tmp_path / "log", "--out", tmp_path)
    assert code == 2
    assert err.endswith("metrics.jsonl: is no training's log: lines with step, loss and alpha are expected\n")
    code, _, err = run("curves", tmp_path, "--out", tmp_path)
    assert (code, err) == (2, f"pact-hw: {tmp_path}/metrics.jsonl: no such file\n")


def test_finished_runs_of_the_accuracy_study_are_not_done_again(run, tmp_path):
    metrics = {
        "network": "resnet20", "weights": "sawb", "act_bits": 3, "weight_bits": 3, "seed": 1, "epochs": 4,
        "held_out_images": 1000, "accuracy": 0.9, "float_accuracy": 0.915, "seconds": 1.0,
        "lost": [1, 2, 3], "won": [7],
    }  # fmt: skip
    write_json(tmp_path / "out" / "resnet20-sawb-3-seed1" / "metrics.json", metrics)
    options = ["--init", "none.npz", "--data", tmp_path, "--out", tmp_path / "out", "--network", "resnet20"]
    options += ["--bits", "3", "--weights", "sawb", "--seed", "1"]
    code, out, _ = run("accuracy", *options, "--json")
    (row,) = json.loads(out)["runs"]
    assert code == 0
    assert (row["points_below_float"], row["lost"], row["won"]) == (1.5, 3, 1)
    assert json.loads((tmp_path / "out" / "accuracy.json").read_text())["runs"] == [row]
    code, out, _ = run("accuracy", *options)
    assert "90.0%" in out


def test_widths_without_a_plan_are_refused(run, tmp_path):
    options = ["--init", "none.npz", "--data", tmp_path, "--out", tmp_path, "--bits", "7"]
    code, _, err = run("accuracy", *options)
    assert (code, err) == (2, "pact-hw: bits of the study must be from 2 to 5, not 7\n")
