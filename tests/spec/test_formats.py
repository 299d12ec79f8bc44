"""Formats against enumeration: every code of every width."""

import re

import numpy as np
import pytest

from pact_hw.errors import InputError
from pact_hw.golden import decode_weights
from pact_hw.spec import ActEncoding, ActFormat, WeightEncoding, WeightFormat, accumulator_range, signed_bits


@pytest.mark.parametrize("bits", range(1, 17))
@pytest.mark.parametrize("encoding", WeightEncoding)
def test_range_is_that_of_the_values_of_all_codes(bits, encoding):
    weight = WeightFormat(bits=bits, encoding=encoding)
    values = decode_weights(np.arange(1 << bits), weight)
    assert (weight.min, weight.max) == (values.min(), values.max())
    assert len(np.unique(values)) == 1 << bits
    if encoding is WeightEncoding.ODD:
        assert (values % 2 == 1).all()


@pytest.mark.parametrize("low", range(-20, 21))
def test_signed_bits_is_the_narrowest_width(low):
    for high in range(low, 21):
        bits = signed_bits(low, high)
        assert -(1 << (bits - 1)) <= low
        assert high < 1 << (bits - 1)
        if bits > 1:
            narrower = bits - 2
            assert low < -(1 << narrower) or high >= 1 << narrower


def test_accumulator_range_is_reached_and_not_passed():
    act, weight = ActFormat(bits=2), WeightFormat(bits=2)
    sums = {3 * a * w + a2 * w for a in range(4) for a2 in range(4) for w in (-3, -1, 1, 3)}
    low, high = accumulator_range(act, weight, 4)
    assert (low, high) == (-36, 36)
    assert min(sums) == low
    assert max(sums) == high


@pytest.mark.parametrize("bits", [0, 17, 33, -1, 4.0, "4", True, None])
@pytest.mark.parametrize(("kind", "name"), [(ActFormat, "act_bits"), (WeightFormat, "weight_bits")])
def test_refuses_widths_outside_1_to_16(kind, name, bits):
    with pytest.raises(
        InputError, match=rf"^{name} must be an integer from 1 to 16, not {re.escape(repr(bits))}$"
    ):
        kind(bits=bits)


@pytest.mark.parametrize(
    ("encoding", "low", "high"),
    [(ActEncoding.UNSIGNED, 0, 15), (ActEncoding.SYMMETRIC, -7, 7), (ActEncoding.SIGNED, -8, 7)],
)
def test_levels_of_activations(encoding, low, high):
    act = ActFormat(bits=4, encoding=encoding)
    assert (act.min, act.max) == (low, high)
    assert ActFormat.from_json(act.to_json()) == act
    products = [a * w for a in range(low, high + 1) for w in (-3, -1, 1, 3)]
    assert accumulator_range(act, WeightFormat(bits=2), 5) == (5 * min(products), 5 * max(products))


def test_refuses_signed_levels_of_one_bit():
    with pytest.raises(InputError, match=r"^act_bits must be at least 2 for signed levels, not 1$"):
        ActFormat(bits=1, encoding=ActEncoding.SIGNED)
