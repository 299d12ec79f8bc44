"""Convolutions in which each channel is a group of its own."""

from dataclasses import replace

import numpy as np
import pytest
from core_networks import big_core, random_levels, random_tensors, small_array
from machine_check import check

from pact_hw.compiler import compile_network, examples
from pact_hw.compiler.sizing import core_for
from pact_hw.spec import ActFormat, LayerKind, LayerSpec, NetworkSpec, WeightEncoding, WeightFormat
from pact_hw.spec.core import Depthwise


def depthwise(*, channels=40, act_bits=4, kernel=3, stride=1, weight=None):
    act, size = ActFormat(bits=act_bits), 9
    layer = LayerSpec(
        name="dw", kind=LayerKind.CONV, source="input", act=act, weight=weight or WeightFormat(bits=4),
        in_channels=channels, out_channels=channels, groups=channels, kernel=kernel, stride=stride,
        padding=kernel // 2, out=ActFormat(bits=4),
    )  # fmt: skip
    _, y, x = layer.out_shape((channels, size, size))
    last = LayerSpec(
        name="logits", kind=LayerKind.LINEAR, source="dw", act=layer.out, weight=WeightFormat(bits=4),
        in_channels=channels * y * x, out_channels=3,
    )  # fmt: skip
    return NetworkSpec(
        name="dw", input_channels=channels, input_height=size, input_width=size, input_act=act,
        layers=(layer, last),
    )  # fmt: skip


@pytest.mark.parametrize(("cols", "lanes"), [(4, 8), (8, 8), (8, 2), (16, 1)])
@pytest.mark.parametrize(
    "shape",
    [{}, {"act_bits": 7, "kernel": 5}, {"stride": 2}, {"act_bits": 3}, {"weight": WeightFormat(bits=8)}],
    ids=["plain", "planes", "stride", "narrow", "slices"],
)
def test_a_word_of_channels_at_a_time(cols, lanes, shape):
    network = depthwise(**shape)
    tensors = random_tensors(network, 1)
    core = core_for(network, tensors, small_array(cols=cols, lanes=lanes), depthwise=Depthwise.DIAGONAL)
    compiled = compile_network(network, tensors, core)
    levels = check(network, tensors, compiled, random_levels(network, 1))
    assert len(np.unique(levels["dw"])) > 3
    assert [fields["diagonal"] for fields in compiled.operations] == [1, 0]
    if not shape:  # the next word of channels is loaded while one is computed
        assert compiled.operations[0]["constants_tile_x"] > 0


def test_twos_complement_weights():
    weight = WeightFormat(bits=6, encoding=WeightEncoding.TWOS_COMPLEMENT)
    network = depthwise(weight=weight)
    network = replace(network, layers=(network.layers[0], replace(network.layers[1], weight=weight)))
    array = replace(small_array(), weight=replace(weight, bits=4), acc_bits=0)
    tensors = random_tensors(network, 1)
    compiled = compile_network(network, tensors, big_core(array, depthwise=Depthwise.DIAGONAL))
    check(network, tensors, compiled, random_levels(network, 1))


def test_a_core_without_that_takes_a_channel_at_a_time():
    network = depthwise(channels=5)
    tensors = random_tensors(network, 1)
    compiled = compile_network(network, tensors, big_core(small_array()))
    assert len(compiled.operations) == 6
    check(network, tensors, compiled, random_levels(network, 1))


def test_a_wrong_level_is_seen():
    """The check itself would notice."""
    network = depthwise()
    tensors = random_tensors(network, 1)
    compiled = compile_network(network, tensors, big_core(small_array()))
    wrong = {**tensors, "dw.add": tensors["dw.add"] + (1 << 12)}
    with pytest.raises(AssertionError, match="dw"):
        check(network, wrong, compiled, random_levels(network, 1))


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(8, 8, 16), (16, 16, 1)])
def test_mobilenet(shape):
    network = examples.mobilenet(size=64)
    tensors = examples.random_tensors(network, 0)
    array = small_array(**dict(zip(("rows", "cols", "lanes"), shape, strict=True)))
    core = core_for(network, tensors, array, depthwise=Depthwise.DIAGONAL)
    check(network, tensors, compile_network(network, tensors, core), random_levels(network, 0))
