"""Staircase, search and proof against fractions, for every accumulator of small ranges."""

from __future__ import annotations

import dataclasses
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pact_hw.errors import InputError
from pact_hw.qat.conversion.affine import Affine, square_root
from pact_hw.qat.conversion.proof import prove, prove_thresholds
from pact_hw.qat.conversion.search import search
from pact_hw.qat.conversion.staircase import Rounding, staircase
from pact_hw.spec import ActEncoding, ActFormat, RequantiserSpec

SPEC = RequantiserSpec(mult_bits=40, add_bits=60, max_shift=50)
fractions = st.fractions(max_denominator=1000)
formats = st.builds(ActFormat, bits=st.integers(2, 4), encoding=st.sampled_from(ActEncoding))


@st.composite
def channels(draw, residual=False):
    """An affine channel, the interval of its accumulators, the formats of its output and residual."""
    scale = fractions.filter(lambda f: abs(f) < 10) | st.sampled_from(
        [Fraction(2) ** k for k in range(-8, 3)]
    )
    affine = Affine(
        scale=draw(scale) * draw(st.sampled_from([1, -1, 0])),
        offset=draw(fractions.filter(lambda f: abs(f) < 100)),
        residual_scale=draw(fractions.filter(lambda f: abs(f) < 10) | st.integers(-2, 3).map(Fraction))
        if residual
        else Fraction(0),
    )
    low, high = sorted((draw(st.integers(-300, 300)), draw(st.integers(-300, 300))))
    return affine, (low, high), draw(formats), draw(formats) if residual else None


def level(affine, acc, residual, out, rounding=Rounding.HALF_EVEN):
    """PACT's level, from the exact number: half to even, then saturated."""
    z = affine.scale * acc + affine.residual_scale * residual + affine.offset
    # a fraction's round() is half to even
    nearest = round(z) if rounding is Rounding.HALF_EVEN else math.floor(z + Fraction(1, 2))
    return min(max(nearest, out.min), out.max)


def realised(constants, acc, residual, out):
    m, m2, c, s = (
        int(v[0]) for v in (constants.mult, constants.residual_mult, constants.add, constants.shift)
    )
    return min(max((acc * m + residual * m2 + c) >> s, out.min), out.max)


def residual_levels(residual):
    return [0] if residual is None else range(residual.min, residual.max + 1)


def all_pairs(interval, residual):
    return [(acc, r) for acc in range(interval[0], interval[1] + 1) for r in residual_levels(residual)]


def staircase_level(stair, acc, r, out):
    row = stair.steps[0 if stair.carried is not None else r - stair.residual_min]
    found = stair.first + int((stair.sign * acc >= row).sum())
    return min(max(found + (stair.carried or 0) * r, out.min), out.max)


@pytest.mark.parametrize("residual", [False, True])
@given(data=st.data(), rounding=st.sampled_from(Rounding))
@settings(max_examples=40)
def test_staircase_is_the_definition(residual, data, rounding):
    affine, interval, out, residual_act = data.draw(channels(residual))
    stair = staircase(affine, interval, out=out, residual=residual_act, rounding=rounding)
    for acc, r in all_pairs(interval, residual_act):
        assert staircase_level(stair, acc, r, out) == level(affine, acc, r, out, rounding)


@given(
    scale=st.floats(1e-12, 1e12), offset=st.floats(-1e6, 1e6), residual_scale=st.floats(1e-6, 1e6),
    interval=st.tuples(st.integers(-(1 << 40), 0), st.integers(0, 1 << 40)), negative=st.booleans(),
)  # fmt: skip
@settings(max_examples=30)
def test_fixed_point_steps_are_the_exact_ones(scale, offset, residual_scale, interval, negative):
    """At each step, and just before it, the definition says what the staircase says."""
    affine = Affine(
        scale=Fraction(scale) * (-1 if negative else 1),
        offset=Fraction(offset),
        residual_scale=Fraction(residual_scale),
    )
    out, residual = ActFormat(bits=5), ActFormat(bits=3, encoding=ActEncoding.SYMMETRIC)
    stair = staircase(affine, interval, out=out, residual=residual)
    for (i, j), step in np.ndenumerate(stair.steps):
        if stair.carried is None and step <= stair.high:
            r = int(stair.residuals[i])
            assert level(affine, stair.sign * int(step), r, out) >= stair.levels[j]
        if stair.carried is None and step > stair.low:
            r = int(stair.residuals[i])
            assert level(affine, stair.sign * (int(step) - 1), r, out) < stair.levels[j]


@pytest.mark.parametrize("residual", [False, True])
@given(data=st.data(), rounding=st.sampled_from(Rounding))
@settings(max_examples=30)
def test_what_is_found_and_proved_is_exact(residual, data, rounding):
    affine, interval, out, residual_act = data.draw(channels(residual))
    stairs = [staircase(affine, interval, out=out, residual=residual_act, rounding=rounding)]
    constants, failed = search([affine], stairs, SPEC)
    if failed:
        assume(False)  # exact ties: half to even is not always one multiplication
    assert prove("layer", constants, stairs, SPEC) == stairs[0].steps.size
    for acc, r in all_pairs(interval, residual_act):
        assert realised(constants, acc, r, out) == level(affine, acc, r, out, rounding)


