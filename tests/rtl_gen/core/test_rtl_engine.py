"""The engine runs compiled networks bit by bit, in the predicted cycles, and refuses bad operations."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from pact_hw.compiler import compile_network
from pact_hw.compiler.sizing import core_for, with_fields_for
from pact_hw.errors import InputError
from pact_hw.spec import (
    ActFormat,
    CoreSpec,
    HardwareSpec,
    LayerKind,
    LayerSpec,
    MacKind,
    NetworkSpec,
    RequantiserSpec,
    WeightEncoding,
    WeightFormat,
)
from pact_hw.spec.core import Depthwise
from pact_hw.spec.program import FIELDS, WORDS, Opcode, encode
from pact_hw.spec.registers import CoreError
from pact_hw.tools import verilator
from rtl_gen.core.emit import verilog_text
from rtl_gen.core.engine import Engine
from rtl_gen.core.sequencer import AT_LEAST_1

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "compiler")]

from core_networks import networks, random_levels, random_tensors  # noqa: E402
from engine_runner import bus_words, check_run, engine_program, run_engine  # noqa: E402

ODD, TWOS = WeightEncoding.ODD, WeightEncoding.TWOS_COMPLEMENT
SHAPES = {  # rows, cols, lanes, act bits, weight bits
    "tiny": (2, 2, 2, 4, 4, ODD),
    "wide": (4, 4, 8, 2, 2, ODD),
    "one lane": (3, 4, 1, 4, 2, ODD),
    "whole": (4, 2, 4, 8, 8, TWOS),
    "uneven": (6, 8, 2, 3, 2, TWOS),
    "binary": (2, 4, 4, 1, 1, ODD),
    "pairs": (4, 4, 4, 4, 4, TWOS),
    "one requantiser": (4, 4, 4, 4, 4, ODD),
    "two requantisers": (2, 8, 2, 2, 4, ODD),
    "composable": (3, 4, 2, 8, 8, ODD),
    "three modes": (4, 4, 1, 8, 8, TWOS),
    "more columns": (2, 8, 1, 8, 8, ODD),
    "composable and wide": (2, 2, 1, 16, 16, ODD),
    "diagonal": (4, 4, 1, 4, 4, ODD),
    "diagonal pairs": (4, 4, 8, 4, 4, TWOS),
}
MORE = {
    # Addresses have more bits than the fields of lines and pixels.
    "tiny": {"activation_words": 1 << 17, "residual_mult_bits": 31},
    # No size is a power of two.
    "uneven": {"activation_words": 8001, "patch_words": 777, "weight_words": 1555, "constant_words": 99},
    "one requantiser": {"requantisers": 1},
    "two requantisers": {"requantisers": 2},
    "more columns": {"requantisers": 2, "residual_mult_bits": 22},
    "pairs": {"requantised_bits": 25},
    "composable and wide": {"widest_act_bits": 16, "widest_weight_bits": 16},
    "diagonal": {"depthwise": Depthwise.DIAGONAL},
    "diagonal pairs": {"depthwise": Depthwise.DIAGONAL, "requantisers": 2},
}
NARROWEST = {"composable": 4, "three modes": 2, "more columns": 2, "composable and wide": 4}


def core_of(shape, **sizes):
    rows, cols, lanes, act, weight, encoding = SHAPES[shape]
    array = HardwareSpec(
        act=ActFormat(bits=act), weight=WeightFormat(bits=weight, encoding=encoding), rows=rows, cols=cols,
        lanes=lanes, name="core", max_reduction=4608,
        requantiser=RequantiserSpec(level_bits=max(8, act), residual_bits=max(8, act)),
        mac_kind=MacKind.COMPOSABLE if shape in NARROWEST else MacKind.FIXED,
        narrowest_bits=NARROWEST.get(shape, 0),
    )  # fmt: skip
    members = {"activation_words": 8192, "patch_words": 1024, "weight_words": 2048}
    members |= MORE.get(shape, {}) | sizes
    return CoreSpec(array=array, **members)


def depthwise(random, encoding):
    """Depthwise convolutions of all kinds, and what joins their channels."""
    channels, size = int(random.integers(1, 40)), int(random.integers(5, 10))
    kernel, lowest = int(random.choice([1, 2, 3, 5])), 1 if encoding is ODD else 2
    act, out = (ActFormat(bits=int(random.integers(1, 9))) for _ in range(2))
    weight = WeightFormat(bits=int(random.integers(lowest, 8)), encoding=encoding)
    conv = {"kind": LayerKind.CONV, "weight": weight}
    first = LayerSpec(
        name="first", source="input", act=act, in_channels=channels, out_channels=channels, groups=channels,
        kernel=kernel, stride=int(random.integers(1, 3)), padding=int(random.integers(0, kernel // 2 + 1)),
        out=out, **conv,
    )  # fmt: skip
    _, y, x = first.out_shape((channels, size, size))
    joined = LayerSpec(
        name="joined", source="first", act=out, in_channels=channels, out_channels=6, out=act, **conv
    )
    second = LayerSpec(
        name="second", source="joined", act=act, in_channels=6, out_channels=6, groups=6,
        kernel=min(3, y), padding=int(y > 2), out=act, **conv,
    )  # fmt: skip
    _, y, x = second.out_shape((6, y, x))
    logits = LayerSpec(
        name="logits", kind=LayerKind.LINEAR, source="second", act=act, weight=weight,
        in_channels=6 * y * x, out_channels=3,
    )  # fmt: skip
    return NetworkSpec(
        name="depthwise", input_channels=channels, input_height=size, input_width=size, input_act=act,
        layers=(first, joined, second, logits),
    )  # fmt: skip


def run_compiled(core, network, number, folder, waits=(0.0, 0.0)):
    """Compile ``network``, run it on the engine and check all; the operations."""
    tensors, levels = random_tensors(network, number), random_levels(network, number)
    compiled = compile_network(network, tensors, core)
    lines = bus_words(core, compiled.transfers, compiled.model, compiled.input_bytes(levels))
    gap, held = waits
    output, end = run_engine(engine_program(core), folder, lines, seed=number % 1000, gap=gap, held=held)
    check_run(core, network, tensors, levels, compiled, output, end)
    return compiled.operations


@pytest.mark.parametrize(
    "shape", ["tiny", *(pytest.param(shape, marks=pytest.mark.slow) for shape in SHAPES if shape != "tiny")]
)
def test_random_networks_bit_by_bit_and_cycle_by_cycle(shape, tmp_path):
    core = core_of(shape)
    ran = 0

    @seed(1)
    @settings(
        max_examples=25, phases=[Phase.generate], suppress_health_check=list(HealthCheck), database=None
    )
    @given(st.data(), st.integers(0, 1 << 30), st.sampled_from([(0, 0), (0.5, 0.5), (0.9, 0.2)]))
    def check(data, number, waits):
        nonlocal ran
        network = data.draw(networks(odd=core.array.weight.encoding is ODD))
        try:
            run_compiled(core, network, number, tmp_path, waits)
        except InputError:
            return
        ran += 1

    check()
    assert ran > 10


@pytest.mark.slow
@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape.startswith("diagonal")])
def test_depthwise_networks_along_the_diagonal(shape, tmp_path):
    core = core_of(shape)
    for number in range(20):
        network = depthwise(np.random.default_rng(number), core.array.weight.encoding)
        operations = run_compiled(core, network, number, tmp_path, (0.3, 0.2) if number % 2 else (0, 0))
        assert sum(fields["diagonal"] for fields in operations) == 2


ACT = ActFormat(bits=4)
WEIGHT = WeightFormat(bits=4)
SIGNED = WeightFormat(bits=4, encoding=TWOS)
SMALL = NetworkSpec(
    name="small", input_channels=2, input_height=5, input_width=5, input_act=ACT,
    layers=(
        LayerSpec(name="conv", kind=LayerKind.CONV, source="input", act=ACT, weight=WEIGHT, in_channels=2,
                  out_channels=3, kernel=3, padding=1, out=ACT),
        LayerSpec(name="pool", kind=LayerKind.MAX, source="conv", act=ACT, in_channels=3, out_channels=3,
                  kernel=2, stride=2, out=ACT),
        LayerSpec(name="logits", kind=LayerKind.LINEAR, source="pool", act=ACT, weight=WEIGHT,
                  in_channels=12, out_channels=3),
    ),
)  # fmt: skip


@pytest.fixture(scope="module")
def small():
    """A core, its simulator, a network's tensors and levels, and it compiled."""
    core = core_of("tiny")
    tensors, levels = random_tensors(SMALL, 1), random_levels(SMALL, 1)
    return core, engine_program(core), tensors, levels, compile_network(SMALL, tensors, core)


