"""The paper's figure, recomputed, and the files of the study."""

import csv
import inspect
import json
import math
import re
import sys

import pytest

from analysis import figures
from analysis.area import libraries
from analysis.figures import ablation
from analysis.performance import System, evaluate
from analysis.study import STUDIES, run_study
from analysis.workloads import StridePlace, resnet50
from pact_hw.errors import InputError

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
        assert row["model_nothing_kept"] <= row["model_without_retention"] <= row["peak"]


def test_constants_stand_near_the_best_of_the_fit():
    rows = figures.sensitivity()
    fitted = rows[0]["mean_error"]
    assert all(row["mean_error"] > fitted - 0.0005 for row in rows)
    halved = [row for row in rows if row["constant"] == "tensor_memory_share" and row["factor"] == 0.5]
    assert halved[0]["mean_error"] > 5 * fitted  # and the constant matters


def test_footprint_shrinks_until_everything_fits():
    rows = {(row["network"], row["bits"]): row for row in figures.footprint()}
    resnet = [rows["resnet50", bits] for bits in (16, 8, 4, 2)]
    assert [row["weights_mb"] for row in resnet[:2]] == [pytest.approx(51.0058), pytest.approx(25.5029)]
    # At 4 bits all layers but the first and the last shrink again; those stay at 8 bits.
    edges = 3 * 64 * 49 + 2048 * 1000
    assert resnet[2]["weights_mb"] == pytest.approx((25_502_912 + edges) / 2 / 1e6)
    fits = [row["total_mb"] < row["usable_mb_of_16"] for row in resnet]
    assert fits == [False, False, False, True]


