"""How images, tensors, weights and words are laid out."""

from dataclasses import replace

import numpy as np
import pytest
from core_networks import big_core, random_levels, random_tensors, small_array
from hypothesis import given
from hypothesis import strategies as st
from machine_check import check

from pact_hw.compiler import compile_network
from pact_hw.compiler.allocation import Life, allocate
from pact_hw.compiler.sizing import core_for
from pact_hw.compiler.weights import from_bytes, slices, to_bits, to_bytes
from pact_hw.errors import InputError
from pact_hw.golden.matmul import decode_weights
from pact_hw.spec import (
    ActEncoding,
    ActFormat,
    LayerKind,
    LayerSpec,
    NetworkSpec,
    WeightEncoding,
    WeightFormat,
)


def one_conv(*, c=3, k=5, kernel=3, stride=1, padding=1, size=(9, 8), weight=None, act=None):
    act = act or ActFormat(bits=8, encoding=ActEncoding.SYMMETRIC)
    conv = LayerSpec(
        name="conv", kind=LayerKind.CONV, source="input", act=act, weight=weight or WeightFormat(bits=8),
        in_channels=c, out_channels=k, kernel=kernel, stride=stride, padding=padding, out=ActFormat(bits=4),
    )  # fmt: skip
    out = conv.out_shape((c, *size))
    linear = LayerSpec(
        name="logits", kind=LayerKind.LINEAR, source="conv", act=conv.out, weight=WeightFormat(bits=8),
        in_channels=int(np.prod(out)), out_channels=3,
    )  # fmt: skip
    return NetworkSpec(
        name="one", input_channels=c, input_height=size[0], input_width=size[1], input_act=act,
        layers=(conv, linear),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("lanes", "kernel", "stride", "taps", "strips"),
    [
        (16, 7, 2, 0, 6),  # as ResNet-50's: 10 beats instead of 14, in strips
        (16, 3, 1, 3, 1),  # 3 beats, and the rows' 4 are what counts: the smaller of two
        (1, 3, 1, None, 1),  # nothing to fill
    ],
)
def test_images_of_few_channels_fill_the_lanes(lanes, kernel, stride, taps, strips):
    network = one_conv(kernel=kernel, stride=stride, padding=kernel // 2, size=(24, 20))
    tensors = random_tensors(network, 0)
    compiled = compile_network(network, tensors, big_core(small_array(lanes=lanes, cols=4)))
    fold = compiled.image.fold
    assert (fold and fold.taps, compiled.image.strips) == (taps, strips)
    for eager in (False, True):
        check(network, tensors, compiled, random_levels(network, 0), eager=eager)


@given(st.integers(1, 8), st.integers(1, 5), st.integers(0, 99))
def test_odd_slices_compose_exactly(bits, array_bits, seed):
    layer = one_conv(weight=WeightFormat(bits=bits)).layers[0]
    codes = np.random.default_rng(seed).integers(0, 1 << bits, (4, 3))
    array = WeightFormat(bits=array_bits)
    found = slices(layer, codes, array, 8)
    assert len(found) == -(-bits // array_bits)
    values = sum(decode_weights(part, array) << array_bits * j for j, part in enumerate(found))
    assert np.array_equal(values, decode_weights(codes, layer.weight))


@given(st.integers(1, 8), st.integers(2, 5), st.sampled_from(WeightEncoding), st.integers(0, 99))
def test_signed_digits_compose_exactly(bits, array_bits, encoding, seed):
    layer = one_conv(weight=WeightFormat(bits=bits, encoding=encoding)).layers[0]
    codes = np.random.default_rng(seed).integers(0, 1 << bits, (4, 3))
    array = WeightFormat(bits=array_bits, encoding=WeightEncoding.TWOS_COMPLEMENT)
    found = slices(layer, codes, array, 16)
    values = sum(decode_weights(part, array) << array_bits * j for j, part in enumerate(found))
    assert np.array_equal(values, decode_weights(codes, layer.weight))


def test_weights_that_slices_cannot_compose():
    layer = one_conv(weight=WeightFormat(bits=4, encoding=WeightEncoding.TWOS_COMPLEMENT)).layers[0]
    with pytest.raises(
        InputError, match=r"^layer 'conv': twos-complement weights cannot run on an array of odd"
    ):
        slices(layer, np.array([1]), WeightFormat(bits=4), 4)
    ones = WeightFormat(bits=1, encoding=WeightEncoding.TWOS_COMPLEMENT)
    with pytest.raises(InputError, match=r"^layer 'conv': weights above 0 cannot run on an array of 1-bit"):
        slices(layer, np.array([1]), ones, 4)
    with pytest.raises(
        InputError, match=r"^layer 'conv': its 8-bit weights take 4 slices of 2 bits, the core"
    ):
        slices(one_conv().layers[0], np.array([1]), WeightFormat(bits=2), 3)


@given(st.integers(1, 12), st.integers(1, 9), st.integers(0, 5), st.integers(0, 99))
def test_words_hold_what_was_put_in(bits, elements, more, seed):
    values = np.random.default_rng(seed).integers(0, 1 << bits, (5, elements))
    size = -(-bits * elements // 8) + more
    data = to_bytes([to_bits(values, bits)], size)
    assert len(data) == 5 * size
    assert int.from_bytes(data[:size], "little") == sum(int(v) << bits * i for i, v in enumerate(values[0]))
    assert np.array_equal(from_bytes(data, size, bits, elements), values)


@given(st.lists(st.tuples(st.integers(1, 20), st.integers(0, 9), st.integers(0, 5)), min_size=1, max_size=12))
def test_tensors_that_live_at_once_do_not_overlap(drawn):
    lives = {str(i): Life(words, first, first + more) for i, (words, first, more) in enumerate(drawn)}
    need, bases = allocate(lives)
    for operation in range(16):
        alive = sorted((bases[n], x.words) for n, x in lives.items() if x.first <= operation <= x.last)
        ends = [base + words for base, words in alive]
        assert all(end <= base for end, (base, _) in zip(ends, alive[1:], strict=False))
        assert max(ends, default=0) <= need


def test_a_pixel_beside_the_image_is_level_0():
    """Signed levels come with their padding: code -min where a channel is, 0 where none is."""
    network = one_conv(c=20, size=(3, 3))
    compiled = compile_network(network, random_tensors(network, 0), big_core(small_array(lanes=8, cols=8)))
    words = compiled.image.words(random_levels(network, 0)).reshape(5, 5, 2, 3, 8)
    corner = words[0, 0, 0] + (words[0, 0, 1].astype(int) << 4)
    assert corner.ravel().tolist() == [127] * 20 + [0] * 4
    assert not replace(compiled.image.placement, low=0).low


def test_images_beyond_what_a_line_of_the_program_holds():
    """300 x 300 pixels are not flattened to one line, nor cut into more tiles than can be counted."""
    act = ActFormat(bits=4)
    network = one_conv(c=4, k=4, kernel=1, padding=0, size=(300, 300), act=act, weight=WeightFormat(bits=4))
    pool = LayerSpec(
        name="logits", kind=LayerKind.SUM, source="conv", act=act, in_channels=4, out_channels=4, kernel=1,
        stride=150,
    )  # fmt: skip
    network = replace(network, layers=(network.layers[0], pool))
    core = big_core(small_array(rows=2), activation_words=1 << 20)
    compiled = compile_network(network, random_tensors(network, 0), core)
    assert compiled.operations[0]["source_height"] == 300


def test_what_no_field_holds_names_its_layer():
    act = ActFormat(bits=4)
    pool = LayerSpec(
        name="logits", kind=LayerKind.SUM, source="input", act=act, in_channels=4, out_channels=4, kernel=256
    )  # fmt: skip
    network = NetworkSpec(
        name="pool", input_channels=4, input_height=256, input_width=256, input_act=act, layers=(pool,)
    )  # fmt: skip
    with pytest.raises(InputError, match=r"^layer 'logits' adds up 65536 products, the core at most 4608: "):
        compile_network(network, {}, big_core(small_array(), activation_words=1 << 20))
    array = small_array(max_reduction=1 << 16)
    with pytest.raises(
        InputError, match=r"^layer 'logits': grid_y in a program must be from 0 to 255, not 256$"
    ):
        compile_network(network, {}, big_core(array, activation_words=1 << 20))


def test_logits_of_an_image_that_is_cut():
    act = ActFormat(bits=4)
    layer = LayerSpec(
        name="logits", kind=LayerKind.CONV, source="input", act=act, weight=WeightFormat(bits=4),
        in_channels=64, out_channels=64, kernel=3, padding=1,
    )  # fmt: skip
    network = NetworkSpec(
        name="cut", input_channels=64, input_height=14, input_width=14, input_act=act, layers=(layer,)
    )  # fmt: skip
    tensors = random_tensors(network, 0)
    compiled = compile_network(network, tensors, big_core(small_array(rows=8)))
    assert len(compiled.operations) == 2
    check(network, tensors, compiled, random_levels(network, 0))


def test_a_sum_with_a_residual_operand_is_a_product_where_weights_can_be_0():
    act = ActFormat(bits=4)
    pool = LayerSpec(
        name="pool", kind=LayerKind.SUM, source="input", act=act, in_channels=20, out_channels=20, kernel=3,
        stride=2, padding=1, out=ActFormat(bits=6), residual="input", residual_act=act, residual_stride=2,
    )  # fmt: skip
    logits = LayerSpec(
        name="logits", kind=LayerKind.SUM, source="pool", act=pool.out, in_channels=20, out_channels=20
    )
    network = NetworkSpec(
        name="sums", input_channels=20, input_height=7, input_width=5, input_act=act, layers=(pool, logits)
    )  # fmt: skip
    tensors = random_tensors(network, 0)
    twos = WeightFormat(bits=4, encoding=WeightEncoding.TWOS_COMPLEMENT)
    array = replace(small_array(), weight=twos, acc_bits=0)
    for core in (big_core(array), core_for(network, tensors, array)):
        compiled = compile_network(network, tensors, core)
        assert compiled.network_digest == network.digest
        check(network, tensors, compiled, random_levels(network, 0))
    with pytest.raises(InputError, match=r"^layer 'pool': a sum layer has no residual operand on this core"):
        compile_network(network, tensors, big_core(small_array()))
