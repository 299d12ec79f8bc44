"""What a compiled network says of itself, on disk and when it does not fit."""

import json
from dataclasses import replace

import numpy as np
import pytest
from core_networks import big_core, random_levels, small_array

from pact_hw.compiler import compile_network, load_compiled, save_compiled
from pact_hw.compiler.examples import random_tensors as example_tensors
from pact_hw.compiler.examples import resnet20, resnet50
from pact_hw.compiler.sizing import core_for, with_fields_for
from pact_hw.errors import InputError
from pact_hw.spec import RequantiserKind, RequantiserSpec, seal, unseal
from pact_hw.spec.core_schedule import operation_cycles
from pact_hw.spec.program import FIELDS, TRANSFER_FIELDS, WORDS, Destination, decode, encode


@pytest.fixture(scope="module")
def compiled():
    network = resnet20()
    tensors = example_tensors(network, 0)
    return compile_network(network, tensors, core_for(network, tensors, small_array()))


def test_the_same_network_gives_the_same_bytes(compiled):
    network = resnet20()
    again = compile_network(network, example_tensors(network, 0), compiled.core)
    assert again == compiled


def test_files_give_back_what_was_compiled(compiled, tmp_path):
    save_compiled(tmp_path, compiled)
    assert load_compiled(tmp_path) == compiled
    levels = random_levels(resnet20(), 3)
    assert load_compiled(tmp_path).input_bytes(levels) == compiled.input_bytes(levels)


@pytest.mark.parametrize("member", ["placements", "pieces", "memory", "layers", "logits", "image"])
def test_another_kind_of_member_is_refused(compiled, tmp_path, member):
    save_compiled(tmp_path, compiled)
    document = tmp_path / "compiled.json"
    body = unseal(json.loads(document.read_text()), name="document")
    document.write_text(json.dumps(seal({**body, member: 7})))
    with pytest.raises(InputError, match=r"^.*compiled\.json: \w+: [^\n]*$"):
        load_compiled(tmp_path)


def test_edited_files_are_refused(compiled, tmp_path):
    save_compiled(tmp_path, compiled)
    model, document = tmp_path / "model.bin", tmp_path / "compiled.json"
    data = model.read_bytes()
    model.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(InputError, match=r"model\.bin: was edited since it was compiled; compile it again$"):
        load_compiled(tmp_path)
    model.unlink()
    with pytest.raises(InputError, match=r"model\.bin: no such file$"):
        load_compiled(tmp_path)
    body = json.loads(document.read_text())
    body["layers"][0]["cycles"] += 1
    document.write_text(json.dumps(body))
    with pytest.raises(InputError, match="does not match its content"):
        load_compiled(tmp_path)


def test_the_program_in_the_image_is_the_operations(compiled):
    records = np.frombuffer(compiled.model[: 32 * len(compiled.transfers)], "<u4").reshape(-1, 8)
    transfers = [decode(TRANSFER_FIELDS, [int(word) for word in record]) for record in records]
    assert tuple(transfers) == compiled.transfers
    first = transfers[0]
    assert first["destination"] == Destination.PROGRAM
    words = np.frombuffer(
        compiled.model, "<u8", first["words"], first["source"]
    ).tolist()  # a bus beat a word
    decoded = [decode(FIELDS, words[i : i + WORDS]) for i in range(0, len(words), WORDS)]
    assert tuple(decoded[:-1]) == compiled.operations
    assert not any(decoded[-1].values())
    assert all(
        encode(FIELDS, fields, WORDS) == words[i * WORDS : (i + 1) * WORDS]
        for i, fields in enumerate(decoded)
    )


def test_reports_add_up(compiled):
    assert [i for layer in compiled.layers for i in layer.operations] == list(range(len(compiled.operations)))
    assert compiled.cycles == sum(operation_cycles(compiled.core, fields) for fields in compiled.operations)
    convolutions = sum(layer.macs for layer in compiled.layers[:-1])
    assert convolutions == 40_550_400  # He et al.: 0.041e9 with the linear layer
    brought = sum(t["words"] * beats(compiled.core, t) for t in compiled.transfers[1:]) * 8
    assert sum(layer.bytes_in for layer in compiled.layers) == brought


