"""Networks whose activations do not fit: tensors go to memory and come back in strips."""

from dataclasses import replace

import numpy as np
import pytest
from core_networks import big_core, narrowing, random_levels, random_tensors, small_array
from machine_check import check

from pact_hw.compiler import compile_network, examples
from pact_hw.compiler.sizing import core_for
from pact_hw.errors import InputError
from pact_hw.spec import ActFormat, LayerKind, LayerSpec, NetworkSpec, WeightFormat
from pact_hw.spec.program import Destination, Opcode
from pact_hw.spec.registers import BASE_ALIGNMENT

ACT, WEIGHT = ActFormat(bits=4), WeightFormat(bits=4)


def two_convs(size=(27, 7), channels=8):
    def conv(name, source, **more):
        return LayerSpec(
            name=name, kind=LayerKind.CONV, source=source, act=ACT, weight=WEIGHT,
            in_channels=channels, out_channels=channels, kernel=3, padding=1, out=ACT, **more,
        )  # fmt: skip

    last = LayerSpec(
        name="logits", kind=LayerKind.CONV, source="b", act=ACT, weight=WEIGHT, in_channels=channels,
        out_channels=3,
    )  # fmt: skip
    return NetworkSpec(
        name="two", input_channels=channels, input_height=size[0], input_width=size[1], input_act=ACT,
        layers=(conv("a", "input"), conv("b", "a", residual="input", residual_act=ACT), last),
    )  # fmt: skip


NETWORK = two_convs()
TENSORS = random_tensors(NETWORK, 0)


def compiled_in(words, rows=2):
    core = big_core(small_array(rows=rows), activation_words=words)
    return compile_network(NETWORK, TENSORS, core)


@pytest.fixture(scope="module")
def little():
    return compiled_in(90)


def stores(compiled):
    return [fields for fields in compiled.operations if fields["opcode"] == Opcode.STORE]


@pytest.mark.parametrize("eager", [True, False])
def test_a_network_runs_whatever_room_there_is(little, eager):
    check(NETWORK, TENSORS, little, random_levels(NETWORK, 0), eager=eager)
    assert little.activation_words <= 90 < 2 * 27 * 7
    assert set(little.memory) == {"input", "a", "b"}


@pytest.mark.parametrize("size", [(2, 7), (2, 30)])
@pytest.mark.parametrize("eager", [True, False])
def test_strips_that_read_the_same_lines_share_them(size, eager):
    """Both lines of two read both: they are brought once, and stay."""
    network = two_convs(size)
    tensors = random_tensors(network, 0)
    core = big_core(small_array(rows=2), activation_words=4 * size[1] + 2)
    compiled = compile_network(network, tensors, core)
    check(network, tensors, compiled, random_levels(network, 0), eager=eager)
    assert compiled.memory


def test_what_comes_back_has_been_stored_before():
    network = narrowing()
    tensors = random_tensors(network, 0)
    compiled = compile_network(network, tensors, big_core(small_array(rows=2), activation_words=100))
    check(network, tensors, compiled, random_levels(network, 0), eager=True)
    last = compiled.transfers[-2]  # then the weights
    stored = [i for i, fields in enumerate(compiled.operations) if fields["opcode"] == Opcode.STORE]
    assert last["destination"] == Destination.ACTIVATIONS
    assert last["after_operations"] == stored[-1] + 1


def test_strips_are_cut_to_fill_the_rows_of_the_array():
    """Three lines of seven pixels are not a multiple of two: two lines, and one."""
    network = two_convs((9, 7), channels=64)
    tensors = random_tensors(network, 0)
    compiled = compile_network(network, tensors, big_core(small_array(rows=2), activation_words=700))
    assert [len(piece.operations) for piece in compiled.pieces["a"]] == [2, 2, 2]
    check(network, tensors, compiled, random_levels(network, 0))


def test_no_room_is_left_unused():
    whole = compiled_in(1 << 16)
    assert not whole.memory
    assert not stores(whole)
    assert sum(layer.loaded_bytes + layer.stored_bytes for layer in whole.layers) == 0
    again = compiled_in(whole.activation_words)
    assert (again.operations, again.model) == (whole.operations, whole.model)
    assert compiled_in(whole.activation_words - 1).memory


def test_what_is_stored_lies_in_places_of_its_own(little):
    size = little.word_bytes
    image = little.image.placement.words * size
    spans = sorted((fields["memory"], fields["words"] * size) for fields in stores(little))
    ends = [image, *(start + length for start, length in spans)]
    assert all(end <= start for end, (start, _) in zip(ends, spans, strict=False))
    assert ends[-1] == little.memory_bytes == len(little.input_bytes(random_levels(NETWORK, 0)))
    assert all(start % BASE_ALIGNMENT == length % BASE_ALIGNMENT == 0 for start, length in spans)


def test_the_report_has_every_byte(little):
    size = little.word_bytes
    brought = sum(t["words"] for t in little.transfers if t["destination"] == Destination.ACTIVATIONS) * size
    image = little.image.placement.words * size
    assert sum(layer.loaded_bytes for layer in little.layers) == brought - image > 0
    stored = sum(fields["words"] for fields in stores(little)) * size
    assert sum(layer.stored_bytes for layer in little.layers) == stored >= 2 * 27 * 7 * size
    assert little.summary()["stored_bytes"] == stored
    assert max(layer.words for layer in little.layers) <= 90


def test_less_memory_costs_more_traffic_and_never_fails_before_a_line_does():
    loaded = []
    for words in (380, 200, 90, 70):
        compiled = compiled_in(words)
        check(NETWORK, TENSORS, compiled, random_levels(NETWORK, 0))
        loaded.append(sum(layer.loaded_bytes for layer in compiled.layers))
    assert loaded == sorted(loaded)
    # A line of b at a time: three of a, one of the input, one of b in whole bursts.
    with pytest.raises(
        InputError,
        match=r"^layer 'b': a line of its result at a time, with what is in use beside it, takes 36 "
        r"activation words, the core has activation_words 35: generate a core --for this network$",
    ):
        compiled_in(35)


@pytest.mark.parametrize(("part", "stored"), [(2, 20_000), (3, 40_000), (4, 60_000)])
def test_resnet20_with_a_part_of_the_buffer_that_it_takes(part, stored):
    network = examples.resnet20(4)
    tensors = examples.random_tensors(network, 1)
    core = core_for(network, tensors, small_array(4, rows=8, cols=8, lanes=16))
    little = replace(core, activation_words=core.activation_words // part, program_words=1 << 15)
    compiled = compile_network(network, tensors, little)
    check(network, tensors, compiled, random_levels(network, 1))
    assert compiled.summary()["stored_bytes"] > stored
    assert np.isclose(compiled.activation_words, little.activation_words, rtol=0.1)


def test_raw_sums_of_windows_in_strips_have_no_address():
    """Rows of the logits beyond the buffer's size: their addresses would fit no register of the core."""
    conv = two_convs().layers[0]
    logits = LayerSpec(name="logits", kind=LayerKind.SUM, source="a", act=ACT, in_channels=8, out_channels=8)
    network = replace(NETWORK, layers=(conv, logits))
    tensors = random_tensors(network, 0)
    compiled = compile_network(network, tensors, big_core(small_array(), activation_words=40))
    check(network, tensors, compiled, random_levels(network, 0))
    assert any(fields["raw"] and fields["opcode"] == Opcode.SUM for fields in compiled.operations)
