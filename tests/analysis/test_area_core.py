"""The model of a core's area against synthesised cores, fitted to and held out."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analysis.area import array_area
from analysis.area_core import PARTS, core_area, core_features
from analysis.area_core_points import SIZES, judged, points, probe
from analysis.tables import packaged_text
from pact_hw.errors import InputError

SMALL = dict(zip(SIZES, (4, 8, 4, 4, 4, 4, 24, 24, 64, 0, 1), strict=True)) | {"encoding": "odd"}


def test_held_out_cores_are_predicted():
    held_out = [row for row in judged() if row["role"] == "held-out"]
    assert len(held_out) >= 5
    errors = np.abs([row["error"] for row in held_out])
    assert np.median(errors) <= 0.05
    assert errors.max() <= 0.12
    beside = np.abs([row["beside_error"] for row in held_out])
    told = "median error {:.1f} %, worst {:.1f} %; of what is beside the array {:.1f} % and {:.1f} %"
    numbers = [100 * value for both in (errors, beside) for value in (np.median(both), both.max())]
    assert told.format(*numbers) in (Path(__file__).parents[2] / "docs" / "models.md").read_text()


def test_held_out_cores_take_no_part_in_the_fit():
    cores = {role: {p.core.digest for p in points() if p.role == role} for role in ("fit", "held-out")}
    assert not cores["fit"] & cores["held-out"]


def test_parts_add_up_and_every_feature_has_a_coefficient():
    core = probe(SMALL)
    area = core_area(core)
    assert tuple(area.parts_um2) == PARTS
    assert area.total_um2 == pytest.approx(sum(area.parts_um2.values()))
    assert area.total_ge == pytest.approx(area.total_um2 / array_area(core.array).nand2_um2)
    known = {(row["part"], row["feature"]) for row in packaged_text("core_area_coefficients.csv")}
    features = core_features(core, "asap7")
    assert known == {(part, name) for part, counts in features.items() for name in counts}
    for row in packaged_text("core_area_coefficients.csv"):
        assert float(row["um2"]) >= 0, row


def test_requantisers_are_the_dearest_part_and_pay_by_number():
    areas = [core_area(replace(probe(SMALL), requantisers=count)) for count in (4, 2, 1)]
    parts = [area.parts_um2["requantisers"] for area in areas]
    assert parts == sorted(parts, reverse=True)
    assert parts[0] > 2 * parts[2]
    assert parts[0] == max(areas[0].parts_um2.values())


def test_a_library_without_coefficients_is_refused():
    with pytest.raises(InputError, match=r"^core area: library must be one of asap7, not 'mine'$"):
        core_area(probe(SMALL), "mine")