def test_traffic_falls_faster_than_precision_only_where_weights_are_kept():
    rows = {(row["policy"], row["bits"]): row for row in figures.traffic() if row["bandwidth_gb_per_s"] == 64}
    assert rows["weights kept", 4]["total_mb"] < rows["weights kept", 16]["total_mb"] / 8
    assert rows["no weights kept", 4]["total_mb"] > rows["no weights kept", 16]["total_mb"] / 4
    for (policy, bits), row in rows.items():
        kinds = [row[f"{kind}_mb"] for kind in ("image", "weights", "activations", "fetched_again")]
        assert row["total_mb"] == pytest.approx(sum(kinds)), (policy, bits)
        system = System(bits=bits, cores=64 // bits, bandwidth_bytes_per_s=64e9)
        retention = ablation.POLICIES[policy]
        found = evaluate(resnet50(), system, retention=retention)
        assert row["total_mb"] == pytest.approx(found.bytes_per_image[0] / 1e6)


@pytest.fixture(scope="module")
def whole_map():
    return figures.superlinearity_map()


def test_the_map_covers_what_it_says(whole_map):
    assert {row["memory_mb"] for row in whole_map} >= {2, 4, 8, 16, 32, 64}
    assert {row["bandwidth_gb_per_s"] for row in whole_map} >= {8, 16, 32, 64, 128, 256, 512}
    point = next(
        row
        for row in whole_map
        if (row["policy"], row["bits"], row["memory_mb"], row["bandwidth_gb_per_s"])
        == ("weights kept", 4, 16, 64)
    )
    assert point["speed_up"] == next(
        row["model"] for row in figures.superlinear() if (row["bandwidth_gb_per_s"], row["bits"]) == (64, 4)
    )


def test_nothing_kept_is_nowhere_superlinear(whole_map):
    assert max(row["speed_up_over_peak"] for row in whole_map if row["policy"] == "nothing kept") <= 1


def test_without_kept_weights_only_activations_that_begin_to_fit_are_superlinear(whole_map):
    above = [
        row for row in whole_map if row["policy"] == "no weights kept" and row["speed_up_over_peak"] > 1.001
    ]
    assert above
    # ResNet-50's hungriest layer needs 3.6 MB at 16 bits: it fits into 5.4 MB, of which 67 % are usable.
    assert max(row["memory_mb"] for row in above) < 5.7


def test_where_superlinearity_begins_and_ends(whole_map):
    rows = {
        (row["policy"], row["bits"], row["memory_mb"]): row for row in figures.superlinear_range(whole_map)
    }
    assert rows["weights kept", 4, 16]["to_gb_per_s"] == pytest.approx(90.5, rel=0.001)
    assert rows["weights kept", 4, 2]["to_gb_per_s"] is None
    for key, row in rows.items():
        if row["to_gb_per_s"] is not None:
            assert row["from_gb_per_s"] <= row["best_at_gb_per_s"] <= row["to_gb_per_s"], key


def test_which_networks_gain():
    rows = {
        (row["network"], row["batch"], row["bandwidth_gb_per_s"], row["bits"]): row["speed_up_over_peak"]
        for row in figures.networks()
    }
    assert rows["resnet50", 1, 64, 4] > 1.1
    assert rows["alexnet", 1, 64, 2] > 1.3  # most of its time it waits for its linear layers' weights
    assert all(rows["mobilenet_v2", 1, 64, bits] < 1 for bits in (8, 4, 2))  # its weights fit anyway
    assert all(0.98 < rows["bert_base", 1, 64, bits] < 1 for bits in (8, 4, 2))  # 128 tokens hide them
    assert rows["bert_base", 1, 32, 2] > 1.7
    # Together, images share their weights, and there is less to gain.
    assert rows["resnet50", 8, 64, 4] < 1 < rows["resnet50", 1, 64, 4]


def test_more_images_at_hand_never_hurt():
    rows = figures.networks()
    for row in rows:
        single = [
            other
            for other in rows
            if other["batch"] == 1
            and all(other[key] == row[key] for key in ("network", "bandwidth_gb_per_s", "bits"))
        ]
        assert row["images_per_s"] >= single[0]["images_per_s"]


def test_accuracy_is_the_papers_table():
    rows = {(row["network"], row["scheme"], row["bits"]): row for row in figures.pareto()}
    assert len(rows) == 30
    assert rows["ResNet50", "PACT", 4]["top1"] == 0.765
    assert rows["AlexNet", "DoReFa", 2]["top1"] == 0.536
    assert rows["ResNet50", "PACT", 4]["images_per_s"] == pytest.approx(EXPECTED[64.0, 4], abs=0.5)
    assert not any(row["on_front"] for row in rows.values() if row["scheme"] == "DoReFa" and row["bits"] < 16)
    assert [row["bits"] for row in rows.values() if row["on_front"] and row["network"] == "AlexNet"] == [
        4,
        3,
        2,
    ]


def test_nothing_stands_above_its_roof():
    for row in figures.roofline():
        assert row["tmac_per_s"] <= row["limit_tmac_per_s"] * (1 + 1e-9)


def test_the_other_place_of_the_stride_fits_worse():
    system = System(bits=16, cores=4, bandwidth_bytes_per_s=math.inf)
    late = evaluate(resnet50(StridePlace.MIDDLE_3X3), system).images_per_s[0]
    assert late / 1011 - 1 < -0.05


def test_area_falls_with_precision_as_in_the_papers_figure():
    rows = {(row["source"], row["lanes"], row["bits"]): row for row in figures.fig6b()}
    assert [rows["paper", 1, bits]["relative_area"] for bits in (16, 8, 4, 2)] == [14.28, 6.65, 2.51, 1.0]
    for library in libraries():
        found = {lanes: rows[f"{library}, synthesised", lanes, 16]["relative_area"] for lanes in (1, 16)}
        # What is counted decides: an accumulator for each product, or one for sixteen.
        assert found[1] < 14.28 < found[16]
        for lanes in (1, 16):
            for bits in (16, 8, 4, 2):
                synthesised, model = (
                    rows[f"{library}, {kind}", lanes, bits] for kind in ("synthesised", "model")
                )
                assert model["um2_per_mac"] == pytest.approx(synthesised["um2_per_mac"], rel=0.08)


def test_equal_area_is_equal():
    for library in libraries():
        rows = [row for row in figures.area_performance() if row["library"] == library]
        budget = max(row["area_mm2"] for row in rows if row["bits"] == 16)
        for way in ("iso-area", "our arrays"):
            areas = [row["area_mm2"] for row in rows if row["cores_chosen_by"] == way]
            assert all(0.9 * budget < area <= budget * (1 + 1e-9) for area in areas)


def test_our_arrays_gain_more_than_doubled_cores_at_equal_area():
    rows = {
        (row["library"], row["cores_chosen_by"], row["bits"]): row["images_per_s"]
        for row in figures.area_performance()
        if row["bandwidth_gb_per_s"] == 64
    }
    for library in libraries():
        ours = rows[library, "our arrays", 4] / rows[library, "our arrays", 16]
        doubled = rows[library, "paper's cores", 4] / rows[library, "paper's cores", 16]
        assert ours > 1.5 * doubled


def test_json_has_neither_nan_nor_infinity(study):
    _, result = study
    json.dumps(result, allow_nan=False)
    assert len(result["fig6c"]) == 12
    assert {point["bandwidth_gb_per_s"] for point in result["fig6c"]} == {None, 64.0, 32.0}


def test_every_figure_has_png_svg_and_numbers(study):
    folder, result = study
    names = {path.name for path in folder.iterdir()}
    assert {f"{folder}/{name}" for name in names} == set(result["files"])
    for name, entry in STUDIES.items():
        kinds = ("png", "svg", "csv") if entry.draw else ("csv",)
        assert {f"{name}.{kind}" for kind in kinds} <= names
        if entry.draw:
            assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_csv_holds_the_drawn_numbers(study):
    folder, result = study
    with (folder / "fig6c.csv").open() as file:
        rows = list(csv.DictReader(file))
    for row, point in zip(rows, result["fig6c"], strict=True):
        assert float(row["model"]) == pytest.approx(point["model"], rel=1e-5)


@pytest.mark.parametrize("name", STUDIES)
def test_a_drawing_computes_nothing(name):
    entry = STUDIES[name]
    if entry.draw is None:
        return
    parameters = list(inspect.signature(entry.draw).parameters)
    assert parameters == ["rows"]
    source = inspect.getsource(sys.modules[entry.draw.__module__])
    assert "evaluate" not in source
    assert not re.search(r"from \.\.", source)  # no model is even imported


def test_the_same_study_twice_is_the_same(study, tmp_path):
    folder, _ = study
    run_study(tmp_path, ("fig6c", "footprint"))
    written = {path.name for path in tmp_path.iterdir()}
    assert written == {f"{name}.{kind}" for name in ("fig6c", "footprint") for kind in ("png", "svg", "csv")}
    for name in written:
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes(), name


def test_an_unknown_figure_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"^figure must be one of fig6b, fig6c, .*, not 'fig7'$"):
        run_study(tmp_path, ("fig7",))
