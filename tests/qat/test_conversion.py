"""Integer networks against the float64 fake-quantised ones they come from."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from untrained import tiny

from pact_hw.errors import InputError
from pact_hw.golden import decode_weights
from pact_hw.qat.compare import compare_levels
from pact_hw.qat.data import Images
from pact_hw.qat.folding import accumulator_intervals, fold
from pact_hw.qat.integers import to_integers
from pact_hw.qat.networks import Widths, build
from pact_hw.qat.structure import level_value, network_spec
from pact_hw.spec import ActFormat, RequantiserSpec, WeightFormat


def images(network, count, seed):
    random = np.random.default_rng(seed)
    levels = random.integers(0, network.input_format.max + 1, (count, *network.input_shape), dtype=np.uint8)
    return Images(levels=levels, labels=np.zeros(count, dtype=np.int64))


@pytest.mark.parametrize(
    ("act_bits", "weight_bits", "edge_bits"),
    [(1, 1, 8), (2, 2, 8), (4, 4, 8), (3, 5, 8), (5, 3, 6), (6, 8, 8), (4, 16, 8), (2, 7, 2)],
)
def test_untrained_networks_have_no_mismatch(act_bits, weight_bits, edge_bits):
    for seed in range(3):
        network = tiny(Widths(act_bits=act_bits, weight_bits=weight_bits, edge_bits=edge_bits), seed)
        spec, tensors, proofs = to_integers(network)
        result = compare_levels(network, spec, tensors, images(network, 70, seed))
        assert result["levels_compared"] == 70 * (5 * 9 + 5 * 9 + 3 * 9)
        assert result["level_mismatches"] == 0
        assert result["logit_mismatches"] == result["class_mismatches"] == 0
        assert list(proofs) == ["first", "second", "third"]
        n = (1 << act_bits) - 1
        assert proofs["first"]["thresholds_checked"] == 5 * n
        assert proofs["second"]["thresholds_checked"] == 5 * n * (n + 1)
        assert any((tensors["first.mult"] < 0).tolist())


def test_digits_untrained():
    network = build("digits", Widths(act_bits=4, weight_bits=4), 0).double().eval()
    spec, tensors, _ = to_integers(network)
    assert [layer.name for layer in spec.layers] == ["stem", "down", "block1", "block2", "head"]
    assert compare_levels(network, spec, tensors, images(network, 20, 0))["level_mismatches"] == 0


def test_a_mismatch_is_counted():
    network = tiny(Widths(act_bits=4, weight_bits=4), 0)
    spec, tensors, _ = to_integers(network)
    tensors["third.add"] = tensors["third.add"] + (1 << tensors["third.shift"])
    result = compare_levels(network, spec, tensors, images(network, 10, 0))
    assert result["level_mismatches"] == result["layers"]["third"]["level_mismatches"] > 0


def test_folding_is_batch_normalisation():
    network = tiny(Widths(act_bits=4, weight_bits=3), 1)
    layer, spec = network.layer("second"), network_spec(network).layers[1]
    affines = fold(
        layer,
        out_value=level_value(network, "second"),
        act_value=level_value(network, "first"),
        weight=spec.weight,
        residual_value=level_value(network, "first"),
    )
    acc, residual = torch.arange(5.0).double() * 7 - 9, torch.arange(5.0).double()
    s = float(level_value(network, "first"))
    assert layer.norm is not None
    z = layer.norm((acc * s / 7)[None, :, None, None]).flatten() + residual * s
    for i, affine in enumerate(affines):
        exact = affine.at(int(acc[i]), int(residual[i]))
        assert float(exact) == pytest.approx(z[i].item() / float(level_value(network, "second")), rel=1e-12)
    assert level_value(network, "input") == Fraction(1, 63)


def test_intervals_are_those_of_the_weights():
    codes = np.random.default_rng(0).integers(0, 8, (3, 2, 2, 2))
    weight, act = WeightFormat(bits=3), ActFormat(bits=4)
    for values, (low, high) in zip(
        decode_weights(codes, weight).reshape(3, -1), accumulator_intervals(codes, weight, act), strict=True
    ):
        assert low == sum(15 * v for v in values if v < 0)
        assert high == sum(15 * v for v in values if v > 0)


def test_a_layer_that_does_not_fit_is_named():
    network = tiny(Widths(act_bits=4, weight_bits=4), 0)
    with pytest.raises(InputError, match=r"^layer 'first', channel \d: no exact requantiser with mult"):
        to_integers(network, RequantiserSpec(mult_bits=4))


def test_widths_that_cannot_be_proved_are_refused_at_once():
    network = tiny(Widths(act_bits=16, weight_bits=16), 0)
    with pytest.raises(InputError, match=r"^layer 'second': 65535 levels of the output for each of 65536"):
        to_integers(network)
