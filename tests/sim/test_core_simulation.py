"""Whole networks on a generated core, from its external memory: what is found, and what must be found."""

import dataclasses
import shutil

import numpy as np
import pytest
from small_cores import ACT, WEIGHT, small_core, small_network, small_tensors

from pact_hw.compiler import compile_network
from pact_hw.errors import InputError
from pact_hw.golden import network as golden
from pact_hw.spec import LayerKind, LayerSpec, NetworkSpec
from pact_hw.spec.program import FIELDS
from pact_hw.spec.registers import CoreError
from rtl_gen.core.emit import write_core
from rtl_gen.emit import write_design
from sim import build, core_simulate
from sim.core_check import check_run, run_problem
from sim.core_range import part, whole
from sim.core_run import External, Job, Waves, run_core
from sim.core_simulate import simulate_network
from sim.simulator import Kind

NETWORK = small_network()
TENSORS = small_tensors(NETWORK)
IMAGES = np.random.default_rng(0).integers(0, 16, (2, 3, 6, 6))


@pytest.fixture(scope="module")
def design(tmp_path_factory):
    return write_core(small_core(), tmp_path_factory.mktemp("core"))


@pytest.fixture(scope="module")
def report(design, tmp_path_factory):
    return simulate_network(design, NETWORK, TENSORS, IMAGES, folder=tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def record(design, tmp_path_factory):
    compiled = compile_network(NETWORK, TENSORS, design.core)
    run = run_core(design, [job(whole(compiled))], folder=tmp_path_factory.mktemp("run"))
    return run.records[0]


def values_of(image, tensors=TENSORS, network=NETWORK):
    return {"input": image, **{k: v[0] for k, v in golden.run(network, tensors, image[None]).items()}}


def job(part, image=IMAGES[0]):
    return Job(part=part, values=values_of(image))


def test_every_level_and_every_cycle_is_as_predicted(design, report):
    assert not report.problems
    assert [layer.name for layer in report.layers] == [layer.name for layer in NETWORK.layers]
    values = values_of(IMAGES[0])
    for layer in report.layers:
        assert layer.values == len(IMAGES) * values[layer.name].size
        assert layer.cycles == layer.predicted_cycles
    logits = [values_of(image)["linear"] for image in IMAGES]
    assert report.classes == tuple(int(each.ravel().argmax()) for each in logits)
    compiled = compile_network(NETWORK, TENSORS, design.core)
    assert report.to_json()["cycles"] == len(IMAGES) * compiled.cycles


def test_levels_that_a_test_accepts_are_not_all_the_same():
    for name, levels in values_of(IMAGES[0]).items():
        assert len(np.unique(levels)) > 2, name


def test_the_first_difference_is_where_the_network_differs(design, tmp_path):
    """The core runs another network than the one that is expected: one code of the second layer differs."""
    other = {**TENSORS, "conv2.weight": TENSORS["conv2.weight"].copy()}
    other["conv2.weight"][1, 2, 0, 1] ^= 15
    compiled = compile_network(NETWORK, other, design.core)
    cut = whole(compiled)
    run = run_core(design, [job(cut)], folder=tmp_path)
    results = check_run(compiled, run.records[0], values_of(IMAGES[0]))
    expected, got = values_of(IMAGES[0])["conv2"], values_of(IMAGES[0], other)["conv2"]
    wrong = expected != got
    channel, row, column = np.argwhere(wrong)[0]
    assert results[0].problem is None
    assert results[1].problem == (
        f"layer 'conv2', channel {channel}, row {row}, column {column}: expected "
        f"{expected[channel, row, column]}, got {got[channel, row, column]}; {wrong.sum() - 1} more of its "
        f"{wrong.size} values differ"
    )
    assert run_problem(run.records[0], results, compiled) == results[1].problem


def test_a_value_that_is_not_written_is_named(design, record):
    compiled = compile_network(NETWORK, TENSORS, design.core)
    # Of the first layer the last write is lost; what lay there before does not count.
    writes = (record.writes[0][:-1], *record.writes[1:])
    lost = dataclasses.replace(record, writes=writes)
    result = check_run(compiled, lost, values_of(IMAGES[0]))[0]
    assert result.first.got is None
    assert result.problem.startswith("layer 'conv1', channel ")
    assert "was not written" in result.problem


def test_a_wrong_count_of_cycles_is_a_problem(design, record):
    compiled = compile_network(NETWORK, TENSORS, design.core)
    ends = record.ends.copy()
    ends[3:, 0] += 1
    results = check_run(compiled, dataclasses.replace(record, ends=ends), values_of(IMAGES[0]))
    assert [result.problem is None for result in results] == [True, True, False, True, True, True]
    assert "the schedule says" in results[2].problem


@pytest.mark.usefixtures("report")
def test_a_second_network_does_not_build_the_simulator_again(design, tmp_path, monkeypatch):
    monkeypatch.setattr(build, "_verilate", None)
    other = small_network(channels=6)
    report = simulate_network(design, other, small_tensors(other, seed=3), IMAGES[:1], folder=tmp_path)
    assert not report.problems


@pytest.mark.parametrize(("first", "last"), [("conv2", "most"), (None, "conv1"), ("mean", None)])
def test_a_range_of_layers_runs_alone(design, tmp_path, first, last):
    report = simulate_network(
        design, NETWORK, TENSORS, IMAGES, first_layer=first, last_layer=last, folder=tmp_path
    )
    names = [layer.name for layer in NETWORK.layers]
    begin = names.index(first) if first else 0
    end = names.index(last) + 1 if last else len(names)
    assert [layer.name for layer in report.layers] == names[begin:end]
    assert not report.problems
    assert (report.classes is None) == (last is not None)


def test_a_range_that_is_none_is_refused(design):
    compiled = compile_network(NETWORK, TENSORS, design.core)
    with pytest.raises(InputError, match=r"^layers: 'conv9' is not one of conv1, conv2"):
        part(NETWORK, compiled, "conv9", None)
    with pytest.raises(InputError, match=r"^layers: 'conv1' comes before 'conv3'$"):
        part(NETWORK, compiled, "conv3", "conv1")


def test_a_slow_memory_costs_stalls_and_nothing_else(design, report, tmp_path):
    late, slow = (
        simulate_network(design, NETWORK, TENSORS, IMAGES, external=external, folder=tmp_path)
        for external in (External(latency_cycles=200), External(bandwidth_256=16))
    )
    assert not late.problems
    assert not slow.problems

    def stalls(report):
        return sum(layer.stalls for layer in report.layers)

    # It is met by the list's first record, the program, and twice by the answer to the results.
    n = len(IMAGES)
    assert 4 * 190 * n <= stalls(late) - stalls(report) <= 4 * 200 * n
    # The program comes before anything can begin, sixteen times as slowly.
    program = compile_network(NETWORK, TENSORS, design.core).transfers[0]["words"]
    assert stalls(slow) > stalls(report) + 15 * program * n


def test_bursts_under_way_hide_the_latency_of_the_memory(design, tmp_path):
    """Each weight is used once: the bus is what limits, and is full, a beat a cycle, however late it answers.

    Of 14 bursts each would cost the latency, were there but one under way.
    """
    outputs, latency = 64, 1000
    layer = LayerSpec(
        name="weights", kind=LayerKind.LINEAR, source="input", act=ACT, weight=WEIGHT, in_channels=432,
        out_channels=outputs, out=ACT,
    )  # fmt: skip
    last = LayerSpec(
        name="logits", kind=LayerKind.LINEAR, source="weights", act=ACT, weight=WEIGHT, in_channels=outputs,
        out_channels=2,
    )  # fmt: skip
    network = NetworkSpec(
        name="weights", input_channels=12, input_height=6, input_width=6, input_act=ACT, layers=(layer, last)
    )  # fmt: skip
    image = np.random.default_rng(0).integers(0, 16, (1, 12, 6, 6))
    tensors = small_tensors(network)
    at_once, late = (
        simulate_network(
            design, network, tensors, image, folder=tmp_path, external=External(latency_cycles=cycles)
        ).layers[0]
        for cycles in (0, latency)
    )
    assert late.problem is None
    assert late.stalls - at_once.stalls <= 2 * latency  # of the list's first record, of the program
    beats = outputs // design.hardware.cols * 432 // design.hardware.lanes
    assert at_once.cycles + at_once.stalls < 1.25 * beats


def test_an_operation_that_cannot_be_executed_is_named(design, tmp_path):
    compiled = compile_network(NETWORK, TENSORS, design.core)
    # Cut to the first layers, so that the program is written anew from the operations.
    operations = list(compiled.operations)
    operations[1] = {**operations[1], "tiles_y": 0, "weights_stay": 1}
    broken = part(NETWORK, dataclasses.replace(compiled, operations=tuple(operations)), None, "most")
    run = run_core(design, [job(broken)], folder=tmp_path)
    (record,) = run.records
    assert record.error is CoreError.BAD_OPERATION
    assert run_problem(record, [], broken.compiled) == (
        "the core stopped in operation 1 (conv2): BAD_OPERATION, an operation's opcode or fields cannot be "
        "executed"
    )


def test_memory_that_is_not_there_is_an_error_of_the_bus(design, tmp_path):
    compiled = compile_network(NETWORK, TENSORS, design.core)
    far = dataclasses.replace(whole(compiled), transfers_offset=1 << 30)
    (record,) = run_core(design, [job(far)], folder=tmp_path).records
    assert record.error is CoreError.BUS_READ


def test_the_duration_is_told_before_the_run(design, tmp_path, monkeypatch):
    told = []

    class Listener(core_simulate.Progress):
        def task(self, description, total=None):
            told.append((description, total))
            return super().task(description, total)

    report = simulate_network(design, NETWORK, TENSORS, IMAGES, folder=tmp_path, progress=Listener())
    cycles = report.to_json()["predicted_cycles"]
    about, run = told[-2:]
    assert about == (f"{cycles:,} cycles, about {report.predicted_seconds:.0f} s", None)
    assert run == ("simulating core_bench", cycles)


def test_a_core_for_programs_of_another_format_is_refused(design, tmp_path, monkeypatch):
    monkeypatch.setattr("pact_hw.design.FIELDS", FIELDS[1:])
    with pytest.raises(InputError, match="the core is for programs of another format; generate it again"):
        simulate_network(design, NETWORK, TENSORS, IMAGES, folder=tmp_path)


def test_networks_do_not_run_on_arrays(design, tmp_path):
    array = write_design(small_core().array, tmp_path)
    with pytest.raises(InputError, match="is an array, not a core; generate it with --core"):
        simulate_network(array, NETWORK, TENSORS, IMAGES, folder=tmp_path)


@pytest.mark.slow
def test_a_window_of_cycles_goes_into_a_waveform(design, tmp_path):
    sizes = []
    for cycles in (50, 500):
        report = simulate_network(
            design, NETWORK, TENSORS, IMAGES, waves=Waves(first_cycle=1000, cycles=cycles), folder=tmp_path
        )
        (file,) = report.files
        sizes.append((tmp_path / "waves" / "core.fst").stat().st_size)
        assert file == str(tmp_path / "waves" / "core.fst")
    assert 0 < sizes[0] < sizes[1]


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="Icarus Verilog is not installed")
def test_a_second_simulator_agrees(design, record, tmp_path):
    """Icarus has unknown values: what is not set before it matters would be seen."""
    compiled = compile_network(NETWORK, TENSORS, design.core)
    run = run_core(design, [job(whole(compiled))], kind=Kind.ICARUS, folder=tmp_path)
    (other,) = run.records
    assert run_problem(other, check_run(compiled, other, values_of(IMAGES[0])), compiled) is None
    assert np.array_equal(other.ends, record.ends)
    for mine, its in zip(record.writes, other.writes, strict=True):
        assert np.array_equal(mine, its)
    assert other.results == record.results
