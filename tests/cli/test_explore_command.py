"""`pact-hw explore` and `pact-hw report` as a script sees them, and the documentation's example."""

import json
import re
from pathlib import Path

import pytest

from analysis.explore.axes import AXES
from analysis.explore.model import METRICS
from pact_hw.cli.main import _run

pytest.importorskip("pyarrow", reason="pip install 'pact-hw[explore]'")

DOCS = Path(__file__).parents[2] / "docs"
SPACE = DOCS / "space.toml"


@pytest.fixture
def run(capsys):
    """Exit code, standard output and standard error of one call."""

    def call(*arguments):
        code = _run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_the_example_of_the_documentation(run, tmp_path):
    page = (DOCS / "explore.md").read_text()
    assert SPACE.read_text() in page
    code, out, err = run("explore", SPACE, "--out", tmp_path / "out", "--workers", 1, "--json")
    result = json.loads(out)
    assert code == 0
    assert result["designs_evaluated"] == result["designs_in_space"] == 8100
    assert f"declares {result['designs_in_space']:,} chips" in page
    assert 0 < len(result["front"]) < result["eligible"] < 8100
    for design in result["front"]:
        assert design["images_per_s"] >= 30
        assert design["bandwidth_gb_per_s"] <= 64
    assert re.search(r"^evaluating 8,100 designs: [\d.]+ s$", err, re.MULTILINE)
    assert all((tmp_path / "out" / name).is_file() for name in result["files"])

    code, out, _ = run("report", tmp_path / "out", "--json")
    result = json.loads(out)
    assert code == 0
    assert Path(result["report"]).stat().st_size == result["bytes"]


def test_the_documentation_lists_every_axis_and_metric():
    page = (DOCS / "explore.md").read_text()
    for axis in AXES.values():
        default = "must be given" if axis.default is None else f"`{axis.default}`"
        if axis.name in ("bits", "act_bits", "weight_bits"):
            default = ""
        allowed = axis.allowed.replace('"', "`")
        assert f"| `{axis.name}` | {axis.meaning}: {allowed} | {default} |" in page
    for metric in METRICS.values():
        assert f"| `{metric.name}` | {metric.meaning} |" in page


def test_people_read_tables(run, tmp_path):
    text = SPACE.read_text().replace("bits = [2, 4, 8]", "bits = 4").replace("[8, 16, 32]", "8")
    (tmp_path / "space.toml").write_text(text)
    code, out, _ = run("explore", tmp_path / "space.toml", "--out", tmp_path / "out", "--workers", 1)
    assert code == 0
    assert re.search(r"evaluated +300 \(exhaustive; 300 now\)", out)
    assert "Pareto front" in out


def test_limits_that_nothing_keeps_are_exit_code_1(run, tmp_path):
    text = SPACE.read_text().replace("at_least = 30", "at_least = 1e9")
    (tmp_path / "space.toml").write_text(text.replace("bits = [2, 4, 8]", "bits = 4"))
    code, out, err = run("explore", tmp_path / "space.toml", "--out", tmp_path, "--workers", 1, "--json")
    assert code == 1
    assert json.loads(out)["front"] == []
    assert err.endswith("pact-hw: no design keeps every limit\n")
    assert run("report", tmp_path)[0] == 0


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["nowhere.toml"], "nowhere.toml: no such file"),
        ([SPACE, "--workers", 0], "Invalid value for '--workers': 0 is not in the range 1<=x<=1024."),
        (
            [SPACE, "--workers", 2, "--scheduler", "tcp://x:1"],
            "--workers counts processes of this",
        ),
        ([SPACE, "--liberty", "a.lib"], "--liberty is for --refine"),
    ],
)
def test_refusals(run, tmp_path, arguments, line):
    code, out, err = run("explore", *arguments, "--out", tmp_path / "out")
    assert (code, out) == (2, "")
    assert line in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_search_runs_in_this_process(run, tmp_path):
    text = SPACE.read_text() + '\n[method]\nkind = "search"\npoints = 100\npopulation = 20\n'
    (tmp_path / "space.toml").write_text(text)
    call = ("explore", tmp_path / "space.toml", "--out", tmp_path / "out")
    code, _, err = run(*call, "--workers", 2)
    assert code == 2
    assert err == "pact-hw: --workers 2: a search's small steps run in this process alone\n"
    code, out, _ = run(*call, "--json")
    assert code == 0
    assert 50 < json.loads(out)["designs_evaluated"] <= 100


def test_a_wrong_key_names_the_file(run, tmp_path):
    (tmp_path / "space.toml").write_text(SPACE.read_text().replace("lanes", "lane"))
    code, _, err = run("explore", tmp_path / "space.toml", "--out", tmp_path / "out")
    assert code == 2
    assert err.startswith(
        f"pact-hw: {tmp_path}/space.toml: [space]: 'lane' is not known here, only act_bits, "
    )


@pytest.mark.slow
def test_refinement_by_real_synthesis_and_simulation(run, tmp_path):
    text = SPACE.read_text().replace("[8, 16, 32]", "[2, 4]").replace("lanes = [8, 16]", "lanes = [2, 4]")
    (tmp_path / "space.toml").write_text(text.replace("at_least = 30", "at_least = 0.1"))
    call = ("explore", tmp_path / "space.toml", "--out", tmp_path / "out", "--refine", 2, "--json")
    code, out, err = run(*call)
    result = json.loads(out)
    assert code == 0
    assert len(result["refined"]) == 2
    for row in result["refined"]:
        assert row["mismatches"] == 0 < row["values_compared"]
        assert row["cycles"] == row["predicted_cycles"]
        assert abs(row["area_error"]) < 0.5
        assert (tmp_path / "out" / row["folder"] / f"{row['design']}.v").is_file()
    assert any(row["on_refined_front"] == 1 for row in result["front"])
    assert "Yosys" in err
    code, out, err = run(*call)
    assert json.loads(out)["refined"] == result["refined"]
    assert "Yosys" not in err


def test_cores_are_not_refined_as_arrays(run, tmp_path):
    text = SPACE.read_text().replace('network = "resnet50"', 'network = "resnet20"\nchip = "core"')
    (tmp_path / "space.toml").write_text(text)
    code, _, err = run("explore", tmp_path / "space.toml", "--out", tmp_path / "out", "--refine", 1)
    assert code == 2
    assert err == (
        "pact-hw: --refine measures arrays; of cores: generate --core, then simulate (docs/core.md)\n"
    )
