"""The paper's figure, recomputed, and the files of the study."""

import csv
import json
import math

import pytest

from analysis import figures
from analysis.performance import System, evaluate
from analysis.study import run_study
from analysis.workloads import StridePlace, resnet50

# Read from the model when it was fitted: images a second by bandwidth and precision.
EXPECTED = {
    (None, 16): 1002,
    (None, 8): 1997,
    (None, 4): 3659,
    (None, 2): 6245,
    (64.0, 16): 809,
    (64.0, 8): 1819,
    (64.0, 4): 3628,
    (64.0, 2): 6154,
    (32.0, 16): 568,
    (32.0, 8): 1349,
    (32.0, 4): 3538,
    (32.0, 2): 6066,
}


@pytest.fixture(scope="module")
def points():
    return {(row["bandwidth_gb_per_s"], row["bits"]): row for row in figures.fig6c()}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    return folder, run_study(folder)


@pytest.mark.parametrize("point", EXPECTED)
def test_each_point_of_the_papers_figure(points, point):
    row = points[point]
    bandwidth, bits = point
    assert row["model"] == pytest.approx(EXPECTED[point], abs=0.5)
    assert row["error"] == row["model"] / row["paper"] - 1
    assert abs(row["error"]) < 0.03
    alone = System(bits=bits, cores=64 // bits, bandwidth_bytes_per_s=(bandwidth or math.inf) * 1e9)
    assert evaluate(resnet50(), alone).images_per_s[0] == row["model"]


def test_errors_as_documented(points):
    found = figures.errors(list(points.values()))
    assert found["mean_error"] == pytest.approx(0.0077, abs=0.0001)
    assert found["worst_error"] == pytest.approx(0.0267, abs=0.0001)


def test_speed_ups_that_the_paper_names():
    rows = {(row["bandwidth_gb_per_s"], row["bits"]): row for row in figures.superlinear()}
    assert rows[64.0, 4]["model"] == pytest.approx(4.5, rel=0.02)
    assert rows[32.0, 4]["model"] == pytest.approx(6.1, rel=0.03)
    assert rows[32.0, 2]["model"] == pytest.approx(10.7, rel=0.02)


def test_gain_of_narrow_edges_that_the_paper_names():
    gains = {row["bits"]: row["gain"] for row in figures.narrow_edges()}
    assert gains[2] == pytest.approx(1.24, rel=0.02)


def test_without_retention_it_is_linear_or_worse():
    for row in figures.superlinear():
        assert row["model_without_retention"] <= row["peak"]


def test_constants_stand_near_the_best_of_the_fit():
    rows = figures.sensitivity()
    fitted = rows[0]["mean_error"]
    assert all(row["mean_error"] > fitted - 0.0005 for row in rows)
    halved = [row for row in rows if row["constant"] == "tensor_memory_share" and row["factor"] == 0.5]
    assert halved[0]["mean_error"] > 5 * fitted  # and the constant matters


def test_the_other_place_of_the_stride_fits_worse():
    system = System(bits=16, cores=4, bandwidth_bytes_per_s=math.inf)
    late = evaluate(resnet50(StridePlace.MIDDLE_3X3), system).images_per_s[0]
    assert late / 1011 - 1 < -0.05


def test_area_falls_with_precision_as_in_the_papers_figure():
    rows = {row["bits"]: row for row in figures.fig6b()}
    assert [rows[bits]["paper"] for bits in (16, 8, 4, 2)] == [14.28, 6.65, 2.51, 1.0]
    assert rows[16]["model_1_lane"] < rows[16]["paper"] < rows[16]["model_16_lanes"]


def test_equal_area_is_equal():
    rows = [row for row in figures.area_performance() if row["cores_chosen_by"] == "iso-area"]
    budget = max(row["area_ge"] for row in rows if row["bits"] == 16)
    assert all(0.9 * budget < row["area_ge"] <= budget for row in rows)


def test_json_has_neither_nan_nor_infinity(study):
    _, result = study
    json.dumps(result, allow_nan=False)
    assert len(result["fig6c"]) == 12
    assert {point["bandwidth_gb_per_s"] for point in result["fig6c"]} == {None, 64.0, 32.0}


def test_every_figure_has_png_svg_and_numbers(study):
    folder, result = study
    names = {path.name for path in folder.iterdir()}
    assert {f"{folder}/{name}" for name in names} == set(result["files"])
    for figure in ("fig6b", "fig6c", "superlinear", "area_performance"):
        assert {f"{figure}.png", f"{figure}.svg", f"{figure}.csv"} <= names
        assert (folder / f"{figure}.png").read_bytes().startswith(b"\x89PNG")


def test_csv_holds_the_drawn_numbers(study):
    folder, result = study
    with (folder / "fig6c.csv").open() as file:
        rows = list(csv.DictReader(file))
    for row, point in zip(rows, result["fig6c"], strict=True):
        assert float(row["model"]) == pytest.approx(point["model"], rel=1e-5)


def test_the_same_study_twice_is_the_same(study, tmp_path):
    folder, _ = study
    run_study(tmp_path)
    for path in folder.iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes(), path.name
