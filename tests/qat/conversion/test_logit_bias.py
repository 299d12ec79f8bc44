"""The rounded biases keep the order of any two classes, whatever the accumulators are."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pact_hw.errors import InputError
from pact_hw.qat.conversion.logits import bias_constants

biases = st.lists(
    st.fractions(-20, 20, max_denominator=50) | st.integers(-3, 3).map(Fraction), min_size=2, max_size=6
)


def sign(x):
    return (x > 0) - (x < 0)


@given(biases=biases)
def test_every_order_is_kept_and_no_smaller_shift_keeps_it(biases):
    shift, add = bias_constants(biases)

    def keeps(shift, add):
        return all(
            sign(d + a - b) == sign((d << shift) + x - y)
            for a, x in zip(biases, add, strict=True)
            for b, y in zip(biases, add, strict=True)
            for d in range(-45, 46)
        )

    assert keeps(shift, add.tolist())
    assert all(not keeps(s, [round(b * (1 << s)) for b in biases]) for s in range(shift))


def test_biases_that_are_nearly_whole_numbers_apart_are_refused():
    with pytest.raises(InputError, match=r"^the logits' biases need more than 40 fractional bits"):
        bias_constants([Fraction(0), 1 + Fraction(1, 1 << 60)])
