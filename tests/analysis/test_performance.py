"""The performance model: limits, directions, and cycles counted by hand."""

import math
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.memory import Retention, allocate
from analysis.performance import Constants, System, compute_cycles, evaluate
from analysis.workloads import Layer, Workload, resnet50
from pact_hw.errors import InputError

NO_START = Constants(layer_start_cycles=0.0)


def one_layer(**changes):
    shape = {
        "in_channels": 64,
        "out_channels": 128,
        "kernel": 3,
        "stride": 1,
        "out_pixels": 100,
        "act_elements": 6400,
    }
    layer = Layer(name="layer", **(shape | changes))
    return Workload(name="one", image_elements=1000, layers=(layer,))


systems = st.fixed_dictionaries(
    {
        "bits": st.sampled_from([1, 2, 4, 8, 16]),
        "cores": st.integers(1, 64),
        "bandwidth_bytes_per_s": st.floats(1e9, 1e12),
        "memory_bytes": st.floats(0, 64e6),
        "batch": st.integers(1, 16),
    }
)


def speed(system, **options):
    return evaluate(resnet50(), System(**system), **options).images_per_s[0]


@given(system=systems)
@settings(max_examples=60, deadline=None)
def test_more_never_hurts(system):
    base = speed(system)
    for better in (
        {"bandwidth_bytes_per_s": system["bandwidth_bytes_per_s"] * 1.7},
        {"bandwidth_bytes_per_s": math.inf},
        {"memory_bytes": system["memory_bytes"] * 1.3 + 1e5},
        {"cores": system["cores"] + 1},
        {"clock_hz": 3e9},
    ):
        assert speed(system | better) >= base * (1 - 1e-12)


@given(system=systems)
@settings(max_examples=60, deadline=None)
def test_retention_off_is_never_faster(system):
    assert speed(system, retention=Retention.NONE) <= speed(system) * (1 + 1e-12)


@given(system=systems)
@settings(max_examples=30, deadline=None)
def test_nothing_beats_the_peak(system):
    result = evaluate(resnet50(), System(**system, edge_bits=0))
    assert 0 < result.utilisation[0] <= 1


@given(system=systems)
@settings(max_examples=30, deadline=None)
def test_every_weight_is_retained_or_streamed_and_retained_ones_fit(system):
    workload = resnet50()
    result = evaluate(workload, System(**system, edge_bits=0))
    allocation = result.allocation
    total = allocation.retained + allocation.streamed
    assert total.sum() == pytest.approx(workload.weights * system["bits"] / 8)
    assert (allocation.retained >= 0).all()
    assert (allocation.streamed >= -1e-6).all()
    assert allocation.retained.sum() <= 0.67 * system["memory_bytes"] * (1 + 1e-12)


