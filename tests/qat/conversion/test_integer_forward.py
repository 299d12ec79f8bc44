"""The integer forward cannot round: at the bounds of each type, and against golden on random layers."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pact_hw.golden import run
from pact_hw.qat.conversion.forward import IntegerLayer, IntegerNetwork, exact_dtype
from pact_hw.spec import (
    ActEncoding,
    ActFormat,
    LayerKind,
    LayerSpec,
    NetworkSpec,
    RequantiserKind,
    WeightEncoding,
    WeightFormat,
)


@pytest.mark.parametrize(
    ("largest", "dtype"),
    [
        (1 << 24, torch.float32),
        ((1 << 24) + 1, torch.float64),
        (1 << 53, torch.float64),
        ((1 << 53) + 1, torch.int64),
    ],
)
def test_the_narrowest_type_whose_integers_hold_the_sums(largest, dtype):
    assert exact_dtype(largest) is dtype
    if dtype is not torch.int64:  # the next integer is where it would round
        assert int(torch.tensor(largest, dtype=dtype)) == largest
        beyond = {torch.float32: 1 << 24, torch.float64: 1 << 53}[dtype] + 1
        assert int(torch.tensor(beyond, dtype=dtype)) != beyond


def one_layer(*, c, act, weight, mult=1, add=0, shift=0, out=None, codes=None, kernel=1):
    """A convolution of 4 x 4 pixels, and a logits layer behind it."""
    first = LayerSpec(
        name="a", kind=LayerKind.CONV, source="input", act=act, weight=weight, in_channels=c, out_channels=2,
        kernel=kernel, padding=kernel // 2, out=out or ActFormat(bits=16, encoding=ActEncoding.SIGNED),
    )  # fmt: skip
    head = LayerSpec(
        name="logits", kind=LayerKind.LINEAR, source="a", act=first.out, weight=WeightFormat(bits=2),
        in_channels=2 * 16, out_channels=2,
    )  # fmt: skip
    network = NetworkSpec(
        name="n", input_channels=c, input_height=4, input_width=4, input_act=act, layers=(first, head)
    )
    n = np.ones(2, dtype=np.int64)
    tensors = {
        "a.weight": codes, "a.mult": mult * n, "a.add": add * n, "a.shift": shift * n,
        "logits.weight": np.random.default_rng(0).integers(0, 4, (2, 32)),
    }  # fmt: skip
    return network, tensors


def check(network, tensors, levels):
    expected = run(network, tensors, levels)
    for name, output in IntegerNetwork(network, tensors).outputs(levels):
        assert np.array_equal(output.numpy(), expected[name]), name


@pytest.mark.parametrize(
    ("c", "dtype"), [(258, torch.float32), (259, torch.float64)], ids=["below 2**24", "beyond 2**24"]
)
def test_sums_next_to_2_to_the_24(c, dtype):
    """All levels and weights at their highest: an odd sum beyond 2**24, in float32, would be rounded."""
    act, weight = ActFormat(bits=8), WeightFormat(bits=8)
    codes = np.full((2, c, 1, 1), 255)
    network, tensors = one_layer(c=c, act=act, weight=weight, codes=codes, shift=10)
    layer = IntegerLayer(network.layers[0], tensors)
    assert layer.dtype is dtype
    levels = np.full((1, c, 4, 4), 255)
    levels[0, 0, 0, 0] = 254
    assert (layer.sums({"input": torch.from_numpy(levels)}).flatten()[1].item()) == c * 255 * 255
    check(network, tensors, levels)


def test_a_requantiser_beyond_2_to_the_53_is_done_in_integers():
    codes = np.random.default_rng(0).integers(0, 256, (2, 9, 1, 1))
    act, weight = ActFormat(bits=8), WeightFormat(bits=8)
    levels = np.random.default_rng(1).integers(0, 256, (3, 9, 4, 4))
    for mult, dtype in (((1 << 30) + 1, torch.float64), ((1 << 42) + 1, torch.int64)):
        network, tensors = one_layer(
            c=9, act=act, weight=weight, codes=codes, mult=mult, add=-mult, shift=mult.bit_length() + 4
        )
        assert IntegerLayer(network.layers[0], tensors).scaled is dtype
        check(network, tensors, levels)


@given(data=st.data())
@settings(max_examples=25)
def test_random_networks_equal_golden(data):
    """Every kind of layer, format and requantiser."""
    random = np.random.default_rng(data.draw(st.integers(0, 1 << 30)))
    encodings = st.sampled_from(ActEncoding)
    acts = st.builds(ActFormat, bits=st.integers(2, 8), encoding=encodings)
    act, middle, out = data.draw(acts), data.draw(acts), data.draw(acts)
    weight = WeightFormat(
        bits=data.draw(st.integers(1, 8)), encoding=data.draw(st.sampled_from(WeightEncoding))
    )
    requantiser = data.draw(st.sampled_from(RequantiserKind))
    groups, stride = data.draw(st.sampled_from([1, 2])), data.draw(st.integers(1, 2))
    common = {"in_channels": 4, "out_channels": 4}
    layers = (
        LayerSpec(
            name="a", kind=LayerKind.CONV, source="input", act=act, weight=weight, kernel=3, padding=1,
            groups=groups, out=middle, **common,
        ),
        LayerSpec(
            name="b", kind=LayerKind.CONV, source="a", act=middle, weight=weight, kernel=3, padding=1,
            stride=stride, out=out, residual="a", residual_act=middle, residual_stride=stride,
            residual_channel=2, in_channels=4, out_channels=8, requantiser=requantiser,
        ),
        LayerSpec(name="c", kind=LayerKind.CONCAT, source="b", concat=("b",), act=out, in_channels=16,
                  out_channels=16, out=out),
        LayerSpec(name="m", kind=LayerKind.MAX, source="c", act=out, kernel=3, stride=1, padding=1, out=out,
                  in_channels=16, out_channels=16),
        LayerSpec(name="s", kind=LayerKind.SUM, source="m", act=out, kernel=2, stride=2, padding=1,
                  out=middle, in_channels=16, out_channels=16, requantiser=requantiser),
        LayerSpec(name="logits", kind=LayerKind.LINEAR, source="s", act=middle, weight=weight,
                  in_channels=16 * (9 if stride == 1 else 4), out_channels=3, bias_shift=5),
    )  # fmt: skip
    network = NetworkSpec(
        name="n", input_channels=4, input_height=4, input_width=4, input_act=act, layers=layers
    )
    tensors = {"logits.add": random.integers(-99, 99, 3)}
    for layer in layers:
        n = layer.out_channels
        if layer.weight:
            shape = (n, 4 // layer.groups, 3, 3) if layer.kind is LayerKind.CONV else (n, layer.in_channels)
            tensors[f"{layer.name}.weight"] = random.integers(0, 1 << weight.bits, shape)
        if not layer.requantised:
            continue
        if layer.requantiser is RequantiserKind.THRESHOLD:
            rows = 1 if layer.residual is None else middle.max - middle.min + 1
            steps = random.integers(-3000, 3000, (n, rows, layer.out.max - layer.out.min))
            tensors[f"{layer.name}.thresholds"] = np.sort(steps, axis=-1)
            tensors[f"{layer.name}.sign"] = random.choice([-1, 1], n)
        else:
            tensors[f"{layer.name}.mult"] = random.integers(-200, 200, n)
            tensors[f"{layer.name}.add"] = random.integers(-90_000, 90_000, n)
            tensors[f"{layer.name}.shift"] = random.integers(8, 14, n)
            if layer.residual:
                tensors[f"{layer.name}.residual_mult"] = random.integers(-9000, 9000, n)
    check(network, tensors, random.integers(act.min, act.max + 1, (2, 4, 4, 4)))
