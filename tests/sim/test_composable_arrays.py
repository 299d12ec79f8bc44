"""Composable arrays in every mode, against the reference: exhaustively where operands are narrow."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pact_hw.errors import InputError
from pact_hw.golden import decode_weights
from pact_hw.spec import (
    ActFormat,
    HardwareSpec,
    MacKind,
    RequantiserSpec,
    WeightEncoding,
    WeightFormat,
    schedule,
)
from rtl_gen.emit import write_design
from sim.bench.traffic import operand_words, traffic
from sim.products import MatrixProduct, random_products
from sim.runner import simulate
from sim.vectors import PLAIN


def spec_of(bits=8, narrowest=2, encoding=WeightEncoding.ODD, **more):
    members = {"rows": 2, "cols": 3, "lanes": 2, "max_reduction": 300, **more}
    return HardwareSpec(
        name="tiny",
        act=ActFormat(bits=bits),
        weight=WeightFormat(bits=bits, encoding=encoding),
        mac_kind=MacKind.COMPOSABLE,
        narrowest_bits=narrowest,
        **members,
    )


ODD, TWOS_COMPLEMENT = WeightEncoding.ODD, WeightEncoding.TWOS_COMPLEMENT
REQUANTISED = {"requantiser": RequantiserSpec(level_bits=4)}


@pytest.mark.parametrize(
    ("bits", "narrowest", "more", "encoding"),
    [
        (4, 2, {}, ODD),
        (8, 2, REQUANTISED, TWOS_COMPLEMENT),
        pytest.param(4, 2, {}, TWOS_COMPLEMENT, marks=pytest.mark.slow),
        pytest.param(8, 2, REQUANTISED, ODD, marks=pytest.mark.slow),
        pytest.param(8, 4, {}, ODD, marks=pytest.mark.slow),
        pytest.param(16, 4, {"lanes": 1}, ODD, marks=pytest.mark.slow),
        pytest.param(16, 2, {"lanes": 1}, TWOS_COMPLEMENT, marks=pytest.mark.slow),
    ],
)
def test_every_mode_is_exact_and_takes_the_cycles_of_the_schedule(tmp_path, bits, narrowest, more, encoding):
    spec = spec_of(bits, narrowest, encoding, **more)
    report = simulate(
        write_design(spec, tmp_path), random_products(spec, 24, seed=1), folder=tmp_path / "sim"
    )
    assert report.problems == []
    assert {result.mode_bits for result in report.results} == set(spec.modes)
    for result in report.results:
        if result.scenario == PLAIN:
            n = bits // result.mode_bits
            beats = -(-result.k // (spec.lanes * n * n))
            tiles = -(-result.m // spec.rows) * -(-result.n // spec.cols)
            after = spec.requantiser_latency_cycles
            assert result.cycles == tiles * (beats + 1 + spec.cols) + after


def every_pair(spec, bits):
    """Every level with every code, at every place of a beat that a mode of ``bits`` has, one at a time."""
    places = spec.in_mode(bits).lanes
    levels = np.arange(1 << bits)
    act = np.zeros((places, len(levels), places), dtype=np.int64)
    act[np.arange(places), :, np.arange(places)] = levels
    weight = np.tile(levels, (places, 1))
    return MatrixProduct(
        name=f"every pair of {bits} bits", act=act.reshape(-1, places), weight=weight, mode_bits=bits
    )


@pytest.mark.parametrize(
    ("bits", "encoding"),
    [
        (2, ODD),
        pytest.param(2, TWOS_COMPLEMENT, marks=pytest.mark.slow),
        pytest.param(4, ODD, marks=pytest.mark.slow),
        pytest.param(4, TWOS_COMPLEMENT, marks=pytest.mark.slow),
    ],
)
def test_every_pair_of_operands_at_every_place(tmp_path, bits, encoding):
    spec = spec_of(8, 2, encoding, rows=4, cols=4, lanes=2)
    products = [every_pair(spec, bits)]
    report = simulate(write_design(spec, tmp_path), products, folder=tmp_path / "sim")
    assert report.problems == []


@pytest.mark.slow
@pytest.mark.parametrize("encoding", WeightEncoding)
def test_every_pair_of_8_bit_operands(tmp_path, encoding):
    spec = spec_of(8, 2, encoding, rows=8, cols=8, lanes=1)
    report = simulate(write_design(spec, tmp_path), [every_pair(spec, 8)], folder=tmp_path / "sim")
    assert (report.problems, report.passed) == ([], True)


@given(
    st.sampled_from([(4, 2), (8, 2), (8, 4), (16, 2), (16, 8)]),
    st.sampled_from(WeightEncoding),
    st.randoms(use_true_random=False),
)
def test_bricks_that_read_the_words_add_up_to_the_product(widths, encoding, rng):
    """The packing, by a model of the bricks in Python's integers that knows the documentation only."""
    spec = spec_of(*widths, encoding, rows=1, cols=1, lanes=1)
    bits = rng.choice(spec.modes)
    mode = spec.in_mode(bits)
    count, chunk, words = mode.lanes, spec.narrowest_bits, spec.operand_words
    act = np.array([[rng.randrange(1 << bits) for _ in range(count)]])
    codes = np.array([[rng.randrange(1 << bits) for _ in range(count)]])
    ports = [operand_words(spec, act, bits, act=True)[0], operand_words(spec, codes, bits, act=False)[0]]
    joined = bits // chunk
    total = 0
    for i in range(words):
        for j in range(words):
            a = int(ports[0][j - j % joined]) >> chunk * i & (1 << chunk) - 1
            w = int(ports[1][i - i % joined]) >> chunk * j & (1 << chunk) - 1
            total += a * w << chunk * (i % joined + j % joined)
    assert total == int((act * codes).sum())
    values = decode_weights(codes, mode.weight)
    beats = traffic(spec, MatrixProduct(name="one", act=act, weight=codes.T, mode_bits=bits))
    assert beats.expected.tolist() == [[int((act * values).sum())]]
    (beat,) = beats.sources["in"]
    assert int(beat[3], 2) == spec.modes.index(bits)


def test_a_mode_is_a_fixed_array_with_more_lanes():
    spec = spec_of(8, 2, lanes=3, max_reduction=4608)
    assert spec.modes == (8, 4, 2)
    for bits, lanes in ((8, 3), (4, 12), (2, 48)):
        mode = spec.in_mode(bits)
        assert (mode.mac_kind, mode.act.bits, mode.weight.bits, mode.lanes) == (
            MacKind.FIXED,
            bits,
            bits,
            lanes,
        )
        assert (mode.acc_bits, mode.latency_cycles) == (spec.acc_bits, spec.latency_cycles)
        plan = schedule(mode, m=2, k=48 * 9, n=3)
        assert plan.cycles == 48 * 9 // lanes + 4
    assert spec.in_mode(None) == spec.in_mode(8)
    fixed = spec.in_mode(4)
    assert fixed.in_mode(None) is fixed


def test_what_has_no_mode_is_refused(tmp_path):
    spec = spec_of()
    product = random_products(spec, 1, seed=0)[0]
    with pytest.raises(InputError, match=r"^tiny has modes for 8, 4, 2 bits, and none for 3 bits$"):
        dataclasses.replace(product, mode_bits=3).check(spec)
    with pytest.raises(InputError, match=r"^tiny has fixed widths, and none for 4 bits$"):
        dataclasses.replace(product, mode_bits=4).check(spec.in_mode(8))
    wide = dataclasses.replace(product, act=product.act * 0 + 16, mode_bits=4)
    with pytest.raises(InputError, match=r"act 16 is not in 0\.\.15$"):
        wide.check(spec)
