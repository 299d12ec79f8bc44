"""Arrays with registers on the operands' way, and with a wide drain, against the reference."""

import pytest

from pact_hw.spec import (
    ActFormat,
    Dataflow,
    Drain,
    HardwareSpec,
    MacKind,
    RequantiserKind,
    RequantiserSpec,
    WeightEncoding,
    WeightFormat,
)
from rtl_gen.emit import write_design
from sim.products import random_products
from sim.runner import simulate
from sim.vectors import PLAIN

ODD, TWOS_COMPLEMENT = WeightEncoding.ODD, WeightEncoding.TWOS_COMPLEMENT
STATIONARY = {"dataflow": Dataflow.WEIGHT_STATIONARY}
STAGED = {"tree_stages": 2}
COMPOSABLE = {"mac_kind": MacKind.COMPOSABLE}
WIDE = {"drain": Drain.WIDE}
THRESHOLDS = {"requantiser": RequantiserSpec(kind=RequantiserKind.THRESHOLD, level_bits=2, residual_bits=0)}


def simulated(tmp_path, bits, encoding, **more):
    members = {"rows": 5, "cols": 4, "lanes": 2, "max_reduction": 60, **more}
    spec = HardwareSpec(
        name="tiny", act=ActFormat(bits=bits), weight=WeightFormat(bits=bits, encoding=encoding), **members
    )
    report = simulate(
        write_design(spec, tmp_path), random_products(spec, 16, seed=1), folder=tmp_path / "sim"
    )
    assert report.problems == []
    return spec, [result for result in report.results if result.scenario == PLAIN]


PIPELINED = [
    (1, ODD, {}),
    (2, TWOS_COMPLEMENT, {}),
    (4, ODD, {}),
    (0, ODD, {}),
    (1, ODD, STAGED),
    (3, TWOS_COMPLEMENT, STAGED | THRESHOLDS),
    (1, ODD, COMPOSABLE),
    (2, ODD, COMPOSABLE | THRESHOLDS),
    (2, TWOS_COMPLEMENT, WIDE),
    (2, ODD, WIDE | STAGED),
]
QUICK = (1, ODD, {})


@pytest.mark.parametrize(
    ("pipeline", "encoding", "more"),
    [case if case == QUICK else pytest.param(*case, marks=pytest.mark.slow) for case in PIPELINED],
)
def test_output_stationary_arrays_are_exact_and_wait_for_the_last_pe(tmp_path, pipeline, encoding, more):
    spec, results = simulated(tmp_path, 4, encoding, pipeline=pipeline, **more)
    hops = {0: 0, 1: 4 + 3, 2: 2 + 1, 3: 1 + 1, 4: 1}[pipeline]
    assert spec.latency_cycles == hops + 2 + 4 * bool(spec.tree_stages) + spec.requantiser_latency_cycles
    for result in results:
        beats = -(-result.k // spec.in_mode(result.mode_bits).lanes)
        tiles = -(-result.m // 5) * -(-result.n // 4)
        out = 1 if spec.drain is Drain.WIDE else 4
        staged = 3 if spec.tree_stages else 0  # two registers of the sum, one of the correction
        results_register = 1 if spec.tree_stages else 0
        expected = tiles * (beats + hops + 1 + staged + out) + results_register
        assert result.cycles == expected + spec.requantiser_latency_cycles


@pytest.mark.slow
@pytest.mark.parametrize(("pipeline", "encoding"), [(1, ODD), (2, TWOS_COMPLEMENT), (4, ODD)])
def test_weight_stationary_arrays_are_exact_and_wait_for_the_last_column(tmp_path, pipeline, encoding):
    spec, results = simulated(tmp_path, 3, encoding, pipeline=pipeline, **STATIONARY)
    hops = {1: 3, 2: 1, 4: 0}[pipeline]
    assert spec.latency_cycles == 5 + 1 + hops
    for result in results:
        tiles = -(-result.k // 10) * -(-result.n // 4)
        assert result.cycles == tiles * (5 + result.m + 5 + 1 + hops)


@pytest.mark.parametrize(
    ("encoding", "more"),
    [
        (ODD, {}),
        pytest.param(TWOS_COMPLEMENT, STAGED, marks=pytest.mark.slow),
        pytest.param(ODD, COMPOSABLE, marks=pytest.mark.slow),
    ],
)
def test_a_wide_drain_gives_all_sums_in_one_beat(tmp_path, encoding, more):
    spec, results = simulated(tmp_path, 4, encoding, **WIDE, **more)
    for result in results:
        beats = -(-result.k // spec.in_mode(result.mode_bits).lanes)
        tiles = -(-result.m // 5) * -(-result.n // 4)
        staged = 3 if spec.tree_stages else 0
        assert result.cycles == tiles * (beats + 1 + staged + 1) + bool(spec.tree_stages)
