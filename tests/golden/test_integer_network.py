"""Integer networks against torch's convolution, and against loops."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pact_hw.errors import InputError
from pact_hw.golden import decode_weights, from_rows, im2col, matmul, run, to_rows, weight_matrix
from pact_hw.spec import ActFormat, LayerKind, LayerSpec, NetworkSpec, WeightEncoding, WeightFormat


def conv(*, c=3, k=4, kernel=3, stride=1, padding=1, weight=None, **members):
    defaults = {
        "name": "conv",
        "source": "input",
        "act": ActFormat(bits=4),
        "weight": weight or WeightFormat(bits=3),
    }
    return LayerSpec(
        kind=LayerKind.CONV, in_channels=c, out_channels=k, kernel=kernel, stride=stride, padding=padding,
        **{**defaults, **members},
    )  # fmt: skip


@given(
    seed=st.integers(0, 1 << 30),
    c=st.integers(1, 4),
    kernel=st.integers(1, 3),
    stride=st.integers(1, 3),
    padding=st.integers(0, 2),
    size=st.tuples(st.integers(3, 7), st.integers(3, 7)),
    encoding=st.sampled_from(WeightEncoding),
)
def test_convolution_is_torchs(seed, c, kernel, stride, padding, size, encoding):
    random = np.random.default_rng(seed)
    layer = conv(
        c=c, kernel=kernel, stride=stride, padding=padding, weight=WeightFormat(bits=3, encoding=encoding)
    )
    levels = random.integers(0, 16, (2, c, *size))
    codes = random.integers(0, 8, (4, c, kernel, kernel))
    rows = matmul(im2col(levels, layer), weight_matrix(layer, codes), layer.weight)
    weights = torch.from_numpy(decode_weights(codes, layer.weight))
    for dtype in (torch.float64, torch.int64):
        expected = torch.nn.functional.conv2d(
            torch.from_numpy(levels).to(dtype), weights.to(dtype), stride=stride, padding=padding
        ).long()
        assert np.array_equal(from_rows(rows, tuple(expected.shape[1:])), expected.numpy())
        assert np.array_equal(rows, to_rows(expected.numpy()))


def naive_run(network, tensors, levels):
    """The integer network with loops and Python integers only, one image."""
    values = {"input": {index: int(v) for index, v in np.ndenumerate(levels)}}
    shapes = network.shapes
    for layer in network.layers:
        source, out = values[layer.source], {}
        channels = range(shapes[layer.source][0])
        flat = list(source.values())
        for n, oy, ox in np.ndindex(shapes[layer.name]):
            total = 0
            codes = tensors[f"{layer.name}.weight"][n]
            if layer.kind is LayerKind.LINEAR:
                pairs = zip(flat, codes.tolist(), strict=True)
            else:
                k = range(layer.kernel)
                at = [
                    (i, oy * layer.stride + fy - layer.padding, ox * layer.stride + fx - layer.padding)
                    for i, fy, fx in itertools.product(channels, k, k)
                ]
                pairs = zip((source.get(p, 0) for p in at), codes.flatten().tolist(), strict=True)
            for a, q in pairs:
                total += a * (2 * q - layer.weight.levels)
            if layer.out is not None:
                mult, add, shift = (int(tensors[f"{layer.name}.{t}"][n]) for t in ("mult", "add", "shift"))
                total = total * mult + add
                if layer.residual:
                    total += values[layer.residual][n, oy, ox] * int(
                        tensors[f"{layer.name}.residual_mult"][n]
                    )
                total = min(max(total >> shift, 0), layer.out.max)
            out[n, oy, ox] = total
        values[layer.name] = out
    return values


def small_network():
    a, b = ActFormat(bits=4), ActFormat(bits=3)
    return NetworkSpec(
        name="small", input_channels=2, input_height=5, input_width=4, input_act=a,
        layers=(
            conv(c=2, name="a", stride=2, out=b),
            conv(c=4, name="b", source="a", act=b, residual="a", residual_act=b, out=a),
            LayerSpec(
                name="logits", kind=LayerKind.LINEAR, source="b", act=a, weight=WeightFormat(bits=2),
                in_channels=24, out_channels=3,
            ),
        ),
    )  # fmt: skip


def small_tensors(network, seed):
    random = np.random.default_rng(seed)
    tensors = {
        "a.weight": random.integers(0, 8, (4, 2, 3, 3)),
        "b.weight": random.integers(0, 8, (4, 4, 3, 3)),
        "logits.weight": random.integers(0, 4, (3, 24)),
    }
    for name in ("a", "b"):
        tensors[f"{name}.mult"] = random.integers(-50, 50, 4)
        tensors[f"{name}.add"] = random.integers(-5000, 5000, 4)
        tensors[f"{name}.shift"] = random.integers(6, 12, 4)
    tensors["b.residual_mult"] = random.integers(-500, 500, 4)
    return tensors


@pytest.mark.parametrize("seed", range(5))
def test_network_is_the_naive_loop(seed):
    network = small_network()
    tensors = small_tensors(network, seed)
    levels = np.random.default_rng(seed).integers(0, 16, (3, 2, 5, 4))
    outputs = run(network, tensors, levels)
    assert list(outputs) == ["a", "b", "logits"]
    for image in range(3):
        expected = naive_run(network, tensors, levels[image])
        for name, output in outputs.items():
            assert output.dtype == np.int64
            assert {i: int(v) for i, v in np.ndenumerate(output[image])} == expected[name]


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        (np.zeros((1, 2, 5, 5), dtype=np.int64), r"^input must be B x \(2, 5, 4\) levels, not of shape"),
        (np.full((1, 2, 5, 4), 16), r"^input levels must be from 0 to 15$"),
        (np.full((1, 2, 5, 4), -1), r"^input levels must be from 0 to 15$"),
    ],
)
def test_wrong_inputs_are_refused(levels, message):
    network = small_network()
    with pytest.raises(InputError, match=message):
        run(network, small_tensors(network, 0), levels)