def run_changed(small, folder, operation, changes, *, limit=20_000):
    """Run the small network with fields of one operation changed."""
    core, program, _, levels, compiled = small
    lines = bus_words(core, compiled.transfers, compiled.model, compiled.input_bytes(levels))
    words = encode(FIELDS, {**compiled.operations[operation], **changes}, WORDS)
    for number, word in enumerate(words):
        address = operation * WORDS + number
        lines[address] = f"w 0 {address} 0 1 {word:x}"
    return run_engine(program, folder, lines, limit=limit)


def test_the_check_sees_one_wrong_level(small, tmp_path):
    core, _, tensors, levels, compiled = small
    output, end = run_changed(small, tmp_path, 0, {})
    check_run(core, SMALL, tensors, levels, compiled, output, end)
    first = next(line for line in output if line[0] == "o")
    first[4] = f"{int(first[4], 16) ^ 1:x}"
    with pytest.raises(AssertionError, match="conv"):
        check_run(core, SMALL, tensors, levels, compiled, output, end)


@pytest.mark.parametrize("cycle", [0, 1, 40, *range(100, 1000, 97)])
def test_a_reset_in_the_middle_leaves_nothing_behind(small, tmp_path, cycle):
    core, program, tensors, levels, compiled = small
    lines = bus_words(core, compiled.transfers, compiled.model, compiled.input_bytes(levels))
    output, end = run_engine(program, tmp_path, lines, gap=0.2, held=0.5, restart=cycle)
    assert end["cycles"] > cycle or cycle > 900
    check_run(core, SMALL, tensors, levels, compiled, output, end)