def beats(core, transfer):
    bits = {
        Destination.WEIGHTS: core.weight_word_bits,
        Destination.CONSTANTS: core.constant_word_bits,
        Destination.ACTIVATIONS: core.word_bits,
    }
    return -(-bits[Destination(transfer["destination"])] // core.bus_bits)


LITTLE = [
    (
        {"activation_words": 1000},
        r"^layer 'pool': a line of its result at a time, with what is in use beside it, takes 1056 "
        r"activation words, the core has activation_words 1000: generate a core",
    ),
    (
        {"patch_words": 16},
        r"^layer 'layer\w+': what one output pixel reads takes \d+ .* patch_words 16: generate a core",
    ),
    (
        {"weight_words": 16},
        r"^layer '\w+': the weights of 8 output channels take \d+ .* weight_words 16: generate a core",
    ),
    ({"constant_words": 4}, r"^constant_words must be an integer from 16 to 16777216, not 4$"),
    (
        {"program_words": 800},
        r"^the network's \d+ operations take \d+ words .* program_words 800: generate a core",
    ),
    ({"widest_act_bits": 8}, r"^layer 'pool' has levels of 14 bits, the core of at most 8: generate a core"),
    (
        {"widest_weight_bits": 4},
        r"^layer 'conv1' has weights of 8 bits, the core of at most 4: generate a core",
    ),
    ({"requantised_bits": 19}, r"^layer '\w+' has sums of 2\d bits, the core of at most 19: generate a core"),
]


@pytest.mark.parametrize(("little", "message"), LITTLE)
def test_a_network_that_does_not_fit_is_refused(compiled, little, message):
    network = resnet20()
    with pytest.raises(InputError, match=message):
        compile_network(network, example_tensors(network, 0), replace(compiled.core, **little))


@pytest.mark.parametrize("name", ["mult_bits", "residual_mult_bits", "residual_bits", "requantised_bits"])
def test_a_core_for_a_network_has_no_bit_too_many(name):
    network = resnet20(8)
    tensors = example_tensors(network, 0)
    core = core_for(network, tensors, small_array(8))
    compile_network(network, tensors, core)
    if hasattr(core, name):
        less = {name: getattr(core, name) - 1}
    else:
        smaller = replace(core.requantiser, **{name: getattr(core.requantiser, name) - 1})
        less = {"array": replace(core.array, requantiser=smaller)}
    assert core.requantised_bits < core.sum_bits
    with pytest.raises(InputError):
        compile_network(network, tensors, replace(core, **less))


def test_fields_no_wider_than_a_program_has_them(compiled):
    network = resnet20()
    tensors = example_tensors(network, 0)
    core = with_fields_for(network, tensors, compiled.core)
    assert compile_network(network, tensors, core).operations == compiled.operations
    assert sum(core.field_bits) < 0.7 * sum(field.bits for field in FIELDS)
    for number, field in enumerate(FIELDS):
        most = max(fields[field.name] for fields in compiled.operations)
        if field.signed or most < 2:
            continue
        bits = list(core.field_bits)
        bits[number] -= 1
        with pytest.raises(
            InputError, match=rf"^layer '\w+': {field.name} of an operation is \d+, the core has"
        ):
            compile_network(network, tensors, replace(core, field_bits=tuple(bits)))


REQUANTISERS = [
    (
        {"mult_bits": 8},
        r"^layer 'conv1' has mult -?\d+, the core's requantiser 8 bits for it: generate a core",
    ),
    ({"add_bits": 8}, r"^layer 'conv1' has add -?\d+, the core's requantiser 8 bits for it: generate a core"),
    (
        {"max_shift": 19},
        r"^layer 'conv1' shifts by 20, the core's requantiser by at most 19: generate a core",
    ),
]


@pytest.mark.parametrize(("narrow", "message"), REQUANTISERS)
def test_constants_that_the_requantiser_cannot_hold(compiled, narrow, message):
    network, array = resnet20(), compiled.core.array
    core = replace(compiled.core, array=replace(array, requantiser=replace(array.requantiser, **narrow)))
    with pytest.raises(InputError, match=message):
        compile_network(network, example_tensors(network, 0), core)


def test_thresholds_are_refused_by_name():
    network = resnet20()
    layers = list(network.layers)
    layers[3] = replace(layers[3], requantiser=RequantiserKind.THRESHOLD)
    core = big_core(small_array(), widest_act_bits=14)
    with pytest.raises(InputError, match=r"^layer 'layer1_1_conv1': thresholds are not on this core"):
        compile_network(replace(network, layers=tuple(layers)), example_tensors(network, 0), core)


def test_reductions_longer_than_the_array_is_exact_for():
    network = resnet20()
    core = big_core(replace(small_array(), max_reduction=500, acc_bits=0), widest_act_bits=14)
    with pytest.raises(
        InputError, match=r"^layer 'layer3_0_conv2' adds up 576 products, the core at most 500"
    ):
        compile_network(network, example_tensors(network, 0), core)


@pytest.mark.parametrize(
    ("rows", "cols", "lanes"), [(8, 8, 16), pytest.param(16, 16, 1, marks=pytest.mark.slow)]
)
def test_resnet50_keeps_the_array_busy(rows, cols, lanes):
    network = resnet50()
    tensors = example_tensors(network, 0)
    wide = RequantiserSpec(mult_bits=32, add_bits=48, level_bits=14, residual_bits=14)
    array = replace(small_array(rows=rows, cols=cols, lanes=lanes), requantiser=wide)
    core = big_core(
        array, widest_act_bits=14, activation_words=1 << 18, patch_words=512, weight_words=1 << 15,
        constant_words=512,
    )  # fmt: skip
    compiled = compile_network(network, tensors, core, bus_limited=False)
    assert compiled.convolutions > 0.85
    assert sum(layer.macs for layer in compiled.layers[:-1]) == 4_087_136_256