@pytest.mark.parametrize("residual_bits", [0, 3])
@pytest.mark.parametrize("negative", [False, True])
def test_scales_without_ties_are_always_found(residual_bits, negative):
    random = np.random.default_rng(residual_bits)
    out, residual = ActFormat(bits=4), ActFormat(bits=residual_bits) if residual_bits else None
    affines = [
        Affine(
            scale=Fraction(random.uniform(0.001, 0.5)) * (-1 if negative else 1),
            offset=Fraction(random.uniform(-20, 20)),
            residual_scale=Fraction(random.uniform(0.1, 3)) if residual_bits else Fraction(0),
        )
        for _ in range(40)
    ]
    stairs = [staircase(affine, (-700, 600), out=out, residual=residual) for affine in affines]
    constants, failed = search(affines, stairs, SPEC)
    assert failed == []
    assert prove("layer", constants, stairs, SPEC) == 40 * 15 * (1 << residual_bits)


def test_a_stream_of_one_scale_is_carried():
    """A 16-bit residual stream: 65535 levels in, 65535 out, one row of steps."""
    stream = ActFormat(bits=16, encoding=ActEncoding.SYMMETRIC)
    affine = Affine(scale=Fraction(0.0371), offset=Fraction(1.23), residual_scale=Fraction(1))
    interval = (-40_000, 50_000)
    stair = staircase(affine, interval, out=stream, residual=stream)
    assert stair.carried == 1
    assert stair.steps.shape[0] == 1
    constants, failed = search([affine], [stair], SPEC)
    assert failed == []
    prove("layer", constants, [stair], SPEC)
    random = np.random.default_rng(0)
    pairs = list(
        zip(
            random.integers(*interval, 2000).tolist(),
            random.integers(-32767, 32768, 2000).tolist(),
            strict=True,
        )
    )
    for acc, r in [*pairs, *((a, b) for a in interval for b in (-32767, 32767))]:
        assert realised(constants, acc, r, stream) == level(affine, acc, r, stream)


def test_a_carried_stream_with_ties_is_not_carried():
    narrow = ActFormat(bits=4, encoding=ActEncoding.SYMMETRIC)
    affine = Affine(scale=Fraction(1, 4), residual_scale=Fraction(1))
    assert staircase(affine, (-9, 9), out=narrow, residual=narrow).carried is None
    assert staircase(affine, (-9, 9), out=narrow, residual=narrow, rounding=Rounding.HALF_UP).carried == 1


@given(channel=channels(), data=st.data())
@settings(max_examples=50)
def test_the_proof_accepts_exactly_the_exact(channel, data):
    """Whatever the constants are, the proof says what comparing every accumulator says."""
    affine, interval, out, _ = channel
    stairs = [staircase(affine, interval, out=out)]
    constants, failed = search([affine], stairs, SPEC)
    assume(not failed)
    name = data.draw(st.sampled_from(["mult", "add", "shift"]))
    changed = dataclasses.replace(
        constants, **{name: getattr(constants, name) + data.draw(st.integers(-3, 3))}
    )
    assume(0 <= changed.shift[0] <= SPEC.max_shift)
    assume(changed.mult[0] * stairs[0].sign >= 0)
    exact = all(
        realised(changed, acc, 0, out) == level(affine, acc, 0, out) for acc, _ in all_pairs(interval, None)
    )
    if exact:
        assert prove("layer", changed, stairs, SPEC) == out.max - out.min
    else:
        with pytest.raises(InputError, match=r"^layer 'layer', channel 0: the requantiser misses the step"):
            prove("layer", changed, stairs, SPEC)


@given(channel=channels())
@settings(max_examples=30)
def test_no_smaller_shift_and_no_smaller_multiplier_exist(channel):
    affine, (low, _), out, _ = channel
    interval = (low, low + 30)
    stairs = [staircase(affine, interval, out=out)]
    constants, failed = search([affine], stairs, SPEC)
    assume(not failed)
    found, smallest = int(constants.shift[0]), abs(int(constants.mult[0]))
    wanted = [level(affine, acc, 0, out) for acc in range(interval[0], interval[1] + 1)]
    for shift in range(min(found, 6) + 1):
        for mult in range(-40 << shift, (40 << shift) + 1):
            # Bounds on the addend from each accumulator, saturation included.
            sums = [(mult * acc, w) for acc, w in zip(range(low, low + 31), wanted, strict=True)]
            least = max(((w << shift) - s for s, w in sums if w > out.min), default=-math.inf)
            most = min((((w + 1) << shift) - 1 - s for s, w in sums if w < out.max), default=math.inf)
            assert least > most or (shift == found and abs(mult) >= smallest)


