"""Random integer networks, and cores that they fit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from pact_hw.network_files import expected_tensors
from pact_hw.spec import (
    ActEncoding,
    ActFormat,
    HardwareSpec,
    LayerKind,
    LayerSpec,
    MacKind,
    NetworkSpec,
    RequantiserSpec,
    WeightEncoding,
    WeightFormat,
)
from pact_hw.spec.core import CoreSpec
from pact_hw.spec.network import INPUT


def random_tensors(network, seed):
    """Weight codes of the whole range, constants that spread the levels over theirs."""
    random = np.random.default_rng(seed)
    tensors = {}
    for layer in network.layers:
        for name, (shape, low, high) in expected_tensors(layer).items():
            if name.endswith(".weight"):
                tensors[name] = random.integers(low, high + 1, shape)
        n = layer.out_channels
        if layer.bias_shift is not None:
            tensors[f"{layer.name}.add"] = random.integers(-1000, 1000, n)
        if not layer.requantised:
            continue
        shift = random.integers(8, 16, n)
        spread = np.sqrt(layer.reduction) * layer.act.max * (0.6 * layer.weight.max if layer.weight else 1)
        size = layer.out.max * 2.0**shift / max(spread, 1)
        tensors[f"{layer.name}.shift"] = shift
        tensors[f"{layer.name}.mult"] = np.rint(size * random.uniform(-1, 1.5, n)).astype(np.int64)
        tensors[f"{layer.name}.add"] = np.rint(
            2.0**shift * random.uniform(-1, 2, n) * layer.out.max / 3
        ).astype(np.int64)
        if layer.residual is not None:
            scale = 2.0**shift * layer.out.max / layer.residual_act.max
            tensors[f"{layer.name}.residual_mult"] = np.rint(scale * random.uniform(-1, 1, n)).astype(
                np.int64
            )
    if network.pixel_bits is not None:
        act = network.input_act
        shape = (network.input_channels, 1 << network.pixel_bits)
        tensors[f"{INPUT}.levels"] = random.integers(act.min, act.max + 1, shape)
    return tensors


def random_levels(network, seed):
    act, shape = network.input_act, network.shapes[INPUT]
    return np.random.default_rng(seed).integers(act.min, act.max + 1, shape)


COMPOSABLE = [
    (8, 4, 2, 4),
    (8, 2, 1, 4),
    (8, 2, 1, 8),
    (8, 2, 2, 4),
    (4, 2, 4, 4),
    (4, 2, 1, 4),
    (16, 4, 1, 2),
]
"""Bits, narrowest bits, lanes, cols of composable arrays."""


@st.composite
def composable_arrays(draw):
    """A small array with modes."""
    bits, narrowest, lanes, cols = draw(st.sampled_from(COMPOSABLE))
    return HardwareSpec(
        act=ActFormat(bits=bits),
        weight=WeightFormat(bits=bits, encoding=draw(st.sampled_from(WeightEncoding))),
        rows=draw(st.sampled_from([2, 3, 4])),
        cols=cols,
        lanes=lanes,
        name="core",
        mac_kind=MacKind.COMPOSABLE,
        narrowest_bits=narrowest,
        max_reduction=4608,
        requantiser=RequantiserSpec(level_bits=16, residual_bits=16),
    )


@st.composite
def arrays(draw):
    """A small array of any widths."""
    lanes, cols = draw(st.sampled_from([(1, 4), (2, 2), (4, 2), (4, 4), (8, 4), (2, 8)]))
    bits = draw(st.sampled_from([1, 2, 3, 4, 8]))
    encoding = draw(st.sampled_from(WeightEncoding))
    weight_bits = draw(st.sampled_from([1, 2, 4] if encoding is WeightEncoding.ODD else [2, 4, 5]))
    return HardwareSpec(
        act=ActFormat(bits=bits),
        weight=WeightFormat(bits=weight_bits, encoding=encoding),
        rows=draw(st.sampled_from([2, 3, 4, 6])),
        cols=cols,
        lanes=lanes,
        name="core",
        max_reduction=4608,
        requantiser=RequantiserSpec(),
    )


def acts(draw, *, signed=True):
    encoding = draw(st.sampled_from(ActEncoding)) if signed else ActEncoding.UNSIGNED
    return ActFormat(
        bits=draw(st.integers(1 if encoding is ActEncoding.UNSIGNED else 2, 8)), encoding=encoding
    )


@st.composite
def networks(draw, *, odd=True, layers=5, size=9, channels=9):
    """Every kind of layer that the core has, in any order."""
    shape = (draw(st.integers(1, channels)), draw(st.integers(1, size)), draw(st.integers(1, size)))
    act = acts(draw)
    known = {INPUT: (act, shape)}
    found = []
    for index in range(draw(st.integers(1, layers))):
        layer = draw(_layer(known, f"l{index}", odd, channels))
        found.append(layer)
        _, source = known[layer.source]
        c = source[0] + sum(known[name][1][0] for name in layer.concat)
        known[layer.name] = layer.out, layer.out_shape((c, *source[1:]) if layer.concat else source)
    name, (act, shape) = list(known.items())[-1]
    kind = draw(st.sampled_from([LayerKind.LINEAR, LayerKind.CONV, LayerKind.SUM]))
    logits = {"name": "logits", "source": name, "act": act, "kind": kind}
    if kind is LayerKind.SUM:
        last = LayerSpec(**logits, in_channels=shape[0], out_channels=shape[0])
    else:
        inputs = int(np.prod(shape)) if kind is LayerKind.LINEAR else shape[0]
        last = LayerSpec(
            **logits, in_channels=inputs, out_channels=draw(st.integers(1, 9)), weight=_weight(draw, odd),
            bias_shift=draw(st.none() | st.integers(0, 9)),
        )  # fmt: skip
    input_act, (c, y, x) = known[INPUT]
    return NetworkSpec(
        name="random", input_channels=c, input_height=y, input_width=x, input_act=input_act,
        layers=(*found, last),
    )  # fmt: skip


def _weight(draw, odd):
    encoding = WeightEncoding.ODD if odd else draw(st.sampled_from(WeightEncoding))
    return WeightFormat(bits=draw(st.integers(1, 8)), encoding=encoding)


@st.composite
def _layer(draw, known, name, odd, channels):
    source = draw(st.sampled_from(list(known)))
    act, shape = known[source]
    kind = draw(st.sampled_from([LayerKind.CONV] * 4 + [LayerKind.SUM, LayerKind.MAX, LayerKind.CONCAT]))
    members = {"name": name, "source": source, "act": act, "kind": kind, "in_channels": shape[0]}
    fits = min(shape[1:])
    kernel = draw(st.integers(1, min(fits, 4)))
    if kind is LayerKind.CONCAT:
        same = [
            n for n, (a, s) in known.items() if s[1:] == shape[1:] and act.min <= a.min <= a.max <= act.max
        ]
        concat = tuple(draw(st.lists(st.sampled_from(same), min_size=1, max_size=2)))
        total = shape[0] + sum(known[n][1][0] for n in concat)
        return LayerSpec(
            **{**members, "in_channels": total}, out_channels=total, concat=concat, out=acts(draw)
        )
    geometry = {
        "kernel": kernel, "stride": draw(st.integers(1, 3)),
        "padding": draw(st.integers(0, kernel // 2 if kind is LayerKind.MAX else kernel)),
    }  # fmt: skip
    if kind is not LayerKind.CONV:
        out = act if kind is LayerKind.MAX else acts(draw)
        plain = LayerSpec(**members, **geometry, out_channels=shape[0], out=out)
        sums = kind is LayerKind.SUM and not odd  # odd weights are never 0
        return _with_residual(draw, known, plain, shape) if sums else plain
    n = draw(st.integers(1, channels))
    groups = 1
    if draw(st.integers(0, 5)) == 0:
        groups = draw(st.sampled_from([g for g in range(1, shape[0] + 1) if shape[0] % g == 0]))
        n = groups * draw(st.integers(1, 4))
    elif draw(st.integers(0, 5)) == 0:
        groups = n = shape[0]
    plain = LayerSpec(
        **members, **geometry, out_channels=n, groups=groups, weight=_weight(draw, odd), out=acts(draw)
    )
    return plain if groups > 1 else _with_residual(draw, known, plain, shape)


def _with_residual(draw, known, layer, shape):
    _, y, x = layer.out_shape(shape)
    n = layer.out_channels
    residuals = [
        (other, stride)
        for other, (_, s) in known.items()
        for stride in (1, 2, 3)
        if s[0] <= n and (-(-s[1] // stride), -(-s[2] // stride)) == (y, x)
    ]
    if not residuals:
        return layer
    other, stride = draw(st.sampled_from(residuals))
    act, (c, _, _) = known[other]
    return replace(
        layer, residual=other, residual_act=act, residual_stride=stride,
        residual_channel=draw(st.integers(0, n - c)),
    )  # fmt: skip


def narrowing():
    """What was stored last comes back to a place that has long been free: it must wait for the store."""
    act, wide = ActFormat(bits=4), ActFormat(bits=8)
    weight = WeightFormat(bits=4)
    conv = LayerSpec(
        name="a", kind=LayerKind.CONV, source="input", act=wide, weight=weight, in_channels=8,
        out_channels=8, kernel=5, padding=2, out=act,
    )  # fmt: skip
    last = LayerSpec(
        name="logits", kind=LayerKind.CONV, source="a", act=act, weight=weight, in_channels=8, out_channels=3
    )
    return NetworkSpec(
        name="narrowing", input_channels=8, input_height=8, input_width=6, input_act=wide,
        layers=(conv, last),
    )  # fmt: skip


def big_core(array, **members):
    """A core with room for everything small."""
    sizes = {"activation_words": 1 << 16, "patch_words": 4096, "weight_words": 8192, "constant_words": 256}
    sizes |= {"widest_act_bits": max(8, array.act.bits), "widest_weight_bits": max(8, array.weight.bits)}
    return CoreSpec(array=array, **{**sizes, "program_words": 1 << 16, **members})


def small_array(bits=4, **shape):
    """An array, by default of 4 rows, 8 columns and 8 lanes."""
    members = {"rows": 4, "cols": 8, "lanes": 8, "name": "core", "requantiser": WIDE, **shape}
    return HardwareSpec(act=ActFormat(bits=bits), weight=WeightFormat(bits=bits), **members)


WIDE = RequantiserSpec(mult_bits=32, level_bits=14, residual_bits=14)