@pytest.mark.parametrize("operation", [0, 1])
@pytest.mark.parametrize("name", sorted(AT_LEAST_1))
def test_a_count_of_zero_is_an_error(small, tmp_path, name, operation):
    _, end = run_changed(small, tmp_path, operation, {name: 0})
    assert (end["error"], end["operations"]) == (CoreError.BAD_OPERATION, operation)


@pytest.mark.parametrize(
    ("operation", "changes", "error"),
    [
        (0, {"out": 1 << 26}, CoreError.BAD_OPERATION),  # does not fit its register
        (0, {"out_planes": 2, "drain_step": 1}, CoreError.BAD_OPERATION),
        (0, {"act_slices": 3}, CoreError.BAD_OPERATION),
        (0, {"source": (1 << 17) - 2}, CoreError.ADDRESS_RANGE),
        (0, {"out": (1 << 17) - 2}, CoreError.ADDRESS_RANGE),
        (1, {"residual": (1 << 17) - 1}, CoreError.ADDRESS_RANGE),
        (0, {"constants": 127, "n_tiles": 3}, CoreError.ADDRESS_RANGE),
        (0, {"patch_y": 1500}, CoreError.ADDRESS_RANGE),  # more than a patch holds
        (0, {"opcode": 5}, CoreError.BAD_OPERATION),
        (1, {"opcode": Opcode.STORE, "source": (1 << 17) - 2, "words": 4}, CoreError.ADDRESS_RANGE),
        (1, {"opcode": Opcode.STORE, "words": 1 << 20}, CoreError.BAD_OPERATION),
        (0, {"kernel_y": 2000}, None),  # waits for weights that do not come: the watchdog's matter
    ],
)
def test_bad_operations_end_in_an_error(small, tmp_path, operation, changes, error):
    _, end = run_changed(small, tmp_path, operation, changes)
    if error is None:
        assert (end["ended"], end["error"]) == (0, 0)
        assert end["stalls"] > 15_000
        return
    assert (end["error"], end["operations"]) == (error, operation)


