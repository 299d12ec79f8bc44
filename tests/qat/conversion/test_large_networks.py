"""The catalogue's ImageNet networks, whole: every level of the integer network is PyTorch's."""

import numpy as np
import pytest
import torch

from pact_hw.qat.conversion.compare import compare, levels_of
from pact_hw.qat.conversion.forward import IntegerNetwork
from pact_hw.qat.conversion.integers import to_integers
from pact_hw.qat.prepare import prepare
from pact_hw.qat.quantised import Quantised

SIZES = {"alexnet-bn": 227, "resnet18": 64, "preact-resnet18": 64, "resnet50": 64, "preact-resnet50": 64,
         "mobilenet-v2": 64}  # fmt: skip
"""The images' size: AlexNet's linear layers fix it; the others pool whatever is left."""


@pytest.mark.slow
@pytest.mark.parametrize("network", SIZES)
def test_every_level_is_pytorchs(network):
    size = SIZES[network]
    made_of = Quantised(network=network, act_bits=4, weight_bits=4)
    model = made_of.quantise(made_of.float_network())
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (5, 3, size, size), dtype=np.uint8)
    prepare(model, torch.from_numpy(images[1:]))
    model = model.eval().double()
    converted = to_integers(model, name=network, input_shape=(3, size, size))
    result = compare(converted, model, images[:1], np.zeros(1, dtype=np.int64), golden_images=0)
    layers = converted.network.layers
    assert set(result["layers"]) == {"input", *(layer.name for layer in layers[:-1])}
    assert result["level_mismatches"] == result["class_mismatches"] == 0
    # A thousand classes need a unit of the logits so small (2**-40 of an accumulator) that float64 rounds.
    ours = IntegerNetwork(converted.network, converted.tensors).logits(images[:1]).reshape(-1)
    theirs = levels_of(converted, model, torch.from_numpy(images[:1]))[layers[-1].name].numpy().reshape(-1)
    assert np.abs(ours - theirs).max() < 1 + 2.0**-50 * np.abs(theirs).max()
