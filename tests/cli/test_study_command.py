"""``pact-hw study`` as a script sees it."""

import json

import pytest

from analysis.study import STUDIES
from pact_hw.cli.main import _run


@pytest.fixture
def run(capsys):
    def call(*arguments):
        code = _run(["study", *map(str, arguments)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_list_names_every_figure(run):
    code, out, _ = run("--list", "--json")
    assert code == 0
    assert json.loads(out)["figures"] == {name: entry.shows for name, entry in STUDIES.items()}
    code, out, _ = run("--list")
    assert code == 0
    assert all(name in out for name in STUDIES)


def test_one_figure_alone(run, tmp_path):
    code, out, _ = run("--figure", "footprint", "--figure", "superlinear_range", "--out", tmp_path, "--json")
    assert code == 0
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"footprint.csv", "footprint.png", "footprint.svg", "superlinear_range.csv"}
    assert len(json.loads(out)["files"]) == 4


def test_the_paper_s_points_are_shown_with_their_figure_only(run, tmp_path):
    assert "Fig. 6c" in run("--figure", "fig6c", "--out", tmp_path)[1]
    assert "Fig. 6c" not in run("--figure", "footprint", "--out", tmp_path)[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Missing option '--out'"),
        (("--out", "x", "--figure", "fig9"), "figure must be one of fig6b, "),
        (("--out", "x", "--figure", "energy", "--process", "nowhere.toml"), "nowhere.toml: no such file"),
    ],
)
def test_refusals(run, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert message in err
