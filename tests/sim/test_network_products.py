"""Layers as matrix products of unsigned operands: what an array gives is what the network says."""

from dataclasses import replace

import numpy as np
import pytest

from pact_hw.golden import from_rows, multiply_shift, run
from pact_hw.golden.matmul import matmul
from pact_hw.spec import (
    ActEncoding,
    ActFormat,
    LayerKind,
    LayerSpec,
    NetworkSpec,
    RequantiserKind,
    WeightFormat,
)
from sim.network import network_products

A4, S5 = ActFormat(bits=4), ActFormat(bits=5, encoding=ActEncoding.SYMMETRIC)
W3 = WeightFormat(bits=3)


def layer(name, kind, source, act, c, k, **members):
    weight = W3 if kind.weighted else None
    return LayerSpec(
        name=name, kind=kind, source=source, act=act, in_channels=c, out_channels=k, weight=weight, **members
    )


@pytest.fixture
def network():
    same = {"kernel": 3, "padding": 1}
    layers = (
        layer("a", LayerKind.CONV, "input", S5, 2, 4, out=S5, **same),
        layer("b", LayerKind.CONV, "a", S5, 4, 6, groups=2, out=A4, residual="a", residual_act=S5,
              residual_stride=2, residual_channel=1, stride=2, **same),
        layer("m", LayerKind.MAX, "b", A4, 6, 6, kernel=2, stride=2, out=A4),
        layer("logits", LayerKind.LINEAR, "m", A4, 6, 3),
    )  # fmt: skip
    return NetworkSpec(name="n", input_channels=2, input_height=4, input_width=4, input_act=S5, layers=layers)


@pytest.fixture
def tensors(network):
    random = np.random.default_rng(0)
    found = {
        "a.weight": random.integers(0, 8, (4, 2, 3, 3)),
        "b.weight": random.integers(0, 8, (6, 2, 3, 3)),
        "logits.weight": random.integers(0, 8, (3, 6)),
        "b.residual_mult": random.integers(-900, 900, 6),
    }
    for name, n in (("a", 4), ("b", 6)):
        found[f"{name}.mult"] = random.integers(-60, 60, n)
        found[f"{name}.add"] = random.integers(-5000, 5000, n)
        found[f"{name}.shift"] = random.integers(8, 11, n)
    return found


def test_products_of_unsigned_operands_give_the_levels(network, tensors):
    levels = np.random.default_rng(1).integers(-15, 16, (2, 2, 4, 4))
    outputs = run(network, tensors, levels)
    assert len(np.unique(outputs["a"])) > 3
    found = {}
    for spec, product in network_products(network, tensors, levels):
        assert 0 <= product.act.min() <= product.act.max() <= 30
        result = matmul(product.act, product.weight, spec.weight)
        if product.scale is not None:
            scale = product.scale
            if product.residual is not None:
                assert product.residual.min() >= 0
            result = multiply_shift(result, **scale.columns, limit=scale.limit, residual=product.residual)
            result = result + spec.out.min
        found.setdefault(spec.name, []).append(result)
    assert {name: len(parts) for name, parts in found.items()} == {"a": 1, "b": 2, "logits": 1}
    for name, parts in found.items():
        assert np.array_equal(from_rows(np.concatenate(parts, axis=1), network.shapes[name]), outputs[name])


def test_thresholds_come_as_raw_sums(network, tensors):
    a = replace(network.layers[0], requantiser=RequantiserKind.THRESHOLD)
    network = replace(network, layers=(a, *network.layers[1:]))
    tensors |= {"a.thresholds": np.zeros((4, 1, 30), dtype=np.int64), "a.sign": np.ones(4, dtype=np.int64)}
    products = network_products(network, tensors, np.zeros((1, 2, 4, 4), dtype=np.int64))
    assert products[0][1].scale is None
    assert products[1][1].scale is not None
