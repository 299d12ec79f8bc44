"""The requantiser's reference against Python's own integers, saturated on both sides and not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pact_hw.golden import multiply_shift

SMALL = st.integers(-(1 << 20), 1 << 20)


@given(SMALL, SMALL, SMALL, st.integers(0, 24), st.integers(1, 255), st.integers(0, 255), SMALL)
def test_is_its_equation(acc, mult, add, shift, limit, residual, residual_mult):
    def one(value):
        return np.array([value], dtype=np.int64)

    constants = {"mult": one(mult), "add": one(add), "shift": one(shift), "limit": limit}
    plain = (acc * mult + add) // 2**shift
    assert multiply_shift(one(acc), **constants).tolist() == [min(max(plain, 0), limit)]
    both = (acc * mult + residual * residual_mult + add) // 2**shift
    got = multiply_shift(one(acc), **constants, residual=one(residual), residual_mult=one(residual_mult))
    assert got.tolist() == [min(max(both, 0), limit)]


@pytest.mark.parametrize("limit", [1, 3, 15, 255])
def test_saturates_at_0_and_at_the_limit(limit):
    acc = np.arange(-3, limit + 4)[:, None]
    one = np.array([1])
    levels = multiply_shift(acc, mult=one, add=0 * one, shift=0 * one, limit=limit)
    assert levels[:, 0].tolist() == [min(max(a, 0), limit) for a in range(-3, limit + 4)]