@pytest.mark.parametrize("name", ["mult", "add", "shift", "residual_mult"])
@pytest.mark.parametrize("residual_scale", [1.37, 1.0])
def test_a_wrong_constant_is_rejected(name, residual_scale):
    affine = Affine(scale=Fraction(0.0371), offset=Fraction(1.23), residual_scale=Fraction(residual_scale))
    out = ActFormat(bits=4)
    stairs = [staircase(affine, (-1000, 1000), out=out, residual=out)]
    assert (stairs[0].carried is None) == (residual_scale != 1)
    constants, _ = search([affine], stairs, SPEC)
    step = 1 << int(constants.shift[0]) if name == "add" else 1 << (int(constants.mult[0]).bit_length() - 3)
    wrong = dataclasses.replace(
        constants, **{name: getattr(constants, name) + (1 if name == "shift" else step)}
    )
    with pytest.raises(InputError, match=r"^layer 'layer', channel 0: "):
        prove("layer", wrong, stairs, SPEC)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"mult_bits": 8}, r"mult -?\d+ has more than 8 bits"),
        ({"add_bits": 4}, r"add -?\d+ has more than 4 bits"),
        ({"max_shift": 3}, r"shift \d+ is not from 0 to 3"),
    ],
)
def test_constants_that_are_too_wide_are_refused(limits, message):
    affine = Affine(scale=Fraction(0.0371), offset=Fraction(1.23), residual_scale=Fraction(1.37))
    out = ActFormat(bits=4)
    stairs = [staircase(affine, (-1000, 1000), out=out, residual=out)]
    constants, _ = search([affine], stairs, SPEC)
    with pytest.raises(InputError, match=rf"^layer 'layer', channel 0: {message}$"):
        prove("layer", constants, stairs, dataclasses.replace(SPEC, **limits))


def test_what_does_not_fit_is_named():
    affine = Affine(scale=Fraction(0.0371), offset=Fraction(1.23))
    easy = Affine(scale=Fraction(1), offset=Fraction(0))
    stairs = [staircase(a, (-1000, 1000), out=ActFormat(bits=4)) for a in (easy, affine)]
    assert search([easy, affine], stairs, dataclasses.replace(SPEC, mult_bits=3))[1] == [1]


def test_half_to_even_can_be_impossible():
    """z = acc / 2: 1 -> 0 but 3 -> 2: no single multiplication does it, thresholds do, half-up does."""
    affine, out = Affine(scale=Fraction(1, 2)), ActFormat(bits=4)
    stairs = [staircase(affine, (0, 30), out=out)]
    assert search([affine], stairs, SPEC)[1] == [0]
    assert prove_thresholds("x", stairs) == 15
    half_up = [staircase(affine, (0, 30), out=out, rounding=Rounding.HALF_UP)]
    constants, failed = search([affine], half_up, SPEC)
    assert failed == []
    assert [realised(constants, acc, 0, out) for acc in range(6)] == [0, 1, 1, 2, 2, 3]


def test_each_channel_has_its_own_constants():
    affines = [
        Affine(scale=Fraction(s), offset=Fraction(o)) for s, o in ((0.07, 1), (-0.31, 5), (0.0, 3), (2.3, -9))
    ]
    stairs = [staircase(affine, (-100, 100), out=ActFormat(bits=4)) for affine in affines]
    constants, failed = search(affines, stairs, SPEC)
    assert failed == []
    assert prove("layer", constants, stairs, SPEC) == 60
    assert np.sign(constants.mult).tolist() == [1, -1, 0, 1]
    assert constants.add[2] >> constants.shift[2] == 3


@pytest.mark.parametrize("scale", [1e-30, 1e-6, 1e6, 1e30])
def test_clips_that_are_tiny_or_huge(scale):
    """alpha tiny: one accumulator passes all levels; alpha huge: none passes any."""
    affine, out = Affine(scale=Fraction(scale), offset=Fraction(0.3)), ActFormat(bits=4)
    stairs = [staircase(affine, (-5000, 5000), out=out)]
    constants, failed = search([affine], stairs, SPEC)
    assert failed == []
    prove("layer", constants, stairs, SPEC)
    for acc in (-5000, -1, 0, 1, 2, 5000):
        assert realised(constants, acc, 0, out) == level(affine, acc, 0, out)


def test_too_many_thresholds_are_refused():
    wide = ActFormat(bits=16)
    with pytest.raises(InputError, match=r"^65535 steps of the output for each of 65536 residual"):
        staircase(Affine(scale=Fraction(0.1), residual_scale=Fraction(0.3)), (0, 9), out=wide, residual=wide)


@given(value=st.fractions(min_value=Fraction(1, 10**30), max_value=10**30))
def test_square_root(value):
    assert square_root(value**2) == value
    root = square_root(value)
    assert abs(root**2 / value - 1) < Fraction(1, 1 << 511)
