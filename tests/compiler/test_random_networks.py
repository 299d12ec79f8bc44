"""Compiled networks on a plain functional core hold exactly the reference's levels, every layer."""

from dataclasses import replace

import numpy as np
import pytest
from core_networks import (
    arrays,
    big_core,
    composable_arrays,
    networks,
    random_levels,
    random_tensors,
    small_array,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from machine_check import check

from pact_hw.compiler import compile_network, examples
from pact_hw.compiler.sizing import core_for
from pact_hw.errors import InputError
from pact_hw.spec import WeightEncoding
from pact_hw.spec.core import Depthwise

REFUSED = (
    "the core's requantiser", "residual operand", "cannot be placed", "slices of", "more than",
    "a line of its result",
)  # fmt: skip


def draw_and_check(data, seed, eager, tight, little=False):
    array = data.draw(arrays() | composable_arrays())
    network = data.draw(networks(odd=array.weight.encoding is WeightEncoding.ODD))
    tensors = random_tensors(network, seed)
    depthwise = Depthwise.NONE if array.modes else data.draw(st.sampled_from(Depthwise))
    try:
        if tight:
            core = core_for(network, tensors, array, depthwise=depthwise)
        else:
            core = big_core(array, depthwise=depthwise)
        compiled = compile_network(network, tensors, core)
        if little:
            words = max(16, compiled.activation_words * data.draw(st.integers(5, 95)) // 100)
            core = replace(core, activation_words=words, program_words=1 << 20)
            compiled = compile_network(network, tensors, core)
    except InputError as error:
        # Steps beyond the smallest buffers are wider than the core's registers.
        if any(reason in str(error) for reason in (*REFUSED, *(["bits for it"] if little else []))):
            return
        raise
    check(network, tensors, compiled, random_levels(network, seed), eager=eager)
    return compiled


@given(st.data(), st.integers(0, 1 << 30), st.booleans(), st.booleans())
@settings(max_examples=50)
def test_every_layer_is_the_references(data, seed, eager, tight):
    draw_and_check(data, seed, eager, tight)


@pytest.mark.slow
@given(st.data(), st.integers(0, 1 << 30), st.booleans(), st.booleans())
@settings(max_examples=1500)
def test_many_networks(data, seed, eager, tight):
    draw_and_check(data, seed, eager, tight)


@given(st.data(), st.integers(0, 1 << 30), st.booleans(), st.booleans())
@settings(max_examples=50)
def test_tensors_that_do_not_fit_go_to_memory_and_come_back(data, seed, eager, tight):
    draw_and_check(data, seed, eager, tight, little=True)


@pytest.mark.slow
@given(st.data(), st.integers(0, 1 << 30), st.booleans(), st.booleans())
@settings(max_examples=1500)
def test_many_networks_in_little_memory(data, seed, eager, tight):
    draw_and_check(data, seed, eager, tight, little=True)


slow = pytest.mark.slow


@pytest.mark.parametrize(
    ("bits", "rows", "cols", "lanes"),
    [
        (4, 8, 8, 16),
        (2, 8, 8, 16),
        pytest.param(4, 16, 16, 1, marks=slow),
        pytest.param(8, 4, 16, 4, marks=slow),
    ],
)
def test_resnet20(bits, rows, cols, lanes):
    network = examples.resnet20(bits)
    tensors = examples.random_tensors(network, 1)
    core = core_for(network, tensors, small_array(bits, rows=rows, cols=cols, lanes=lanes))
    compiled = compile_network(network, tensors, core)
    levels = check(network, tensors, compiled, random_levels(network, 1))
    assert all(len(np.unique(levels[name])) > 2 for name in compiled.placements if name in levels)
