import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sim.bench.packing import pack, pad, unpack


@st.composite
def _matrices(draw, *, signed):
    bits = draw(st.integers(1, 62))
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    beats, elements = draw(st.integers(1, 4)), draw(st.integers(1, 5))
    row = st.lists(st.integers(low, high), min_size=elements, max_size=elements)
    return bits, np.array(draw(st.lists(row, min_size=beats, max_size=beats)), dtype=np.int64)


@given(_matrices(signed=False))
def test_element_0_is_in_the_lowest_bits(case):
    bits, values = case
    for text, row in zip(pack(values, bits), values, strict=True):
        assert len(text) == bits * len(row)
        assert int(text, 2) == sum(int(value) << (bits * i) for i, value in enumerate(row))


@given(_matrices(signed=False))
def test_unsigned_values_come_back(case):
    bits, values = case
    assert np.array_equal(unpack(pack(values, bits), bits, signed=False), values)


@given(_matrices(signed=True))
def test_signed_values_come_back(case):
    bits, values = case
    assert np.array_equal(unpack(pack(values, bits), bits, signed=True), values)


def test_padding_is_zero_and_only_as_much_as_needed():
    values = np.ones((3, 4), dtype=np.int64)
    assert pad(values, 2, 4).tolist() == [[1] * 4] * 3 + [[0] * 4]
    assert pad(values, 3, 2) is not values
    assert pad(values, 3, 2).shape == (3, 4)
