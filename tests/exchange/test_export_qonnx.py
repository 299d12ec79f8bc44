"""Our own networks as QONNX: qonnx's executor gives the same integers, or the layer is refused."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
pytest.importorskip("qonnx", reason="the extra onnx is not installed")

from pact_hw.errors import InputError  # noqa: E402 - needs onnx
from pact_hw.exchange.exporting import export  # noqa: E402
from pact_hw.exchange.importing import import_model  # noqa: E402
from pact_hw.network_files import load_network, save_network  # noqa: E402
from pact_hw.spec import (  # noqa: E402
    ActEncoding,
    ActFormat,
    LayerKind,
    LayerSpec,
    NetworkSpec,
    RequantiserKind,
    WeightEncoding,
    WeightFormat,
)

SIGNED = ActFormat(bits=5, encoding=ActEncoding.SYMMETRIC)
UNSIGNED, TINY = ActFormat(bits=3), ActFormat(bits=2)
WIDE = ActFormat(bits=9, encoding=ActEncoding.SIGNED)
ODD, ODD1 = WeightFormat(bits=3), WeightFormat(bits=1)
TWOS = WeightFormat(bits=4, encoding=WeightEncoding.TWOS_COMPLEMENT)


def layer(name, kind, source, act, c, n, **members):
    return LayerSpec(name=name, kind=kind, source=source, act=act, in_channels=c, out_channels=n, **members)


def network(bias_shift=2):
    """Every kind of layer; signed and unsigned levels; odd, one-bit and two's-complement weights."""
    conv, c = LayerKind.CONV, {"kernel": 3, "padding": 1}
    layers = [
        layer("a", conv, "input", SIGNED, 3, 4, weight=ODD, out=UNSIGNED, **c),
        layer("b", conv, "a", UNSIGNED, 4, 8, weight=TWOS, out=SIGNED, stride=2, residual="a",
              residual_act=UNSIGNED, residual_stride=2, residual_channel=3, **c),
        layer("m", LayerKind.MAX, "b", SIGNED, 8, 8, out=SIGNED, **c),
        layer("d", conv, "m", SIGNED, 8, 8, weight=ODD1, groups=8, out=SIGNED,
              requantiser=RequantiserKind.THRESHOLD, **c),
        layer("j", LayerKind.CONCAT, "d", SIGNED, 16, 16, concat=("b",), out=SIGNED),
        layer("s", LayerKind.SUM, "j", SIGNED, 16, 16, kernel=2, stride=2, out=WIDE),
        layer("f", LayerKind.LINEAR, "s", WIDE, 64, 6, weight=TWOS, out=UNSIGNED),
        layer("r", LayerKind.SUM, "f", UNSIGNED, 6, 6, out=TINY),
        layer("logits", LayerKind.LINEAR, "r", TINY, 6, 5, weight=ODD, bias_shift=bias_shift),
    ]  # fmt: skip
    return NetworkSpec(
        name="all", input_channels=3, input_height=8, input_width=8, input_act=SIGNED, layers=tuple(layers)
    )


def random_tensors(spec, seed=0, *, mult=900):
    """Constants that spread the levels, of either sign."""
    from pact_hw.network_files import expected_tensors

    rng = np.random.default_rng(seed)
    tensors = {}
    for each in spec.layers:
        for name, (shape, low, high) in expected_tensors(each).items():
            kind = name.split(".")[-1]
            low, high = {
                "mult": (-mult, mult), "residual_mult": (-mult, mult), "add": (-20_000, 20_000),
                "shift": (8, 14), "thresholds": (-40, 40), "sign": (0, 1),
            }.get(kind, (low, high))  # fmt: skip
            values = rng.integers(low, high + 1, shape)
            values = np.sort(values, axis=-1) if kind == "thresholds" else values
            tensors[name] = 2 * values - 1 if kind == "sign" else values
    return tensors


