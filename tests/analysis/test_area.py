"""The structural area model against synthesis with the generic library."""

import pytest

from analysis.area import array_area
from analysis.synthesis import synthesise
from pact_hw.spec import ActFormat, Dataflow, HardwareSpec, WeightEncoding, WeightFormat
from rtl_gen.emit import write_design


def spec(bits, lanes, **changes):
    weight = WeightFormat(bits=bits, encoding=changes.pop("encoding", WeightEncoding.ODD))
    shape = {"rows": 4, "cols": 4, "name": "counted"} | changes
    return HardwareSpec(act=ActFormat(bits=bits), weight=weight, lanes=lanes, **shape)


@pytest.mark.parametrize(("bits", "lanes"), [(1, 16), (2, 16), (4, 8), (2, 1), (8, 2)])
def test_structure_counts_most_of_what_synthesis_finds(tmp_path, bits, lanes):
    hardware = spec(bits, lanes)
    found = synthesise(write_design(hardware, tmp_path))["area_ge"]
    # No coefficient is fitted: enables, reset, control and the ends of the trees are not counted.
    assert 0.75 * found < array_area(hardware).total_ge < found


def test_parts_add_up_and_have_their_reasons():
    odd, twos = spec(4, 8), spec(4, 8, encoding=WeightEncoding.TWOS_COMPLEMENT)
    area = array_area(odd)
    parts = (area.multiply_ge, area.accumulate_ge, area.operands_ge, area.correction_ge)
    assert area.total_ge == sum(parts)
    assert area.ge_per_mac == area.total_ge / 128
    assert array_area(twos).correction_ge == 0
    # Four times the columns: four times the PEs, the same corrections.
    wide = array_area(spec(4, 8, cols=16))
    assert wide.multiply_ge == 4 * area.multiply_ge
    assert wide.correction_ge == area.correction_ge


def test_area_grows_with_bits_and_lanes_and_falls_per_mac_with_lanes():
    by_bits = [array_area(spec(bits, 8)).total_ge for bits in range(1, 17)]
    assert by_bits == sorted(by_bits)
    by_lanes = [array_area(spec(2, lanes)) for lanes in (1, 2, 4, 8, 16, 32)]
    totals = [area.total_ge for area in by_lanes]
    per_mac = [area.ge_per_mac for area in by_lanes]
    assert totals == sorted(totals)
    assert per_mac == sorted(per_mac, reverse=True)


def test_a_missing_model_is_an_error_not_zero():
    with pytest.raises(NotImplementedError, match="weight-stationary"):
        array_area(spec(4, 4, dataflow=Dataflow.WEIGHT_STATIONARY))