def test_fields_as_narrow_as_a_program(small, tmp_path):
    array, _, tensors, levels, _ = small
    core = with_fields_for(SMALL, tensors, core_for(SMALL, tensors, array.array))
    compiled = compile_network(SMALL, tensors, core)
    lines = bus_words(core, compiled.transfers, compiled.model, compiled.input_bytes(levels))
    output, end = run_engine(engine_program(core), tmp_path, lines, gap=0.3, held=0.3)
    check_run(core, SMALL, tensors, levels, compiled, output, end)
    made = core, engine_program(core), tensors, levels, compiled
    bits = core.field_bits[[field.name for field in FIELDS].index("n_tiles")]
    _, end = run_changed(made, tmp_path, 0, {"n_tiles": 1 << bits})
    assert (end["error"], end["operations"]) == (CoreError.BAD_OPERATION, 0)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mode", "out_mode", "residual_mode"])
def test_a_mode_that_is_not_there_is_an_error(tmp_path, name):
    core = core_of("three modes")
    network = replace(SMALL, layers=tuple(replace(x, weight=x.weight and SIGNED) for x in SMALL.layers))
    tensors, levels = random_tensors(network, 1), random_levels(network, 1)
    compiled = compile_network(network, tensors, core)
    made = core, engine_program(core), tensors, levels, compiled
    _, end = run_changed(made, tmp_path, 0, {})
    assert (end["ended"], end["error"]) == (1, 0)
    _, end = run_changed(made, tmp_path, 0, {name: 3})
    assert (end["error"], end["operations"]) == (CoreError.BAD_OPERATION, 0)


def test_weights_that_cannot_come_are_an_error(small, tmp_path):
    core, program, _, levels, compiled = small
    lines = bus_words(core, compiled.transfers, compiled.model, compiled.input_bytes(levels))
    words = encode(FIELDS, {**compiled.operations[0], "kernel_y": 2000}, WORDS)
    lines[:WORDS] = [f"w 0 {number} 0 1 {word:x}" for number, word in enumerate(words)]
    at = next(number for number, line in enumerate(lines) if line.startswith("w 1"))
    lines = [*lines[:at], *[lines[at]] * (core.weight_words + 10)]
    _, end = run_engine(program, tmp_path, lines, limit=20_000)
    assert end["error"] == CoreError.WEIGHTS_MISSING


def test_a_program_without_an_end_is_an_error(small, tmp_path):
    core, program, _, _, compiled = small
    fields = {**compiled.operations[1], "after_transfers": 0}
    words = encode(FIELDS, fields, WORDS) * (core.program_words // WORDS)
    lines = [f"w 0 {number} 0 1 {word:x}" for number, word in enumerate(words)]
    rest = range(len(words), core.program_words)
    lines += [f"w 0 {number} 0 1 {int(Opcode.MAX):x}" for number in rest]
    _, end = run_engine(program, tmp_path, [*lines, "t"], limit=200_000)
    assert end["error"] in (CoreError.ADDRESS_RANGE, CoreError.BAD_OPERATION)


@pytest.mark.parametrize("shape", ["tiny", pytest.param("whole", marks=pytest.mark.slow)])
def test_the_verilog_is_lint_clean(shape, tmp_path):
    core = core_of(shape)
    path = tmp_path / "engine.v"
    path.write_text(verilog_text(core, Engine(core)))
    tool = verilator()
    done = subprocess.run(
        [str(tool.path), "--lint-only", "-Wall", "--top-module", "core_engine", str(path)],
        env={**os.environ, **tool.environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
