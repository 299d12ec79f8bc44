"""Whole networks on generated cores: the models have the schedule's cycles, and so has the RTL."""

import numpy as np
import pytest

from analysis.area_core import core_area
from analysis.core_runs import CORE_NETWORKS, run_on_core, run_sized
from analysis.explore.core_designs import AREA_METRICS, CORE_METRICS, core_metrics
from analysis.process import paper_process
from pact_hw.compiler import compile_network
from pact_hw.compiler.examples import mobilenet, random_tensors
from pact_hw.compiler.sizing import core_for
from pact_hw.errors import InputError
from pact_hw.spec import ActFormat, HardwareSpec, WeightFormat
from pact_hw.spec.core import Depthwise
from pact_hw.spec.core_schedule import END_CYCLES, START_CYCLES, operation_cycles, program_cycles


def array(bits=4, rows=8, cols=8, lanes=16):
    act, weight = ActFormat(bits=bits), WeightFormat(bits=bits)
    return HardwareSpec(act=act, weight=weight, rows=rows, cols=cols, lanes=lanes, name="core")


DESIGN = {
    "chip": "core",
    "network": "resnet20",
    "dataflow": "output-stationary",
    "mac_kind": "fixed",
    "library": "asap7",
    "act_bits": 4,
    "weight_bits": 4,
    "rows": 8,
    "cols": 8,
    "lanes": 16,
    "cores": 1,
    "memory_mb": 16.0,
    "bandwidth_gb_per_s": np.inf,
    "clock_ghz": 1.0,
    "batch": 1,
    "edge_bits": 8,
    "requantisers": 0,
    "depthwise": "none",
    "bus_bits": 512,
}


def metrics(**changes):
    found = core_metrics({name: np.array([value]) for name, value in (DESIGN | changes).items()})
    return {name: values[0] for name, values in found.items()}


@pytest.mark.parametrize(
    ("bits", "shape", "requantisers"), [(4, (8, 8, 16), 0), (4, (16, 16, 1), 4), (2, (4, 8, 8), 1)]
)
def test_a_whole_networks_cycles_are_the_schedules(bits, shape, requantisers):
    rows, cols, lanes = shape
    run = run_sized("resnet20", bits, array(bits, *shape), requantisers=requantisers, bus_bits=512)
    network = CORE_NETWORKS["resnet20"](bits, 8)
    compiled = compile_network(network, random_tensors(network, 0), run.core)
    assert run.layers == tuple(layer.name for layer in network.layers)
    for layer, cycles in zip(compiled.layers, run.cycles, strict=True):
        assert cycles == sum(operation_cycles(run.core, compiled.operations[i]) for i in layer.operations)
    whole = program_cycles(run.core, compiled.operations)
    assert run.total_cycles + START_CYCLES + END_CYCLES == whole
    found = metrics(
        act_bits=bits, weight_bits=bits, rows=rows, cols=cols, lanes=lanes, requantisers=requantisers
    )
    assert found["compute_cycles"] == run.total_cycles
    assert found["area_ge"] == core_area(run.core).total_ge
    assert found["memory_mm2"] == run.memory_um2(paper_process()) / 1e6


def test_fewer_requantisers_take_longer():
    cycles = [metrics(requantisers=count)["compute_cycles"] for count in (8, 2, 1)]
    assert cycles[0] < cycles[1] < cycles[2]


def test_a_diagonal_runs_depthwise_layers():
    network = mobilenet(size=32)
    tensors = random_tensors(network, 0)
    core = core_for(network, tensors, array(rows=4, lanes=8), depthwise=Depthwise.DIAGONAL)
    run = run_on_core(network, tensors, core)
    compiled = compile_network(network, tensors, core)
    assert run.total_cycles + START_CYCLES + END_CYCLES == program_cycles(core, compiled.operations)
    assert sum(fields["diagonal"] for fields in compiled.operations) >= 13


def test_a_composable_array_makes_more_of_narrow_layers():
    narrow = {"mac_kind": "composable", "lanes": 1, "bus_bits": 128}
    wide, half, quarter = (metrics(act_bits=b, weight_bits=b, **narrow) for b in (8, 4, 2))
    assert wide["peak_tmac_per_s"] == half["peak_tmac_per_s"] / 4 == quarter["peak_tmac_per_s"] / 16
    assert wide["compute_cycles"] > 3 * half["compute_cycles"] > 3 * quarter["compute_cycles"]
    assert all(0.4 < found["utilisation"] < 1 for found in (wide, half, quarter))


def test_a_narrow_bus_is_waited_for():
    wide, narrow = (metrics(bandwidth_gb_per_s=bandwidth) for bandwidth in (np.inf, 0.5))
    assert wide["images_per_s"] == pytest.approx(1e9 / wide["compute_cycles"], rel=0.2)
    assert narrow["images_per_s"] < wide["images_per_s"] / 2
    assert narrow["images_per_s"] <= 0.5e9 / (1e6 * narrow["traffic_mb_per_image"]) * 1.02


@pytest.mark.parametrize(
    "changes",
    [
        {"cores": 2},
        {"rows": 1},
        {"lanes": 12},
        {"requantisers": 3},
        {"weight_bits": 2},
        {"network": "alexnet"},
        {"memory_mb": 0.01},
        {"dataflow": "weight-stationary"},
    ],
)
def test_what_is_no_core_has_no_metrics(changes):
    assert all(np.isnan(metrics(**changes)[name]) for name in CORE_METRICS + AREA_METRICS)


def test_a_network_that_no_core_runs_is_refused():
    with pytest.raises(InputError, match="requantisers must be a divisor of the 8 cols, not 3"):
        run_sized("resnet20", 4, array(), requantisers=3)


@pytest.mark.slow
def test_the_rtl_takes_these_cycles_layer_by_layer(tmp_path):
    from rtl_gen.core.emit import write_core
    from sim.core_simulate import simulate_network

    run = run_sized("resnet20", 4, array(), requantisers=2)
    network = CORE_NETWORKS["resnet20"](4, 8)
    tensors = random_tensors(network, 0)
    low, high = network.input_act.min, network.input_act.max
    images = np.random.default_rng(0).integers(low, high + 1, (1, 3, 32, 32))
    design = write_core(run.core, tmp_path / "core")
    report = simulate_network(design, network, tensors, images, folder=tmp_path / "simulation")
    assert not report.problems
    assert [layer.name for layer in report.layers] == list(run.layers)
    assert [layer.cycles for layer in report.layers] == run.cycles.tolist()
