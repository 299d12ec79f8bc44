"""Refinement: which arrays are measured, how often, and what their areas change."""

import numpy as np
import pytest

from analysis.area import array_area
from analysis.explore.refine import arrays, refine, with_measured_areas
from analysis.explore.space import Space
from pact_hw.errors import ToolError

SPACE = Space.from_toml(
    {
        "space": {"network": "alexnet", "bits": [2, 4, 8], "cores": [1, 2]},
        "objectives": {"images_per_s": "maximise", "area_ge": "minimise"},
    }
)


@pytest.fixture
def front():
    columns = SPACE.columns(np.arange(6))
    speed = np.array([1.0, 2, 3, 4, 5, 6])
    return {
        **columns,
        "images_per_s": speed,
        "area_ge": speed,
        "area_mm2": speed,
        "images_per_s_per_mge": speed,
    }


def measure_with(factor, calls, problems=()):
    def measure(spec, folder):
        calls.append(spec.name)
        return {
            "area_ge": factor * array_area(spec).total_ge,
            "cycles": 7,
            "predicted_cycles": 7,
            "mismatches": 0,
            "problems": list(problems),
        }

    return measure


def test_every_array_once_and_spread_over_the_front(front):
    assert [spec.act.bits for spec, _ in arrays(front, 9)] == [2, 4, 8]
    assert [spec.act.bits for spec, _ in arrays(front, 2)] == [2, 8]
    assert len({spec.digest for spec, _ in arrays(front, 9)}) == 3


def test_measured_once_and_kept(front, tmp_path):
    calls = []
    rows = refine(front, tmp_path, measure_with(1.25, calls), most=9)
    assert calls == ["os_2x2_8x8x8", "os_4x4_8x8x8", "os_8x8_8x8x8"]
    assert rows[0]["area_error"] == pytest.approx(-0.2)
    assert refine(front, tmp_path, measure_with(9, calls), most=9) == rows
    assert len(calls) == 3
    refine(front, tmp_path, measure_with(9, calls), most=9, how="another library")
    assert len(calls) == 6


def test_a_tool_that_fails_is_that_rows_problem_and_is_tried_again(front, tmp_path):
    def failing(spec, folder):
        raise ToolError("the simulator crashed")

    rows = refine(front, tmp_path, failing, most=1)
    assert rows[0]["problems"] == ["the simulator crashed"]
    assert rows[0]["measured_area_ge"] is None
    calls = []
    assert refine(front, tmp_path, measure_with(1, calls), most=1)[0]["problems"] == []
    assert calls


def test_an_edited_measurement_is_measured_again(front, tmp_path):
    calls = []
    refine(front, tmp_path, measure_with(1, calls), most=1)
    file = tmp_path / "refined" / calls[0] / "measured.json"
    file.write_text(file.read_text().replace('"cycles": 7', '"cycles": 6'))
    assert refine(front, tmp_path, measure_with(1, calls), most=1)[0]["cycles"] == 7
    assert len(calls) == 2


def test_measured_areas_decide_who_stays_on_the_front(front):
    names = ["os_2x2_8x8x8", "os_4x4_8x8x8", "os_8x8_8x8x8"]
    refined = [
        {"design": name, "measured_area_ge": area} for name, area in zip(names, (10, 30, None), strict=True)
    ]
    found = with_measured_areas(SPACE, front, refined)
    assert found["measured_area_ge"][:4].tolist() == [10, 20, 30, 60]
    assert np.isnan(found["measured_area_ge"][4:]).all()
    assert found["on_refined_front"][:4].tolist() == [1, 1, 1, 1]
    assert np.isnan(found["on_refined_front"][4:]).all()
    front["images_per_s"] = np.array([1.0, 2, 1.5, 4, 5, 6])
    assert with_measured_areas(SPACE, front, refined)["on_refined_front"][:4].tolist() == [1, 1, 0, 1]