@pytest.mark.parametrize("seed", range(3))
def test_every_kind_of_layer(tmp_path, seed):
    spec = network()
    save_network(tmp_path / "net", spec, random_tensors(spec, seed))
    result = export(tmp_path / "net", tmp_path / "net.onnx", images=4, seed=seed)
    assert result["executor"] == "qonnx"
    assert set(result["layers"]) == {each.name for each in spec.layers}
    assert result["level_mismatches"] == 0
    assert result["levels_compared"] == 4 * sum(int(np.prod(spec.shapes[each.name])) for each in spec.layers)


def test_it_is_read_again_with_the_same_weights(tmp_path):
    spec = network()
    tensors = random_tensors(spec)
    save_network(tmp_path / "net", spec, tensors)
    export(tmp_path / "net", tmp_path / "net.onnx", images=1)
    result = import_model(tmp_path / "net.onnx", tmp_path / "again", images=3)
    assert result["level_mismatches"] == result["float_ties"] == 0
    again, found = load_network(tmp_path / "again")
    assert again.layers[0].weight == ODD
    assert (found[f"{again.layers[0].name}.weight"] == tensors["a.weight"]).all()


def test_the_file_is_the_same_every_time(tmp_path):
    spec = network()
    save_network(tmp_path / "net", spec, random_tensors(spec))
    for name in ("one", "two"):
        export(tmp_path / "net", tmp_path / f"{name}.onnx", images=0)
    assert (tmp_path / "one.onnx").read_bytes() == (tmp_path / "two.onnx").read_bytes()


def test_logits_beyond_float32_are_float64(tmp_path):
    spec = network(bias_shift=30)
    save_network(tmp_path / "net", spec, random_tensors(spec))
    assert export(tmp_path / "net", tmp_path / "net.onnx")["level_mismatches"] == 0


def test_multipliers_beyond_float64_become_thresholds(tmp_path):
    spec = network()
    tensors = random_tensors(spec)
    for name in ("mult", "add"):
        tensors[f"a.{name}"] = tensors[f"a.{name}"] << 37
    tensors["a.shift"] = tensors["a.shift"] + 37
    tensors["a.mult"][0] = 0
    save_network(tmp_path / "net", spec, tensors)
    assert export(tmp_path / "net", tmp_path / "net.onnx", images=3)["level_mismatches"] == 0
    nodes = {node.name: node.op_type for node in onnx.load(tmp_path / "net.onnx").graph.node}
    assert nodes["a_levels"] == "MultiThreshold"
    assert "b_levels" not in nodes


@pytest.mark.parametrize("seed", range(3))
def test_multipliers_beyond_float64_are_computed_in_halves_beside_a_residual(tmp_path, seed):
    """The low half decides: every level is checked against constants whose low bits are random."""
    spec, rng = network(), np.random.default_rng(seed)
    tensors = random_tensors(spec, seed)
    for name in ("mult", "residual_mult", "add"):
        tensors[f"b.{name}"] = (tensors[f"b.{name}"] << 37) + rng.integers(0, 1 << 37, 8)
    tensors["b.shift"] = tensors["b.shift"] + 37
    save_network(tmp_path / "net", spec, tensors)
    assert export(tmp_path / "net", tmp_path / "net.onnx", images=10, seed=seed)["level_mismatches"] == 0
    nodes = {node.name: node.op_type for node in onnx.load(tmp_path / "net.onnx").graph.node}
    assert nodes["b_carry"] == "Floor"


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("act", [UNSIGNED, SIGNED])
def test_thresholds_beside_a_residual_are_looked_up_and_counted(tmp_path, act, seed):
    """Every second pixel and padded channels of the residual operand, either sign of its levels."""
    b = layer("b", LayerKind.CONV, "input", act, 3, 6, weight=ODD, out=SIGNED, kernel=3, padding=1, stride=2,
              residual="input", residual_act=act, residual_stride=2, residual_channel=2,
              requantiser=RequantiserKind.THRESHOLD)  # fmt: skip
    last = layer("logits", LayerKind.LINEAR, "b", SIGNED, 96, 5, weight=ODD)
    spec = NetworkSpec(
        name="table", input_channels=3, input_height=8, input_width=8, input_act=act, layers=(b, last)
    )
    save_network(tmp_path / "net", spec, random_tensors(spec, seed))
    assert export(tmp_path / "net", tmp_path / "net.onnx", images=5, seed=seed)["level_mismatches"] == 0
    nodes = {node.name: node.op_type for node in onnx.load(tmp_path / "net.onnx").graph.node}
    assert nodes["b_chosen"] == "Gather"


