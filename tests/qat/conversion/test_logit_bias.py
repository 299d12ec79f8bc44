"""The rounded biases keep the order of any two classes, whatever the accumulators are."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from pact_hw.errors import InputError
from pact_hw.qat.conversion.compare import levels_of
from pact_hw.qat.conversion.forward import IntegerNetwork
from pact_hw.qat.conversion.integers import to_integers
from pact_hw.qat.conversion.logits import bias_constants
from pact_hw.qat.layers import QuantLinear
from pact_hw.qat.normalise import Normalise
from pact_hw.qat.pact import PACT
from pact_hw.qat.quantise import quantise

biases = st.lists(
    st.fractions(-20, 20, max_denominator=50) | st.integers(-3, 3).map(Fraction), min_size=2, max_size=6
)


def sign(x):
    return (x > 0) - (x < 0)


@given(biases=biases)
def test_every_order_is_kept_and_no_smaller_shift_keeps_it(biases):
    shift, add = bias_constants(biases)

    def keeps(shift, add):
        return all(
            sign(d + a - b) == sign((d << shift) + x - y)
            for a, x in zip(biases, add, strict=True)
            for b, y in zip(biases, add, strict=True)
            for d in range(-45, 46)
        )

    assert keeps(shift, add.tolist())
    assert all(not keeps(s, [round(b * (1 << s)) for b in biases]) for s in range(shift))


def test_biases_that_are_nearly_whole_numbers_apart_are_refused():
    with pytest.raises(InputError, match=r"^the logits' biases need more than 40 fractional bits"):
        bias_constants([Fraction(0), 1 + Fraction(1, 1 << 60)])


def test_logits_beyond_float64_are_the_exact_ones_and_pytorchs_are_rounded():
    """Biases that need some 38 fractional bits: so the logits have more digits than float64."""
    torch.manual_seed(0)
    model = quantise(
        nn.Sequential(
            Normalise((0.5,), (0.25,)), nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Flatten(),
            nn.Linear(8 * 16, 10),
        ),
        act_bits=8, weight_bits=8, alpha=2.0,
    )  # fmt: skip
    model = model.double().eval()
    (clip,) = [m for m in model.modules() if isinstance(m, PACT)]
    (last,) = [m for m in model.modules() if isinstance(m, QuantLinear)]
    unit = Fraction(clip.alpha.item()) / 255 / 255  # of the accumulator: a level times a weight's
    last.bias.data = torch.tensor([float(unit * (i + i * Fraction(1, 1 << 37))) for i in range(10)]).double()
    images = np.random.default_rng(0).integers(0, 256, (20, 1, 4, 4), dtype=np.uint8)
    converted = to_integers(model, name="n", input_shape=(1, 4, 4))
    name = converted.network.layers[-1].name
    ours = IntegerNetwork(converted.network, converted.tensors).logits(images).reshape(20, 10)
    theirs = levels_of(converted, model, torch.from_numpy(images))[name].reshape(20, 10)

    seen = []
    clip.register_forward_hook(lambda _module, _inputs, output: seen.append(clip.levels(output)))
    model(torch.from_numpy(images))
    sums = seen[0].flatten(1) @ last.weight_quantiser.levels(last.weight).T  # int64
    value = converted.nodes[name][1]
    biases = [Fraction(bias) for bias in last.bias.tolist()]
    exact = [[(unit * int(acc) + b) / value for acc, b in zip(row, biases, strict=True)] for row in sums]
    assert ours.tolist() == [[round(logit) for logit in row] for row in exact]
    wrong = theirs.round().long() - torch.from_numpy(ours)
    assert wrong.any()
    assert wrong.abs().max() < 2.0**-45 * np.abs(ours).max()
