"""The area model against synthesised designs, fitted to and held out."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.area import DEFAULT_LIBRARY, array_area, libraries
from analysis.area_features import act_sum_bits, code_sum_bits, features, in_pairs, instances
from analysis.area_points import judged, points, summary
from analysis.synthesis import synthesise
from analysis.tables import packaged_text
from pact_hw.errors import InputError
from pact_hw.spec import (
    ActFormat,
    Dataflow,
    Drain,
    HardwareSpec,
    MacKind,
    RequantiserSpec,
    WeightEncoding,
    WeightFormat,
)
from rtl_gen.emit import write_design
from rtl_gen.widths import act_sum_shape, code_sum_shape

LIBERTY = Path(__file__).parents[3] / "shared" / "liberty"
LIBRARIES = libraries()


def spec(bits, lanes, **changes):
    weight = WeightFormat(bits=bits, encoding=changes.pop("encoding", WeightEncoding.ODD))
    shape = {"rows": 4, "cols": 4, "name": "counted"} | changes
    return HardwareSpec(act=ActFormat(bits=bits), weight=weight, lanes=lanes, **shape)


@pytest.mark.parametrize("library", LIBRARIES)
def test_held_out_designs_are_predicted(library):
    rows = {row["role"]: row for row in summary(judged()) if row["library"] == library}
    assert rows["held-out"]["designs"] >= 20
    assert rows["held-out"]["median_error"] <= 0.05
    assert rows["held-out"]["worst_error"] <= 0.12
    assert rows["held-out"]["pe_median_error"] <= 0.05


@pytest.mark.parametrize("library", LIBRARIES)
def test_held_out_designs_span_what_is_claimed_and_take_no_part_in_the_fit(library):
    found = [point for point in points() if point.library == library]
    held_out = [point.spec for point in found if point.role == "held-out"]
    fitted = {point.spec.digest for point in found if point.role == "fit"}
    assert not fitted & {hardware.digest for hardware in held_out}
    assert {1, 16} <= {hardware.act.bits for hardware in held_out}
    assert {1, 32} <= {hardware.lanes for hardware in held_out}
    assert {hardware.dataflow for hardware in held_out} == set(Dataflow)
    assert {hardware.weight.encoding for hardware in held_out} == set(WeightEncoding)
    assert any(hardware.requantiser for hardware in held_out)
    assert any(hardware.act.bits != hardware.weight.bits for hardware in held_out)


def test_tables_hold_together():
    assert DEFAULT_LIBRARY in libraries()
    assert set(libraries()) == {point.library for point in points()}
    for row in packaged_text("area_coefficients.csv"):
        assert float(row["um2"]) >= 0, row
    for point in points():
        count = instances(point.spec)
        total = sum(count[kind] * point.modules[kind] for kind in count)
        assert total == pytest.approx(point.area_um2, rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("library", LIBRARIES)
def test_the_tables_areas_are_near_what_the_generator_gives_today(library, tmp_path):
    path = LIBERTY / f"{library}.lib.gz"
    if not path.is_file():
        pytest.skip(f"no {path.name} beside the project: cell libraries are not part of it")
    small = [point for point in points() if point.library == library and point.role == "held-out"][:3]
    for index, point in enumerate(small):
        found = synthesise(write_design(point.spec, tmp_path / str(index)), [path], timed=False)
        assert found["area_um2"] == pytest.approx(point.area_um2, rel=0.02), (
            "renew: benchmarks/area_points.py"
        )


@given(
    act=st.integers(1, 16),
    weight=st.integers(1, 16),
    lanes=st.integers(1, 64),
    dataflow=st.sampled_from(Dataflow),
    rows=st.integers(1, 8),
    cols=st.integers(1, 8),
)
@settings(max_examples=100, deadline=None)
def test_structure_is_the_generators(act, weight, lanes, dataflow, rows, cols):
    partial_products = pytest.importorskip("rtl_gen.partial_products", reason="PEs without pairs of lanes")
    hardware = HardwareSpec(
        act=ActFormat(bits=act),
        weight=WeightFormat(bits=weight),
        lanes=lanes,
        rows=rows,
        cols=cols,
        dataflow=dataflow,
    )
    assert in_pairs(hardware) == partial_products.in_pairs(hardware)
    assert code_sum_bits(hardware, lanes) == code_sum_shape(hardware, lanes).width
    assert act_sum_bits(hardware, lanes) == act_sum_shape(hardware, lanes).width


@pytest.mark.parametrize("dataflow", Dataflow)
@pytest.mark.parametrize("encoding", WeightEncoding)
def test_parts_add_up_and_every_feature_has_a_coefficient(dataflow, encoding):
    requantiser = RequantiserSpec() if dataflow is Dataflow.OUTPUT_STATIONARY else None
    hardware = spec(4, 8, encoding=encoding, dataflow=dataflow, requantiser=requantiser)
    area = array_area(hardware)
    parts = (area.pes_um2, area.rows_um2, area.requantisers_um2, area.control_um2)
    assert area.total_um2 == sum(parts)
    assert area.um2_per_mac == area.total_um2 / 128
    assert area.ge_per_mac == pytest.approx(area.um2_per_mac / area.nand2_um2)
    assert (area.requantisers_um2 > 0) == (requantiser is not None)
    known = {
        (row["library"], row["module"], row["feature"]) for row in packaged_text("area_coefficients.csv")
    }
    for kind, counts in features(hardware).items():
        assert all((library, kind, name) in known for library in libraries() for name in counts)


def test_more_columns_are_more_pes_and_the_same_rows():
    narrow, wide = array_area(spec(4, 8)), array_area(spec(4, 8, cols=16))
    assert wide.pes_um2 == pytest.approx(4 * narrow.pes_um2)
    assert wide.rows_um2 == pytest.approx(narrow.rows_um2)
    assert wide.control_um2 > narrow.control_um2


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("dataflow", Dataflow)
def test_area_grows_with_bits_and_lanes_and_falls_per_mac_with_lanes(library, dataflow):
    by_bits = [array_area(spec(bits, 8, dataflow=dataflow), library).total_um2 for bits in range(1, 17)]
    assert by_bits == sorted(by_bits)
    by_lanes = [array_area(spec(2, lanes, dataflow=dataflow), library) for lanes in (1, 2, 4, 8, 16, 32)]
    totals = [area.total_um2 for area in by_lanes]
    per_mac = [area.um2_per_mac for area in by_lanes]
    assert totals == sorted(totals)
    assert per_mac == sorted(per_mac, reverse=True)


@pytest.mark.parametrize(
    ("member", "value", "message"),
    [
        ("tree_stages", 2, "arrays with tree_stages 0, not 2: synthesise it"),
        ("pipeline", 3, "arrays with pipeline 0, not 3: synthesise it"),
        ("drain", Drain.WIDE, "arrays with drain shift, not wide: synthesise it"),
        ("mac_kind", MacKind.BIT_SERIAL, "fixed and composable arrays, not bit-serial: "),
    ],
)
def test_what_the_model_does_not_know_is_refused(member, value, message):
    with pytest.raises(InputError, match=f"^the area model knows {message}"):
        array_area(spec(4, 4, **{member: value}))


def test_an_unknown_library_is_refused():
    with pytest.raises(InputError, match=r"^library must be one of asap7.*, not 'acme'$"):
        array_area(spec(4, 4), "acme")
