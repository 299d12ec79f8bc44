"""Arrays with threshold requantisers against the reference; what cannot run on them."""

import dataclasses

import numpy as np
import pytest

from pact_hw.errors import InputError
from pact_hw.spec import ActFormat, HardwareSpec, MacKind, RequantiserKind, RequantiserSpec, WeightFormat
from rtl_gen.emit import write_design
from sim.products import Thresholds, random_products
from sim.runner import simulate

THRESHOLD = RequantiserKind.THRESHOLD


def spec_of(bits=3, level_bits=3, residual_bits=2, kind=THRESHOLD, **more):
    return HardwareSpec(
        name="tiny",
        act=ActFormat(bits=bits),
        weight=WeightFormat(bits=bits),
        rows=2,
        cols=3,
        lanes=2,
        requantiser=RequantiserSpec(kind=kind, level_bits=level_bits, residual_bits=residual_bits),
        **{"max_reduction": 200, **more},
    )


@pytest.mark.parametrize(
    "spec",
    [
        spec_of(),
        # Sums that end at the highest number of their width.
        spec_of(1, 1, 0, max_reduction=127),
        pytest.param(spec_of(4, 4, 0, mac_kind=MacKind.COMPOSABLE), marks=pytest.mark.slow),
        pytest.param(spec_of(2, 5, 1), marks=pytest.mark.slow),
        # The other kind without a residual operand.
        pytest.param(spec_of(3, 4, 0, RequantiserKind.MULTIPLY_SHIFT), marks=pytest.mark.slow),
    ],
)
def test_levels_and_raw_sums_are_those_of_the_reference(tmp_path, spec):
    products = random_products(spec, 24, seed=0)
    report = simulate(write_design(spec, tmp_path), products, folder=tmp_path / "sim")
    assert report.problems == []
    assert report.cycles == report.predicted_cycles
    assert {product.scale is None for product in products} == {True, False}


def test_the_words_of_a_channel_compare_as_its_thresholds_do():
    requantiser = RequantiserSpec(kind=THRESHOLD, level_bits=3, residual_bits=1)
    rng = np.random.default_rng(0)
    scale = Thresholds(
        thresholds=np.sort(rng.integers(-40, 40, (6, 2, 5))), sign=np.array([1, -1, 1, -1, 1, -1])
    )
    scale.thresholds[4:] = np.sort(np.array([-(1 << 60), -3, 0, 0, 1 << 60]))
    acc = np.arange(-31, 31)[:, None] + np.zeros(6, dtype=np.int64)
    residual = rng.integers(0, 2, acc.shape)
    words = scale.words(requantiser, acc_bits=6).reshape(6, 2, 7)
    assert (np.diff(words) >= 0).all()
    assert (words >= -32).all()
    assert (words < 32).all()
    chosen = words[np.arange(6), residual]
    reached = (acc[..., None] >= chosen).sum(axis=-1)
    level = np.where(scale.sign < 0, 7 - reached, reached)
    assert np.array_equal(level, scale.levels(acc, residual))


def test_a_threshold_that_is_never_reached_fits_the_accumulator():
    assert spec_of(1, 1, 0, max_reduction=127).acc_bits == 9
    assert spec_of(1, 1, 0, RequantiserKind.MULTIPLY_SHIFT, max_reduction=127).acc_bits == 8
    assert spec_of(1, 1, 0, max_reduction=126).acc_bits == 8


def test_too_many_thresholds_are_refused():
    message = (
        r"^4-bit levels with 8-bit residuals need \d+ bits of thresholds a channel, and at most 16384 are "
        r"taken: use multiply-shift$"
    )
    with pytest.raises(InputError, match=message):
        spec_of(4, 4, 8)


def test_constants_of_the_other_kind_and_wrong_ones_are_refused():
    spec = spec_of()
    product = next(
        p for p in random_products(spec, 30, seed=0) if p.scale and (np.diff(p.scale.thresholds) > 0).any()
    )
    other = spec_of(kind=RequantiserKind.MULTIPLY_SHIFT)
    with pytest.raises(InputError, match=r"has constants for threshold, but tiny's requantiser is multiply-"):
        product.check(other)

    def changed(**members):
        scale = dataclasses.replace(product.scale, **members)
        return dataclasses.replace(product, scale=scale)

    with pytest.raises(InputError, match=r"thresholds must ascend$"):
        changed(thresholds=product.scale.thresholds[..., ::-1]).check(spec)
    with pytest.raises(InputError, match=r"sign must be \d+ times 1 or -1, not \["):
        changed(sign=product.scale.sign * 2).check(spec)
    with pytest.raises(InputError, match=r"thresholds must have shape \(\d+, 4, at most 7\), not \("):
        changed(thresholds=np.repeat(product.scale.thresholds, 9, axis=2)).check(spec)
