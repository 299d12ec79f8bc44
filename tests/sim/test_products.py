import dataclasses
import re

import numpy as np
import pytest

from pact_hw.errors import InputError
from pact_hw.golden import matmul
from pact_hw.spec import (
    ActFormat,
    HardwareSpec,
    RequantiserSpec,
    WeightEncoding,
    WeightFormat,
    accumulator_range,
)
from sim.products import MatrixProduct, Scale, random_products


def _spec(act=4, weight=3, encoding=WeightEncoding.ODD, requantiser=None, **members):
    return HardwareSpec(
        act=ActFormat(bits=act),
        weight=WeightFormat(bits=weight, encoding=encoding),
        requantiser=requantiser,
        **{"rows": 2, "cols": 3, "lanes": 2, "max_reduction": 30, **members},
    )


@pytest.mark.parametrize("encoding", WeightEncoding)
@pytest.mark.parametrize("requantiser", [None, RequantiserSpec()])
@pytest.mark.parametrize("bits", [1, 4, 16])
def test_random_products_fit_their_array_and_reach_both_extremes(bits, encoding, requantiser):
    spec = _spec(bits, bits, encoding, requantiser)
    products = random_products(spec, 24, seed=1)
    assert len(products) == 24
    for product in products:
        product.check(spec)
    sums = [matmul(product.act, product.weight, spec.weight) for product in products]
    low, high = accumulator_range(spec.act, spec.weight, spec.max_reduction)
    assert min(int(s.min()) for s in sums) == low
    assert max(int(s.max()) for s in sums) == high
    shapes = [product.shape for product in products]
    assert {1, 7, spec.max_reduction} <= {k for _m, k, _n in shapes}
    assert any(m > spec.rows and n > spec.cols for m, _k, n in shapes)
    assert any(product.scale is not None for product in products) == (requantiser is not None)


def test_the_same_seed_gives_the_same_products():
    first, again, other = (random_products(_spec(), 20, seed=seed) for seed in (3, 3, 4))
    assert all(np.array_equal(a.act, b.act) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a.act, b.act) for a, b in zip(first, other, strict=True))


def test_corner_cases_come_first():
    assert [product.name for product in random_products(_spec(), 3, seed=0)] == [
        "highest sums",
        "lowest sums",
        "beyond the array",
    ]


def _scale(n, **changes):
    zeros = np.zeros(n, dtype=np.int64)
    members = {"mult": zeros, "add": zeros, "shift": zeros, "residual_mult": zeros, "limit": 1}
    return Scale(**{**members, **changes})


def _product(**changes):
    members = {"name": "p", "act": np.ones((2, 4), np.int64), "weight": np.ones((4, 3), np.int64)}
    return MatrixProduct(**{**members, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"act": np.full((2, 4), 16)}, r"product 'p': act 16 is not in 0\.\.15"),
        ({"act": np.full((2, 4), -1)}, r"product 'p': act -1 is not in 0\.\.15"),
        ({"act": np.ones((2, 4))}, r"product 'p': act must be integers, not float64"),
        ({"weight": np.full((4, 3), 8)}, r"product 'p': weight 8 is not in 0\.\.7"),
        (
            {"weight": np.ones((5, 3), np.int64)},
            r"product 'p': act \(2, 4\) and weight \(5, 3\) must be M x K",
        ),
        ({"act": np.ones((2, 31), np.int64), "weight": np.ones((31, 3), np.int64)}, r"reduction length 31"),
        ({"residual": np.ones((2, 3), np.int64)}, r"product 'p': a residual needs a scale"),
        ({"scale": _scale(3)}, r"product 'p' has a scale, but mac_array has no requantiser"),
    ],
)
def test_products_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        _product(**changes).check(_spec())


@pytest.mark.parametrize(
    ("scale", "residual", "message"),
    [
        (_scale(2), None, r"mult must have shape \(3,\), not \(2,\)"),
        (_scale(3, mult=np.full(3, 1 << 23)), None, r"mult 8388608 is not in"),
        (_scale(3, add=np.full(3, -(1 << 47) - 1)), None, r"add -140737488355329 is not in"),
        (_scale(3, shift=np.full(3, 41)), None, r"shift 41 is not in 0\.\.40"),
        (_scale(3, limit=256), None, r"limit 256 is not in 0\.\.255"),
        (_scale(3), np.full((2, 3), 256), r"residual 256 is not in 0\.\.255"),
        (_scale(3), np.zeros((3, 3), np.int64), r"residual must be \(2, 3\), not \(3, 3\)"),
    ],
)
def test_scales_that_do_not_fit_are_refused(scale, residual, message):
    with pytest.raises(InputError, match=message):
        _product(scale=scale, residual=residual).check(_spec(requantiser=RequantiserSpec()))


def test_a_product_beyond_the_references_64_bits_is_refused():
    spec = _spec(16, 16, requantiser=RequantiserSpec(mult_bits=32), max_reduction=4608)
    ones = np.ones(1, dtype=np.int64)
    scale = _scale(1, mult=ones * ((1 << 31) - 1))
    product = MatrixProduct(
        name="p", act=np.ones((1, 4608), np.int64), weight=np.ones((4608, 1), np.int64), scale=scale
    )
    with pytest.raises(InputError, match=re.escape("beyond the reference's 64 bits")):
        product.check(spec)
    dataclasses.replace(product, scale=_scale(1, mult=ones)).check(spec)


def test_no_products_are_refused():
    with pytest.raises(InputError, match="number of products must be at least 1, not 0"):
        random_products(_spec(), 0, seed=0)
