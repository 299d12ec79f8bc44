"""QONNX models against the executor of qonnx: every level of every layer."""

import itertools

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
pytest.importorskip("qonnx", reason="the extra onnx is not installed")

from onnx_models import QONNX, Graph, brevitas_like, save  # noqa: E402 - needs onnx

from pact_hw.errors import InputError  # noqa: E402
from pact_hw.exchange.exporting import export  # noqa: E402
from pact_hw.exchange.importing import import_model  # noqa: E402
from pact_hw.network_files import load_network  # noqa: E402
from pact_hw.spec import LayerKind, WeightEncoding  # noqa: E402


@pytest.fixture
def imported(tmp_path):
    """Imports a model; with ``there_and_back`` also exports it, and imports that."""

    def call(model, *, images=3, there_and_back=True):
        result = import_model(save(model, tmp_path / "model.onnx"), tmp_path / "net", images=images)
        assert result["executor"] == "qonnx"
        assert result["level_mismatches"] == result["class_mismatches"] == 0
        if there_and_back:
            back = export(tmp_path / "net", tmp_path / "back.onnx", images=2)
            assert back["level_mismatches"] == 0
            again = import_model(tmp_path / "back.onnx", tmp_path / "again", images=2)
            assert again["level_mismatches"] == again["float_ties"] == again["class_mismatches"] == 0
        return result, *load_network(tmp_path / "net")

    return call


def ended(g, x, features):
    """``x`` flattened, and a last layer."""
    flat = g.node("Flatten", x, axis=1)
    return g.model(g.node("Gemm", flat, g.weights(10, features, bits=4, scale=0.05), transB=1))


@pytest.mark.parametrize(("seed", "bits"), [(0, 2), (0, 4), (1, 4), (0, 8)])
def test_residual_network_as_brevitas_writes_it(imported, seed, bits):
    result, network, _ = imported(brevitas_like(seed, act_bits=bits, weight_bits=bits))
    assert result["levels_compared"] > 6000
    assert result["float_ties"] <= 2
    assert [layer.kind for layer in network.layers].count(LayerKind.CONV) == 4
    assert sum(layer.residual is not None for layer in network.layers) == 1


def test_scales_that_make_exact_ties(imported):
    """With powers of two float32 is exact too, so nothing may be blamed on it."""
    result, _, _ = imported(brevitas_like(3, scale=0.25), there_and_back=False)
    assert result["float_ties"] == 0


MODES = ("ROUND", "HALF_EVEN", "CEIL", "FLOOR", "UP", "DOWN", "HALF_UP", "HALF_DOWN")


@pytest.mark.parametrize(("mode", "signed", "narrow"), list(itertools.product(MODES, (0, 1), (0, 1))))
def test_every_rounding_mode_at_exact_ties(imported, mode, signed, narrow):
    g = Graph((3, 6, 6))
    y = g.conv(g.quant("x", 0.25, 4), 8, 3, scale=0.125)
    model = ended(g, g.quant(y, 0.25, 4, signed=signed, narrow=narrow, rounding=mode), 8 * 36)
    if signed and mode in ("UP", "DOWN", "HALF_UP", "HALF_DOWN"):
        with pytest.raises(InputError, match=f"rounding mode {mode} for codes below 0"):
            imported(model)
        return
    result, _, _ = imported(model, there_and_back=False)
    assert result["float_ties"] == 0


@pytest.mark.parametrize("zero", [1.0, 2.0, 7.0, 8.0])
def test_zero_points_of_activations(imported, zero):
    """They are added before rounding: odd ones turn the tie rule around."""
    g = Graph((3, 6, 6))
    y = g.conv(g.quant("x", 0.25, 4), 8, 3, scale=0.125)
    result, network, _ = imported(ended(g, g.quant(y, 0.25, 4, signed=0, zero=zero), 8 * 36))
    assert result["float_ties"] == 0
    assert network.layers[0].out.min <= -zero


def test_signs(imported):
    g = Graph((3, 6, 6))
    y = g.node("BipolarQuant", g.conv(g.quant("x", 0.25, 4), 8, 3), 0.3, domain=QONNX)
    w = g.node("BipolarQuant", g.constant(g.rng.normal(size=(8, 8, 3, 3))), 0.1, domain=QONNX)
    y = g.node("Conv", y, w, kernel_shape=[3, 3], pads=[1] * 4)
    _, network, _ = imported(ended(g, g.quant(g.node("Add", y, 0.01), 1.1, 1, signed=1), 8 * 36))
    second = network.layers[1].weight
    assert (second.bits, second.encoding) == (1, WeightEncoding.ODD)
    assert (network.layers[0].out.min, network.layers[0].out.max) == (-1, 1)


