"""The choice of the smaller requantiser against the areas that were measured."""

import pytest

from pact_hw.errors import InputError
from pact_hw.spec import (
    ActFormat,
    HardwareSpec,
    RequantiserKind,
    RequantiserSpec,
    WeightFormat,
    requantiser_um2,
    with_smaller_requantiser,
)

MULTIPLY_SHIFT, THRESHOLD = RequantiserKind.MULTIPLY_SHIFT, RequantiserKind.THRESHOLD
# Level bits, residual bits, multiplier bits: um2 (benchmarks/requantiser_area.py, ASAP7).
MEASURED = {
    (1, 0, 16): (217.4, 11.0),
    (2, 0, 16): (246.1, 28.6),
    (3, 0, 20): (300.2, 58.4),
    (4, 0, 24): (355.0, 121.8),
    (5, 0, 24): (396.3, 215.4),
    (6, 0, 24): (418.8, 468.7),
    (8, 0, 24): (467.3, 2169.8),
    (2, 2, 16): (279.3, 48.0),
    (4, 2, 24): (399.1, 246.8),
    (5, 2, 24): (440.7, 507.3),
}


def spec_of(level_bits, residual_bits, mult_bits, kind=MULTIPLY_SHIFT):
    return HardwareSpec(
        act=ActFormat(bits=level_bits),
        weight=WeightFormat(bits=level_bits),
        rows=1,
        cols=1,
        lanes=1,
        requantiser=RequantiserSpec(
            kind=kind, level_bits=level_bits, residual_bits=residual_bits, mult_bits=mult_bits
        ),
    )


@pytest.mark.parametrize("widths", MEASURED)
def test_the_smaller_kind_is_the_one_that_was_measured_smaller(widths):
    chosen = with_smaller_requantiser(spec_of(*widths)).requantiser.kind
    multiply, threshold = MEASURED[widths]
    assert chosen is (THRESHOLD if threshold < multiply else MULTIPLY_SHIFT)
    for kind, um2 in ((MULTIPLY_SHIFT, multiply), (THRESHOLD, threshold)):
        assert requantiser_um2(spec_of(*widths, kind)) == pytest.approx(um2, rel=0.15)


def test_where_there_are_too_many_thresholds_it_multiplies():
    assert with_smaller_requantiser(spec_of(4, 8, 24)).requantiser.kind is MULTIPLY_SHIFT


def test_an_array_without_requantiser_has_no_smaller_one():
    spec = HardwareSpec(act=ActFormat(bits=2), weight=WeightFormat(bits=2), rows=1, cols=1, lanes=1)
    for function in (requantiser_um2, with_smaller_requantiser):
        with pytest.raises(InputError, match=r"^mac_array has no requantiser$"):
            function(spec)
