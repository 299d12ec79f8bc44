"""Staircase, search and proof against fractions, for every accumulator of small ranges."""

from __future__ import annotations

import dataclasses
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pact_hw.errors import InputError
from pact_hw.qat.folding import Affine, square_root
from pact_hw.qat.requantiser_proof import prove
from pact_hw.qat.requantiser_search import search
from pact_hw.qat.staircase import check_size, staircase
from pact_hw.spec import RequantiserSpec

SPEC = RequantiserSpec(mult_bits=40, add_bits=60, max_shift=50)
fractions = st.fractions(max_denominator=1000)


@st.composite
def channels(draw, residual_bits=0):
    """An affine channel, the interval of its accumulators, its limit and highest residual level."""
    affine = Affine(
        scale=draw(fractions.filter(lambda f: abs(f) < 10)),
        offset=draw(fractions.filter(lambda f: abs(f) < 100)),
        residual_scale=draw(fractions.filter(lambda f: abs(f) < 10)) if residual_bits else Fraction(0),
    )
    low, high = sorted((draw(st.integers(-300, 300)), draw(st.integers(-300, 300))))
    return affine, (low, high), draw(st.sampled_from([1, 3, 7, 15])), (1 << residual_bits) - 1


def level(affine, acc, residual, limit):
    """PACT's level, from the exact number: half to even, then saturated."""
    z = affine.scale * acc + affine.residual_scale * residual + affine.offset
    return min(max(round(z), 0), limit)  # a fraction's round() is half to even


def realised(constants, acc, residual, limit):
    m, m2, c, s = (
        int(v[0]) for v in (constants.mult, constants.residual_mult, constants.add, constants.shift)
    )
    return min(max((acc * m + residual * m2 + c) >> s, 0), limit)


def all_pairs(interval, residual_max):
    return [(acc, r) for acc in range(interval[0], interval[1] + 1) for r in range(residual_max + 1)]


@given(channel=channels(residual_bits=2))
def test_staircase_is_the_definition(channel):
    affine, interval, limit, residual_max = channel
    stairs = staircase(affine, interval, limit=limit, residual_max=residual_max)
    for acc, r in all_pairs(interval, residual_max):
        assert (stairs.sign * acc >= stairs.steps[r]).sum() == level(affine, acc, r, limit)


@pytest.mark.parametrize("residual_bits", [0, 2])
@given(data=st.data())
def test_what_is_found_and_proved_is_exact(residual_bits, data):
    affine, interval, limit, residual_max = data.draw(channels(residual_bits=residual_bits))
    stairs = [staircase(affine, interval, limit=limit, residual_max=residual_max)]
    try:
        constants = search("layer", [affine], stairs, SPEC)
    except InputError:
        assume(False)  # exact ties: half to even is not always one multiplication
        return
    assert prove("layer", constants, stairs, SPEC) == limit * (residual_max + 1)
    for acc, r in all_pairs(interval, residual_max):
        assert realised(constants, acc, r, limit) == level(affine, acc, r, limit)


@pytest.mark.parametrize("residual_bits", [0, 3])
@pytest.mark.parametrize("negative", [False, True])
def test_scales_without_ties_are_always_found(residual_bits, negative):
    random = np.random.default_rng(residual_bits)
    for _ in range(40):
        affine = Affine(
            scale=Fraction(random.uniform(0.001, 0.5)) * (-1 if negative else 1),
            offset=Fraction(random.uniform(-20, 20)),
            residual_scale=Fraction(random.uniform(0.1, 3)) if residual_bits else Fraction(0),
        )
        residual_max = (1 << residual_bits) - 1
        stairs = [staircase(affine, (-700, 600), limit=15, residual_max=residual_max)]
        constants = search("layer", [affine], stairs, SPEC)
        assert prove("layer", constants, stairs, SPEC) == 15 * (residual_max + 1)
        for acc, r in all_pairs((-700, 600), residual_max)[:: 1 + residual_max]:
            assert realised(constants, acc, r, 15) == level(affine, acc, r, 15)


@given(channel=channels(), data=st.data())
def test_the_proof_accepts_exactly_the_exact(channel, data):
    """Whatever the constants are, the proof says what comparing every accumulator says."""
    affine, interval, limit, _ = channel
    stairs = [staircase(affine, interval, limit=limit)]
    try:
        constants = search("layer", [affine], stairs, SPEC)
    except InputError:
        assume(False)
        return
    name = data.draw(st.sampled_from(["mult", "add", "shift"]))
    changed = dataclasses.replace(
        constants, **{name: getattr(constants, name) + data.draw(st.integers(-3, 3))}
    )
    assume(0 <= changed.shift[0] <= SPEC.max_shift)
    assume(changed.mult[0] * stairs[0].sign >= 0)
    exact = all(
        realised(changed, acc, 0, limit) == level(affine, acc, 0, limit) for acc, _ in all_pairs(interval, 0)
    )
    if exact:
        assert prove("layer", changed, stairs, SPEC) == limit
    else:
        with pytest.raises(InputError, match=r"^layer 'layer', channel 0: the requantiser misses the step"):
            prove("layer", changed, stairs, SPEC)


