"""Our own cores in the model, against the shared schedule and the RTL's own cycles, layer by layer."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.cores import OUTPUT_LATENCY_CYCLES
from analysis.performance import Constants, CoreKind, System, Widths, compute_cycles, evaluate
from analysis.workloads import Layer, Operand, Workload, resnet18, resnet50
from pact_hw.errors import InputError
from pact_hw.spec import ActFormat, Dataflow, HardwareSpec, MacKind, RequantiserSpec, WeightFormat, schedule
from rtl_gen.emit import write_design
from sim.products import MatrixProduct
from sim.runner import simulate

KINDS = {
    Dataflow.OUTPUT_STATIONARY: CoreKind.OUTPUT_STATIONARY,
    Dataflow.WEIGHT_STATIONARY: CoreKind.WEIGHT_STATIONARY,
}
OWN = tuple(KINDS.values())


def layer(name, c, k, kernel=1, pixels=1, **changes):
    shape = {"kernel": kernel, "stride": 1, "out_pixels": pixels, "act_elements": 1}
    return Layer(name=name, in_channels=c, out_channels=k, **(shape | changes))


def one(*layers):
    return Workload(name="some", image_elements=1, layers=layers, edges=())


def hardware(dataflow, *, rows=4, cols=4, lanes=4, bits=2, **changes):
    return HardwareSpec(
        act=ActFormat(bits=bits),
        weight=WeightFormat(bits=bits),
        rows=rows,
        cols=cols,
        lanes=lanes,
        dataflow=dataflow,
        **changes,
    )


def system(spec, **changes):
    given_values = {
        "bits": spec.act.bits,
        "cores": 1,
        "bandwidth_bytes_per_s": math.inf,
        "rows": spec.rows,
        "cols": spec.cols,
        "lanes": spec.lanes,
        "requantiser_cycles": spec.requantiser_latency_cycles,
        "core": KINDS[spec.dataflow],
    }
    return System(**(given_values | changes))


sizes = st.integers(1, 40)


@given(
    dataflow=st.sampled_from(Dataflow),
    rows=sizes,
    cols=sizes,
    lanes=sizes,
    requantised=st.booleans(),
    layers=st.lists(
        st.tuples(st.integers(1, 200), st.integers(1, 60), st.integers(1, 300), st.sampled_from([1, 3])),
        min_size=1,
        max_size=5,
    ),
)
@settings(max_examples=200, deadline=None)
def test_cycles_are_those_of_the_schedule(dataflow, rows, cols, lanes, requantised, layers):
    requantised = requantised and dataflow is Dataflow.OUTPUT_STATIONARY
    spec = hardware(
        dataflow, rows=rows, cols=cols, lanes=lanes, requantiser=RequantiserSpec() if requantised else None
    )
    network = one(*(layer(f"l{i}", c, k, kernel, m) for i, (m, c, k, kernel) in enumerate(layers)))
    expected = [schedule(spec, m=m, k=c * kernel**2, n=k).cycles for m, c, k, kernel in layers]
    assert compute_cycles(network, system(spec))[0].tolist() == expected


def test_latency_constant_is_the_hardwares():
    assert hardware(Dataflow.OUTPUT_STATIONARY).array_latency_cycles == OUTPUT_LATENCY_CYCLES


@given(
    widest=st.sampled_from([4, 8, 16]),
    bits=st.lists(st.integers(1, 16), min_size=3, max_size=3),
    lanes=st.integers(1, 4),
)
@settings(max_examples=60, deadline=None)
def test_a_composable_array_runs_each_layer_in_the_narrowest_mode_that_holds_it(widest, bits, lanes):
    spec = hardware(Dataflow.OUTPUT_STATIONARY, bits=widest, lanes=lanes, mac_kind=MacKind.COMPOSABLE)
    network = one(layer("a", 64, 40, 1, 50), layer("b", 3, 8, 3, 9), layer("c", 100, 10))
    expected = []
    for each, width in zip(network.layers, bits, strict=True):
        k = each.reduction
        if width > widest:  # cut into digits of the widest mode
            k, width = math.ceil(k / lanes) * lanes * math.ceil(width / widest) ** 2, widest
        mode = min(mode for mode in spec.modes if mode >= width)
        expected.append(schedule(spec.in_mode(mode), m=each.out_pixels, k=k, n=each.out_channels).cycles)
    chips = system(spec, core=CoreKind.COMPOSABLE)
    widths = Widths.of(network, chips, act=bits, weight=bits)
    assert compute_cycles(network, chips, widths=widths)[0].tolist() == expected


@pytest.mark.parametrize("dataflow", Dataflow)
def test_a_whole_resnet_is_its_layers_schedules(dataflow):
    spec = hardware(dataflow, rows=8, cols=8, lanes=16)
    expected = [
        schedule(spec, m=layer.out_pixels, k=layer.reduction, n=layer.out_channels).cycles
        for layer in resnet50().layers
    ]
    assert compute_cycles(resnet50(), system(spec, edge_bits=0))[0].tolist() == expected


@pytest.mark.parametrize("dataflow", Dataflow)
def test_model_and_rtl_layer_by_layer(dataflow, tmp_path):
    # The layers of a small network: beyond the array, smaller than it, a long and a one-term reduction.
    network = one(
        layer("stem", 1, 8, 3, 36),
        layer("middle", 8, 8, 3, 9),
        layer("pointwise", 8, 5, 1, 9),
        layer("scale", 1, 1, 1, 7),
        layer("classifier", 45, 10),
    )
    _check_against_rtl(network, hardware(dataflow), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("dataflow", Dataflow)
def test_model_and_rtl_on_resnet18s_last_stage(dataflow, tmp_path):
    layers = [found for found in resnet18().layers if found.name.startswith(("conv5", "fc"))]
    _check_against_rtl(one(*layers), hardware(dataflow, rows=8, cols=8, lanes=16), tmp_path)


def _check_against_rtl(network, spec, folder):
    rng = np.random.default_rng(7)
    products = [
        MatrixProduct(
            name=layer.name,
            act=rng.integers(0, spec.act.max + 1, (layer.out_pixels, layer.reduction)),
            weight=rng.integers(0, spec.weight.levels + 1, (layer.reduction, layer.out_channels)),
        )
        for layer in network.layers
    ]
    report = simulate(write_design(spec, folder / "design"), products, folder=folder / "run")
    assert report.problems == []
    measured = {result.name: result.cycles for result in report.results if result.scenario == "plain"}
    model = compute_cycles(network, system(spec))[0]
    assert {layer.name: cycles for layer, cycles in zip(network.layers, model, strict=True)} == measured


@pytest.mark.parametrize("core", CoreKind)
def test_more_cores_share_the_work(core):
    cycles = [
        compute_cycles(
            resnet50(),
            System(bits=8, cores=cores, bandwidth_bytes_per_s=1e9, core=core, lanes=1 + 15 * (core in OWN)),
        )[0]
        for cores in (1, 2, 8, 64)
    ]
    for fewer, more in pairwise(cycles):
        assert (more <= fewer).all()
    assert cycles[0].sum() > 20 * cycles[-1].sum()


@pytest.mark.parametrize("core", CoreKind)
def test_grouped_layers_are_independent_products(core):
    # Four heads of 16 x 32 by 32 x 8 are four such products on one core.
    heads = layer("heads", 4 * 32, 4 * 8, pixels=16, groups=4)
    single = layer("head", 32, 8, pixels=16)
    given_values = {"bits": 4, "cores": 1, "bandwidth_bytes_per_s": math.inf, "rows": 8, "cols": 8}
    chip = System(**given_values, core=core, lanes=1 if core is CoreKind.PACT else 4)
    constants = Constants(layer_start_cycles=-16.0)  # no fill and drain: tiles alone
    grouped, alone = (compute_cycles(one(part), chip, constants)[0, 0] for part in (heads, single))
    assert grouped == 4 * alone


def test_narrow_groups_share_a_systolic_tile():
    depthwise = layer("dw", 64, 64, 3, 100, groups=64)
    chip = System(bits=4, cores=1, bandwidth_bytes_per_s=math.inf, rows=8, cols=64)
    # 8 channels a tile, each on its own row and column: 8 tiles of 9 taps.
    assert compute_cycles(one(depthwise), chip)[0, 0] == 9 * 8 * 100 + 72 + 80


def test_a_batch_has_its_own_attention_and_shared_weights():
    shared = layer("linear", 64, 64, pixels=4)
    own = layer("scores", 64, 64, pixels=4, operand=Operand.ACTIVATIONS)
    chip = [
        System(bits=4, cores=1, bandwidth_bytes_per_s=math.inf, rows=8, cols=64, batch=batch)
        for batch in (1, 8)
    ]
    # Four pixels do not cover the eight cycles that a tile's weights take to load; thirty-two do.
    assert [compute_cycles(one(shared), one_chip)[0, 0] - 152 for one_chip in chip] == [64, 256]
    assert [compute_cycles(one(own), one_chip)[0, 0] - 152 for one_chip in chip] == [64, 512]
    assert evaluate(one(own), chip[1]).allocation.streamed.sum() == 0


def test_widths_per_layer():
    network = one(layer("a", 64, 64, pixels=100), layer("b", 64, 64, pixels=100))
    chip = System(bits=4, cores=4, bandwidth_bytes_per_s=1e9)
    plain = evaluate(network, chip)
    mixed = evaluate(network, chip, act_bits=[4, 8], weight_bits=[2, 4])
    assert mixed.compute_s[0, 0] == plain.compute_s[0, 0]
    assert mixed.compute_s[0, 1] > 1.5 * plain.compute_s[0, 1]
    weights = mixed.allocation.streamed + mixed.allocation.retained
    assert weights[0].tolist() == [64 * 64 * 2 / 8, 64 * 64 * 4 / 8]
    with pytest.raises(InputError, match=r"^act widths must be one, 2, or 1 x 2 numbers, not of shape"):
        evaluate(network, chip, act_bits=[1, 2, 3])
    with pytest.raises(InputError, match=r"^weight widths must be positive, not 0"):
        evaluate(network, chip, weight_bits=[0, 4])


@pytest.mark.parametrize("core", OWN)
def test_wide_layers_on_a_fixed_array_are_cut_into_digits(core):
    network = one(layer("a", 64, 64, pixels=100))
    chip = System(
        bits=4, act_bits=4, weight_bits=2, cores=1, bandwidth_bytes_per_s=1e9, core=core, rows=8, lanes=4
    )
    narrow = evaluate(network, chip, act_bits=4, weight_bits=2).compute_s[0, 0]
    wide = evaluate(network, chip, act_bits=8, weight_bits=8).compute_s[0, 0]
    # 2 digits of the activation times 4 of the weight; an output-stationary tile drains only once.
    drained = 1 - 16 / (16 + 1 + 64) if core is CoreKind.OUTPUT_STATIONARY else 0
    assert wide == pytest.approx(narrow * (drained + 8 * (1 - drained)))


def test_edges_are_the_networks_own():
    chip = System(bits=2, cores=4, bandwidth_bytes_per_s=1e9)
    assert Widths.of(resnet50(), chip).act[0, [0, 1, -1]].tolist() == [8, 2, 8]
    assert Widths.of(one(layer("a", 1, 1)), chip).act.tolist() == [[2]]
