"""Integer networks against torch's convolution, and against loops."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pact_hw.errors import InputError
from pact_hw.golden import (
    decode_weights,
    from_rows,
    im2col,
    input_levels,
    matmul,
    multiply_shift,
    offset_add,
    residual_operand,
    run,
    thresholds,
    to_rows,
    weight_matrix,
)
from pact_hw.golden.network import accumulate, run_layer
from pact_hw.spec import (
    ActEncoding,
    ActFormat,
    LayerKind,
    LayerSpec,
    NetworkSpec,
    WeightEncoding,
    WeightFormat,
)


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


A4, S4 = ActFormat(bits=4), ActFormat(bits=4, encoding=ActEncoding.SYMMETRIC)


def random_levels(shape, act, seed=0):
    return np.random.default_rng(seed).integers(act.min, act.max + 1, shape)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_groups_are_torchs(groups):
    layer = conv(c=4, k=8, groups=groups, act=S4, stride=2)
    random = np.random.default_rng(groups)
    levels, codes = random_levels((2, 4, 5, 6), S4), random.integers(0, 8, (8, 4 // groups, 3, 3))
    expected = torch.nn.functional.conv2d(
        torch.from_numpy(levels), torch.from_numpy(decode_weights(codes, layer.weight)),
        stride=2, padding=1, groups=groups,
    )  # fmt: skip
    rows = accumulate(layer, {"conv.weight": codes}, {"input": levels})
    assert np.array_equal(rows, to_rows(expected.numpy()))


def pool(kind, **members):
    defaults = {"name": "pool", "source": "input", "act": A4, "in_channels": 3, "out_channels": 3}
    return LayerSpec(kind=kind, **{**defaults, **members})


@pytest.mark.parametrize("act", [A4, S4])
def test_pooling_is_torchs(act):
    levels = random_levels((2, 3, 6, 6), act)
    x = torch.from_numpy(levels).double()
    geometry = {"kernel": 3, "stride": 2, "padding": 1}
    largest = run_layer(pool(LayerKind.MAX, act=act, out=act, **geometry), {}, {"input": levels})
    assert np.array_equal(largest, to_rows(torch.nn.functional.max_pool2d(x, 3, 2, 1).long().numpy()))
    sums = accumulate(pool(LayerKind.SUM, act=act, **geometry), {}, {"input": levels})
    average = torch.nn.functional.avg_pool2d(x, 3, 2, 1)
    assert np.array_equal(sums, to_rows((average * 9).round().long().numpy()))


def test_concatenation_is_along_channels():
    values = {"input": random_levels((2, 3, 2, 2), A4), "b": random_levels((2, 1, 2, 2), A4, 1)}
    layer = pool(LayerKind.CONCAT, concat=("b",), in_channels=4, out_channels=4)
    expected = np.concatenate([values["input"], values["b"]], axis=1)
    assert np.array_equal(accumulate(layer, {}, values), to_rows(expected))


def test_option_a_residual_has_every_second_pixel_and_zero_channels():
    layer = pool(
        LayerKind.SUM, in_channels=5, out_channels=5, out=A4, residual="r", residual_act=A4,
        residual_stride=2, residual_channel=2,
    )  # fmt: skip
    residual = random_levels((2, 2, 5, 4), A4)
    operand = residual_operand(layer, residual)
    assert operand.shape == (2, 5, 3, 2)
    assert not operand[:, [0, 1, 4]].any()
    for n, y, x in np.ndindex(2, 3, 2):
        assert (operand[:, 2 + n, y, x] == residual[:, n, 2 * y, 2 * x]).all()


def test_thresholds_count_steps():
    acc = np.arange(-6, 7)[:, None] * np.ones((1, 2), dtype=np.int64)
    table = np.array([[[-2, 0, 5], [1, 1, 2]], [[-3, -3, 4], [0, 1, 2]]])
    row = np.arange(13)[:, None] % 2 * np.ones((1, 2), dtype=np.int64)
    levels = thresholds(acc, thresholds=table, sign=np.array([1, -1]), low=-1, row=row)
    for m, n in np.ndindex(acc.shape):
        value = acc[m, n] * (1 if n == 0 else -1)
        assert levels[m, n] == -1 + sum(value >= t for t in table[n, row[m, n]])


@pytest.mark.parametrize("out", [A4, S4])
@pytest.mark.parametrize("residual", [None, A4, S4])
def test_offset_binary_gives_the_same_levels(out, residual):
    """Unsigned hardware computes signed layers: operands and result less their lowest level."""
    random = np.random.default_rng(1)
    layer = conv(act=S4, out=out, residual=residual and "r", residual_act=residual)
    tensors = {
        "conv.weight": random.integers(0, 8, (4, 3, 3, 3)),
        "conv.mult": random.integers(-90, 90, 4),
        "conv.add": random.integers(-5000, 5000, 4),
        "conv.shift": random.integers(8, 14, 4),
        "conv.residual_mult": random.integers(-900, 900, 4),
    }
    values = {"input": random_levels((2, 3, 4, 4), S4)}
    r = None
    if residual:
        values["r"] = random_levels((2, 4, 4, 4), residual, 1)
        r = to_rows(values["r"]) - residual.min
    unsigned = im2col(values["input"], layer) - S4.min
    assert 0 <= unsigned.min() <= unsigned.max() <= 15
    acc = matmul(unsigned, weight_matrix(layer, tensors["conv.weight"]), layer.weight)
    constants = {name: tensors[f"conv.{name}"] for name in ("mult", "shift", "residual_mult")}
    found = multiply_shift(
        acc, **constants, add=offset_add(layer, tensors), limit=out.max - out.min, residual=r
    )
    assert np.array_equal(found + out.min, run_layer(layer, tensors, values))


def test_logits_with_a_bias():
    layer = pool(LayerKind.SUM, bias_shift=3)
    levels = random_levels((2, 3, 1, 1), A4)
    add = np.array([5, -7, 0])
    assert np.array_equal(
        run_layer(layer, {"pool.add": add}, {"input": levels}), levels[:, :, 0, 0] * 8 + add
    )


def test_pixels_become_levels_by_the_table():
    network = replace(small_network(), pixel_bits=2, input_act=A4)
    table = np.array([[3, 1, 4, 1], [5, 9, 2, 6]])
    pixels = random_levels((3, 2, 5, 4), ActFormat(bits=2))
    levels = input_levels(network, {"input.levels": table}, pixels)
    assert all(levels[i] == table[i[1], pixels[i]] for i in np.ndindex(levels.shape))
    with pytest.raises(InputError, match=r"^pixels must be from 0 to 3$"):
        input_levels(network, {"input.levels": table}, pixels + 1)