def test_clips_and_relus_in_odd_places(imported):
    g = Graph((3, 6, 6))
    y = g.quant(g.node("Relu", g.conv(g.quant("x", 0.25, 4), 8, 3)), 0.3, 4, signed=1)
    y = g.quant(g.node("Clip", g.conv(y, 8, 8), 0.0, 3.0), 0.3, 4, signed=0)
    y = g.conv(g.node("Relu", g.quant(g.conv(y, 8, 8), 0.3, 4)), 8, 8)  # a Relu that reads levels
    _, network, _ = imported(ended(g, g.quant(y, 0.4, 4), 8 * 36))
    assert str(network.layers[0].out) == "unsigned 3 bits"


def test_groups_concatenation_and_average_pooling(imported):
    g = Graph((4, 6, 6))
    y = g.relu_quant(g.conv(g.quant("x", 0.25, 4), 8, 4, group=4))
    a = g.relu_quant(g.conv(y, 8, 8, group=8))
    b = g.relu_quant(g.conv(a, 4, 8, kernel=1, padding=0))
    joined = g.node("Concat", a, b, axis=1)
    pooled = g.node("AveragePool", joined, kernel_shape=[2, 2], strides=[2, 2])
    _, network, _ = imported(ended(g, pooled, 12 * 9))
    assert [layer.groups for layer in network.layers[:2]] == [4, 8]


def test_constants_between_layers(imported):
    g = Graph((4, 6, 6))
    y = g.relu_quant(g.conv(g.quant("x", 0.25, 4), 8, 4))
    half = np.full((8, 1, 1), 0.5)
    y = g.relu_quant(g.node("Sub", g.node("Mul", g.node("Add", g.conv(y, 8, 8), y), half), 0.1))
    y = g.relu_quant(g.norm(g.node("Div", y, 0.7), 8))  # batch normalisation of levels
    flat = g.node("Reshape", y, g.constant([1, -1], np.int64))
    y = g.relu_quant(g.node("Gemm", flat, g.weights(6, 8 * 36), transB=1), scale=2.0)
    weights = g.node("Transpose", g.weights(10, 6), perm=[1, 0])
    result, _, _ = imported(g.model(g.node("Add", g.node("MatMul", y, weights), g.rng.normal(size=10))))
    assert result["levels_compared"] > 1000


def test_weights_with_half_a_step_of_zero_point_are_odd(imported):
    """DoReFa's levels 2q - (2**k - 1), as unsigned codes with a zero point between two of them."""
    g = Graph((3, 6, 6))
    w = g.quant(g.constant(g.rng.normal(0, 0.3, (8, 3, 3, 3))), 0.2, 2, signed=0, zero=1.5)
    y = g.node("Conv", g.quant("x", 0.25, 4), w, kernel_shape=[3, 3], pads=[1] * 4)
    _, network, _ = imported(ended(g, g.relu_quant(y), 8 * 36))
    assert (network.layers[0].weight.bits, network.layers[0].weight.encoding) == (2, WeightEncoding.ODD)


def test_what_stays_in_floating_point_is_refused_by_name(imported):
    g = Graph((3, 6, 6))
    with pytest.raises(InputError, match=r"n_conv.*its weights are not quantised"):
        imported(g.model(g.node("Conv", g.quant("x", 0.2, 4), g.rng.normal(size=(4, 3, 1, 1)))))
    g = Graph((3, 6, 6))
    with pytest.raises(InputError, match=r"n_conv.*nothing has quantised"):
        imported(ended(g, g.quant(g.conv("x", 4, 3), 0.2, 4), 4 * 36))
    g = Graph((3, 6, 6))
    with pytest.raises(InputError, match=r"without having been quantised"):
        imported(ended(g, g.conv(g.conv(g.quant("x", 0.2, 4), 4, 3), 4, 4), 4 * 36))
    g = Graph((3, 6, 6))
    with pytest.raises(InputError, match=r"\(Sigmoid\) cannot be imported"):
        imported(ended(g, g.quant(g.node("Sigmoid", g.conv(g.quant("x", 0.2, 4), 4, 3)), 0.2, 4), 4 * 36))


def test_a_requantiser_that_is_wrong_is_seen(tmp_path, monkeypatch):
    """The comparison is not blind: shift every step by one, and levels differ."""
    from pact_hw.exchange import layers

    whole = layers.Grid.argument
    monkeypatch.setattr(
        layers.Grid, "argument", lambda self, z: whole(self, z.then(1, layers.Fraction(1, 3)))
    )
    model = save(brevitas_like(), tmp_path / "model.onnx")
    assert import_model(model, tmp_path / "net", images=1)["level_mismatches"] > 100