@given(channel=channels())
def test_no_smaller_shift_exists(channel):
    affine, (low, _), limit, _ = channel
    interval = (low, low + 30)
    stairs = [staircase(affine, interval, limit=limit)]
    try:
        found = int(search("layer", [affine], stairs, SPEC).shift[0])
    except InputError:
        assume(False)
        return
    wanted = [level(affine, acc, 0, limit) for acc in range(interval[0], interval[1] + 1)]
    for shift in range(min(found, 6)):
        for mult in range(-40 << shift, (40 << shift) + 1):
            # Bounds on the addend from each accumulator, saturation included.
            sums = [(mult * acc, w) for acc, w in zip(range(low, low + 31), wanted, strict=True)]
            least = max((w << shift) - s for s, w in sums if w > 0) if any(wanted) else -math.inf
            most = min((((w + 1) << shift) - 1 - s for s, w in sums if w < limit), default=math.inf)
            assert least > most


@pytest.mark.parametrize("name", ["mult", "add", "shift", "residual_mult"])
def test_a_wrong_constant_is_rejected(name):
    affine = Affine(scale=Fraction(0.0371), offset=Fraction(1.23), residual_scale=Fraction(1.37))
    stairs = [staircase(affine, (-1000, 1000), limit=15, residual_max=15)]
    constants = search("layer", [affine], stairs, SPEC)
    step = 1 << int(constants.shift[0]) if name == "add" else 1 << (int(constants.mult[0]).bit_length() - 3)
    wrong = dataclasses.replace(
        constants, **{name: getattr(constants, name) + (1 if name == "shift" else step)}
    )
    with pytest.raises(
        InputError, match=r"^layer 'layer', channel 0: the requantiser misses the step to level"
    ):
        prove("layer", wrong, stairs, SPEC)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"mult_bits": 8}, r"mult -?\d+ has more than 8 bits"),
        ({"add_bits": 4}, r"add -?\d+ has more than 4 bits"),
        ({"max_shift": 3}, r"shift \d+ is not from 0 to 3"),
        ({"level_bits": 3}, r"level 15 is not from 0 to 7"),
        ({"residual_bits": 3}, r"residual level 15 is not from 0 to 7"),
    ],
)
def test_constants_that_are_too_wide_are_refused(limits, message):
    affine = Affine(scale=Fraction(0.0371), offset=Fraction(1.23), residual_scale=Fraction(1.37))
    stairs = [staircase(affine, (-1000, 1000), limit=15, residual_max=15)]
    constants = search("layer", [affine], stairs, SPEC)
    with pytest.raises(InputError, match=rf"^layer 'layer', channel 0: {message}$"):
        prove("layer", constants, stairs, dataclasses.replace(SPEC, **limits))


def test_what_does_not_fit_is_refused_by_name():
    affine = Affine(scale=Fraction(0.0371), offset=Fraction(1.23))
    stairs = [staircase(affine, (-1000, 1000), limit=15)]
    message = (
        r"^layer 'b', channel 0: no exact requantiser with multipliers of 3 bits, "
        r"an addend of 60 and a shift up to 50$"
    )
    with pytest.raises(InputError, match=message):
        search("b", [affine], stairs, dataclasses.replace(SPEC, mult_bits=3))


def test_half_to_even_can_be_impossible():
    """z = acc / 2: 1 -> 0 but 3 -> 2: no single multiplication does it."""
    affine = Affine(scale=Fraction(1, 2), offset=Fraction(0))
    stairs = [staircase(affine, (0, 30), limit=15)]
    with pytest.raises(InputError, match=r"^layer 'x', channel 0: no exact"):
        search("x", [affine], stairs, SPEC)


def test_each_channel_has_its_own_constants():
    affines = [
        Affine(scale=Fraction(s), offset=Fraction(o)) for s, o in ((0.07, 1), (-0.31, 5), (0.0, 3), (2.3, -9))
    ]
    stairs = [staircase(affine, (-100, 100), limit=15) for affine in affines]
    constants = search("layer", affines, stairs, SPEC)
    assert prove("layer", constants, stairs, SPEC) == 60
    assert np.sign(constants.mult).tolist() == [1, -1, 0, 1]
    assert constants.add[2] >> constants.shift[2] == 3


def test_too_many_thresholds_are_refused():
    with pytest.raises(
        InputError, match=r"^layer 'x': 65535 levels of the output for each of 65536 residual"
    ):
        check_size("x", limit=65535, residual_max=65535)


@given(value=st.fractions(min_value=Fraction(1, 10**30), max_value=10**30))
def test_square_root(value):
    assert square_root(value**2) == value
    root = square_root(value)
    assert abs(root**2 / value - 1) < Fraction(1, 1 << 511)
