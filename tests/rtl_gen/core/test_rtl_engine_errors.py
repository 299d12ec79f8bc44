"""The engine refuses bad operations, and begins anew after a reset: a small network, one field changed."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pact_hw.compiler import compile_network
from pact_hw.compiler.sizing import core_for, with_fields_for
from pact_hw.spec import ActFormat, LayerKind, LayerSpec, NetworkSpec, WeightFormat
from pact_hw.spec.program import FIELDS, WORDS, Opcode, encode
from pact_hw.spec.registers import CoreError
from rtl_gen.core.sequencer import AT_LEAST_1

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "compiler")]

from core_networks import random_levels, random_tensors  # noqa: E402
from engine_runner import bus_words, check_run, engine_program, run_engine  # noqa: E402
from test_rtl_engine import TWOS, core_of  # noqa: E402

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