def test_halves_are_rounded_down_one_by_one(tmp_path):
    """Arguments of ``j 2**56 - 1``, which float64 would round up to the next level."""
    act = UNSIGNED
    added = layer("y", LayerKind.SUM, "input", act, 2, 2, out=act, residual="input", residual_act=act)
    last = layer("logits", LayerKind.LINEAR, "y", act, 8, 3, weight=ODD)
    spec = NetworkSpec(
        name="ties", input_channels=2, input_height=2, input_width=2, input_act=act, layers=(added, last)
    )
    tensors = random_tensors(spec)
    for name, value in {"mult": 1 << 54, "residual_mult": 1 << 54, "add": -1, "shift": 56}.items():
        tensors[f"y.{name}"] = np.full(2, value)
    save_network(tmp_path / "net", spec, tensors)
    assert export(tmp_path / "net", tmp_path / "net.onnx", images=10)["level_mismatches"] == 0


def test_a_last_layer_whose_sums_are_beyond_float32(tmp_path):
    act = ActFormat(bits=16)
    last = layer("y", LayerKind.LINEAR, "input", act, 64, 5, weight=WeightFormat(bits=8))
    spec = NetworkSpec(
        name="wide", input_channels=64, input_height=1, input_width=1, input_act=act, layers=(last,)
    )
    save_network(tmp_path / "net", spec, random_tensors(spec))
    assert export(tmp_path / "net", tmp_path / "net.onnx", images=3)["level_mismatches"] == 0


def test_convolutions_beyond_float32_are_refused(tmp_path):
    act = ActFormat(bits=16)
    wide = layer("y", LayerKind.CONV, "input", act, 64, 5, weight=WeightFormat(bits=8))
    spec = NetworkSpec(
        name="wide", input_channels=64, input_height=2, input_width=2, input_act=act, layers=(wide,)
    )
    save_network(tmp_path / "net", spec, random_tensors(spec))
    with pytest.raises(InputError, match=r"layer 'y': its sums reach .*; float32 is exact below 16777216"):
        export(tmp_path / "net", tmp_path / "net.onnx")


def test_what_would_not_be_exact_is_refused(tmp_path):
    spec = network()
    tensors = random_tensors(spec)
    tensors["b.mult"], tensors["b.shift"] = tensors["b.mult"] << 44, np.zeros(8, dtype=np.int64)
    save_network(tmp_path / "net", spec, tensors)
    with pytest.raises(InputError, match="layer 'b': its requantiser's sums reach"):
        export(tmp_path / "net", tmp_path / "net.onnx")
    assert not (tmp_path / "net.onnx").exists()


def test_a_changed_constant_is_seen(tmp_path, monkeypatch):
    """The comparison is not blind."""
    from pact_hw.exchange import exporting

    spec = network()
    tensors = random_tensors(spec)
    save_network(tmp_path / "net", spec, tensors)
    other = {**tensors, "a.add": tensors["a.add"] + 5000}
    honest = exporting.to_qonnx
    monkeypatch.setattr(exporting, "to_qonnx", lambda network, _tensors: honest(network, other))
    assert export(tmp_path / "net", tmp_path / "net.onnx")["level_mismatches"] > 0
