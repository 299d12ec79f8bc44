"""Compiled networks on a plain functional core hold exactly the reference's levels, every layer."""

import numpy as np
from core_machine import Machine
from core_networks import big_core, cores, networks, random_levels, random_tensors
from hypothesis import given, settings
from hypothesis import strategies as st

from pact_hw.compiler import compile_network
from pact_hw.errors import InputError
from pact_hw.golden import network as golden
from pact_hw.spec import WeightEncoding


def check(network, tensors, core, levels, *, eager=True, compiled=None):
    """Run ``levels`` (C, Y, X) on the functional core, and compare every layer as it is written."""
    compiled = compiled or compile_network(network, tensors, core)
    expected = golden.run(network, tensors, levels[None])
    machine = Machine(
        core, compiled.model, len(compiled.transfers), compiled.input_bytes(levels), eager=eager
    )
    ends = {report.operations[-1]: report.name for report in compiled.layers}
    seen = []

    def after(operation):
        name = ends.get(operation)
        if name in compiled.placements:
            found = compiled.placements[name].levels(machine.memory)
            assert np.array_equal(found, expected[name][0]), name
            seen.append(name)

    machine.after_operation = after
    results = machine.run()
    assert len(results) == compiled.result_bytes
    assert np.array_equal(compiled.decode(results), expected[network.layers[-1].name][0])
    assert seen == [layer.name for layer in network.layers[:-1]]
    return compiled


@given(st.data(), st.integers(0, 1 << 30), st.booleans())
@settings(max_examples=60)
def test_every_layer_is_the_references(data, seed, eager):
    array = data.draw(cores())
    network = data.draw(networks(odd=array.weight.encoding is WeightEncoding.ODD))
    tensors = random_tensors(network, seed)
    core = big_core(array)
    try:
        compiled = compile_network(network, tensors, core)
    except InputError as error:
        if (
            "no residual operand" in str(error)
            or "cannot be placed" in str(error)
            or "slices of" in str(error)
        ):
            return
        raise
    check(network, tensors, core, random_levels(network, seed), eager=eager, compiled=compiled)
