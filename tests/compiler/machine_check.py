"""A compiled network on the functional core, beside the reference."""

import numpy as np
from core_machine import Machine

from pact_hw.golden import network as golden


def check(network, tensors, compiled, levels, *, eager=True):
    """Run ``levels`` (C, Y, X) on the functional core, and compare every layer as it is written.

    The reference's levels, by name.
    """
    expected = {name: value[0] for name, value in golden.run(network, tensors, levels[None]).items()}
    image = compiled.input_bytes(levels)
    machine = Machine(compiled.core, compiled.model, len(compiled.transfers), image, eager=eager)
    machine.known[compiled.image.placement.words * compiled.word_bytes :] = False
    ends = {
        piece.operations[-1]: (name, piece) for name, pieces in compiled.pieces.items() for piece in pieces
    }
    seen = {name: [] for name in compiled.pieces}

    def after(operation):
        if operation in ends:
            name, piece = ends[operation]
            found = piece.placement.levels(machine.memory)
            wanted = expected[name][:, piece.top : piece.top + found.shape[1]]
            assert np.array_equal(found, wanted), (name, piece.top)
            seen[name].append(found.shape[1])

    machine.after_operation = after
    results = machine.run()
    assert len(results) == compiled.result_bytes
    assert np.array_equal(compiled.decode(results), expected[network.layers[-1].name])
    assert {name: sum(lines) for name, lines in seen.items()} == {
        layer.name: expected[layer.name].shape[1] for layer in network.layers[:-1]
    }
    return expected