@given(system=systems, seed=st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_no_other_choice_of_retained_weights_is_faster(system, seed):
    result = evaluate(resnet50(), System(**system))
    budget = result.allocation.retained.sum()
    weights = result.allocation.retained + result.allocation.streamed
    other = np.random.default_rng(seed).uniform(size=weights.shape) ** 4 * weights
    other = np.minimum(weights, other * budget / other.sum())
    moved = (weights - other + result.allocation.spilled + result.allocation.reloaded) / system[
        "bandwidth_bytes_per_s"
    ]
    assert np.maximum(result.compute_s, moved).sum() >= result.layer_s.sum() * (1 - 1e-9)


def test_compute_bound_limit_is_peak_times_utilisation():
    # 64 channels are 8 row tiles, 128 are 2 column tiles on one core: every MAC of every beat works.
    system = System(bits=8, cores=1, bandwidth_bytes_per_s=math.inf)
    result = evaluate(one_layer(), system, constants=NO_START)
    assert compute_cycles(one_layer(), system, NO_START)[0, 0] == 9 * 8 * 2 * 100 + 72
    assert result.images_per_s[0] == pytest.approx(2e9 / (9 * 8 * 2 * 100 + 72))
    assert result.utilisation[0] == pytest.approx(14400 / 14472)


@pytest.mark.parametrize(
    ("changes", "cores", "beats"),
    [
        ({"in_channels": 3}, 1, 9 * 1 * 2 * 100),  # 3 of 8 rows work
        ({"out_channels": 65}, 1, 9 * 8 * 2 * 100),  # the second column tile holds one channel
        ({}, 2, 9 * 8 * 100),  # a column tile for each core
        ({}, 3, 9 * 8 * 2 * 34),  # pixels on three cores, 34, 33, 33, beat channels on two
        ({}, 4, 9 * 8 * 50),
        ({"out_pixels": 1, "kernel": 1}, 1, 8 * 2 * 8),  # loading a tile's weights takes 8 cycles
    ],
)
def test_cycles_by_hand(changes, cores, beats):
    system = System(bits=8, cores=cores, bandwidth_bytes_per_s=math.inf)
    assert compute_cycles(one_layer(**changes), system, NO_START)[0, 0] == beats + 72


def test_split_is_the_best_of_all():
    workload = resnet50()
    for cores in (1, 3, 7, 32):
        system = System(bits=8, cores=cores, bandwidth_bytes_per_s=math.inf)
        expected = [
            layer.kernel**2
            * math.ceil(layer.in_channels / 8)
            * min(
                math.ceil(math.ceil(layer.out_channels / 64) / by_channel)
                * max(8, math.ceil(layer.out_pixels / (cores // by_channel)))
                for by_channel in range(1, cores + 1)
            )
            + 72
            for layer in workload.layers
        ]
        assert compute_cycles(workload, system, NO_START)[0].tolist() == expected


def test_edges_at_8_bits_run_on_the_cores_that_8_bits_would_have():
    narrow = compute_cycles(resnet50(), System(bits=2, cores=32, bandwidth_bytes_per_s=1e9))[0]
    wide = compute_cycles(resnet50(), System(bits=8, cores=8, bandwidth_bytes_per_s=1e9))[0]
    assert narrow[0] == wide[0]
    assert narrow[-1] == wide[-1]
    assert (narrow[1:-1] < wide[1:-1]).all()


def test_wide_edges_on_too_few_narrow_cores_take_several_passes():
    one = compute_cycles(resnet50(), System(bits=2, cores=1, bandwidth_bytes_per_s=1e9), NO_START)[0]
    four = compute_cycles(resnet50(), System(bits=2, cores=4, bandwidth_bytes_per_s=1e9), NO_START)[0]
    assert one[0] - 72 == 4 * (four[0] - 72)


def test_bandwidth_bound_limit():
    # 1 GB/s: everything waits; the image (8 bits) and all weights cross the pins.
    workload = one_layer()
    system = System(bits=16, cores=64, bandwidth_bytes_per_s=1e9, memory_bytes=1e6)
    result = evaluate(workload, system, retention=Retention.NONE)
    assert result.images_per_s[0] == pytest.approx(1e9 / (1000 + 2 * workload.weights))


def test_a_batch_shares_its_weights():
    alone = System(bits=16, cores=4, bandwidth_bytes_per_s=32e9)
    together = System(bits=16, cores=4, bandwidth_bytes_per_s=32e9, batch=4)
    speeds = [
        evaluate(resnet50(), system, retention=Retention.NONE).images_per_s[0] for system in (alone, together)
    ]
    assert speeds[1] > 1.5 * speeds[0]


def test_activations_that_do_not_fit_are_written_and_read_back():
    arrays = {"live": np.array([[30.0, 80.0]]), "weights": np.array([[5.0, 5.0]])}
    allocation = allocate(
        capacity=np.array([[50.0]]),
        hidden=np.zeros((1, 2)),
        retention=Retention.EXPOSED_FIRST,
        **arrays,
    )
    assert allocation.spilled.tolist() == [[0.0, 60.0]]
    assert allocation.retained.tolist() == [[0.0, 0.0]]


def test_nothing_crosses_more_often_than_once_in_and_once_out():
    arrays = {"live": np.array([[80.0]]), "weights": np.array([[1.0]]), "hidden": np.zeros((1, 1))}
    for retention, capacity in ((Retention.EXPOSED_FIRST, 1.0), (Retention.NOTHING, 200.0)):
        allocation = allocate(capacity=np.array([[capacity]]), retention=retention, **arrays)
        assert allocation.spilled.tolist() == [[80.0]]


@pytest.mark.parametrize(
    ("weights", "border", "reloaded"),
    [
        (10.0, 3.0, 0.0),  # the weights fit into their half: the image passes once
        (50.0, 3.0, 30.0),  # three blocks of weights: the 15 bytes that spilled come twice more
        (24.0, 0.5, 13.5),  # three more stripes of 20: the 4 bytes that do not fit, and the border, each time
    ],
)
def test_what_does_not_fit_is_fetched_again_in_the_cheaper_order(weights, border, reloaded):
    allocation = allocate(
        capacity=np.array([[40.0]]),
        live=np.array([[55.0 if weights != 24.0 else 80.0]]),
        weights=np.array([[weights]]),
        hidden=np.zeros((1, 1)),
        retention=Retention.EXPOSED_FIRST,
        border=border,
    )
    assert allocation.reloaded.tolist() == [[reloaded]]


def test_exposed_weights_are_retained_first():
    allocation = allocate(
        capacity=np.array([[13.0]]),
        live=np.array([[1.0, 3.0]]),
        weights=np.array([[8.0, 8.0]]),
        hidden=np.array([[0.0, 8.0]]),
        retention=Retention.EXPOSED_FIRST,
    )
    assert allocation.retained.tolist() == [[8.0, 2.0]]


def test_arrays_of_designs_equal_one_design_at_a_time():
    many = System(bits=[16, 8, 4], cores=[4, 9, 31], bandwidth_bytes_per_s=[1e9, 64e9, math.inf])
    together = evaluate(resnet50(), many).images_per_s
    alone = [
        evaluate(resnet50(), System(bits=b, cores=c, bandwidth_bytes_per_s=w)).images_per_s[0]
        for b, c, w in ((16, 4, 1e9), (8, 9, 64e9), (4, 31, math.inf))
    ]
    assert together.tolist() == alone


def test_ten_thousand_designs_are_a_matter_of_seconds():
    rng = np.random.default_rng(0)
    n = 10_000
    system = System(
        bits=rng.choice([2, 4, 8, 16], n),
        cores=rng.integers(1, 65, n),
        bandwidth_bytes_per_s=rng.uniform(8e9, 512e9, n),
        memory_bytes=rng.uniform(2e6, 64e6, n),
    )
    start = time.perf_counter()
    assert np.isfinite(evaluate(resnet50(), system).images_per_s).all()
    assert time.perf_counter() - start < 10


def test_memory_grows_with_the_result_only():
    def peak(designs):
        system = System(bits=4, cores=16, bandwidth_bytes_per_s=np.linspace(8e9, 512e9, designs))
        tracemalloc.start()
        try:
            found = evaluate(resnet50(), system)
            largest = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        members = [*vars(found.allocation).values(), found.compute_s, found.transfer_s]
        return largest, sum(values.nbytes for values in members)

    few, result = peak(4096)
    many, larger_result = peak(16384)
    # The blocks' results and their concatenation; what a block needs meanwhile does not grow.
    assert many - few < 2.5 * (larger_result - result)


@pytest.mark.parametrize(
    ("name", "value"), [("bits", 0), ("cores", [4, -1]), ("memory_bytes", -1), ("clock_hz", math.nan)]
)
def test_refuses_what_is_not_positive(name, value):
    given_values = {"bits": 8, "cores": 8, "bandwidth_bytes_per_s": 1e9} | {name: value}
    with pytest.raises(InputError, match=f"^{name} must be positive"):
        System(**given_values)
