"""Bit-serial arrays with activations of every width, against the reference."""

import dataclasses

import numpy as np
import pytest

from pact_hw.errors import InputError
from pact_hw.spec import (
    ActFormat,
    Drain,
    HardwareSpec,
    MacKind,
    RequantiserSpec,
    WeightEncoding,
    WeightFormat,
    schedule,
)
from rtl_gen.emit import write_design
from sim.bench.traffic import traffic
from sim.products import MatrixProduct, random_products
from sim.runner import simulate
from sim.vectors import PLAIN


def spec_of(act_bits=8, weight_bits=4, encoding=WeightEncoding.ODD, **more):
    members = {"rows": 2, "cols": 3, "lanes": 2, "max_reduction": 100, **more}
    return HardwareSpec(
        name="tiny",
        act=ActFormat(bits=act_bits),
        weight=WeightFormat(bits=weight_bits, encoding=encoding),
        mac_kind=MacKind.BIT_SERIAL,
        **members,
    )


ODD, TWOS_COMPLEMENT = WeightEncoding.ODD, WeightEncoding.TWOS_COMPLEMENT
PAIRS = {"rows": 4, "cols": 5, "lanes": 4}
REQUANTISED = {"requantiser": RequantiserSpec(level_bits=4)}


@pytest.mark.parametrize(
    ("bits", "more", "encoding"),
    [
        ((8, 4), PAIRS, ODD),
        pytest.param((4, 3), REQUANTISED, TWOS_COMPLEMENT, marks=pytest.mark.slow),
        pytest.param((8, 8), PAIRS | REQUANTISED, TWOS_COMPLEMENT, marks=pytest.mark.slow),
        pytest.param((1, 1), {}, ODD, marks=pytest.mark.slow),
        pytest.param((16, 1), {}, TWOS_COMPLEMENT, marks=pytest.mark.slow),
        pytest.param((16, 16), PAIRS, ODD, marks=pytest.mark.slow),
        pytest.param((5, 2), PAIRS | {"drain": Drain.WIDE}, ODD, marks=pytest.mark.slow),
        pytest.param((5, 2), PAIRS | {"pipeline": 2}, TWOS_COMPLEMENT, marks=pytest.mark.slow),
        pytest.param((3, 5), {"pipeline": 1, "drain": Drain.WIDE}, ODD, marks=pytest.mark.slow),
    ],
)
def test_every_width_is_exact_and_takes_the_cycles_of_the_schedule(tmp_path, bits, more, encoding):
    spec = spec_of(*bits, encoding, **more)
    products = random_products(spec, 60, seed=1)
    report = simulate(write_design(spec, tmp_path), products, folder=tmp_path / "sim")
    assert report.problems == []
    widths = {result.mode_bits for result in report.results}
    assert widths >= {1, spec.act.bits}
    assert len(widths) >= min(spec.act.bits, 4)
    for result in report.results:
        if result.scenario == PLAIN:
            beats = result.mode_bits * -(-result.k // spec.lanes)
            tiles = -(-result.m // spec.rows) * -(-result.n // spec.cols)
            wait = 1 + spec.broadcast_cycles
            out = 1 if spec.drain is Drain.WIDE else spec.cols
            assert result.cycles == tiles * (beats + wait + out) + spec.requantiser_latency_cycles


@pytest.mark.slow
@pytest.mark.parametrize("encoding", WeightEncoding)
@pytest.mark.parametrize("bits", [2, 4])
def test_every_pair_of_operands_in_every_lane(tmp_path, bits, encoding):
    spec = spec_of(8, 4, encoding, **PAIRS)
    levels, codes = np.arange(1 << bits), np.arange(16)
    act = np.zeros((spec.lanes, len(levels), spec.lanes), dtype=np.int64)
    act[np.arange(spec.lanes), :, np.arange(spec.lanes)] = levels
    weight = np.tile(codes, (spec.lanes, 1))
    product = MatrixProduct(name="every pair", act=act.reshape(-1, spec.lanes), weight=weight, mode_bits=bits)
    report = simulate(write_design(spec, tmp_path), [product], folder=tmp_path / "sim")
    assert (report.problems, report.passed) == ([], True)


def test_beats_bring_bit_planes_the_highest_first():
    spec = spec_of(3, 2, rows=1, cols=1, lanes=2)
    act, weight = np.array([[0b101, 0b011, 0b110]]), np.array([[1], [2], [3]])
    beats = list(traffic(spec, MatrixProduct(name="one", act=act, weight=weight, mode_bits=3)).sources["in"])
    # Lane 0 in the lowest bit; two beats a plane, the second with one term only.
    assert [beat[0] for beat in beats] == ["01", "01", "10", "01", "11", "00"]
    assert [beat[1] for beat in beats] == ["1001", "0011"] * 3
    assert [beat[2] for beat in beats] == ["0"] * 5 + ["1"]
    assert [beat[3] for beat in beats] == list("001010")


def test_a_narrower_array_is_what_a_mode_is():
    spec = spec_of(8, 4)
    assert spec.modes == (8, 7, 6, 5, 4, 3, 2, 1)
    mode = spec.in_mode(3)
    assert (mode.act.bits, mode.planes, mode.acc_bits, mode.mac_kind) == (3, 3, spec.acc_bits, spec.mac_kind)
    assert schedule(mode, m=2, k=10, n=3).cycles == 3 * 5 + 1 + 3
    assert schedule(mode, m=2, k=10, n=3).utilisation == 2 * 10 * 3 * 3 / (19 * 2 * 3 * 2)
    assert spec.in_mode(None) == spec


@pytest.mark.parametrize("bits", [0, 9, -1])
def test_a_width_that_does_not_exist_is_refused(bits):
    spec = spec_of()
    product = dataclasses.replace(random_products(spec, 1, seed=0)[0], mode_bits=bits)
    with pytest.raises(InputError, match=rf"^tiny has modes for 8, 7, .* 1 bits, and none for {bits} bits$"):
        product.check(spec)
