"""Models of QuantizeLinear, DequantizeLinear and QLinear operations, against onnxruntime."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from onnx_models import Graph, save  # noqa: E402
from onnxruntime.quantization import (  # noqa: E402
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)

from pact_hw.errors import InputError  # noqa: E402
from pact_hw.exchange.exporting import export  # noqa: E402
from pact_hw.exchange.importing import import_model  # noqa: E402
from pact_hw.network_files import load_network  # noqa: E402


def float_model(rng):
    """Residual add, depthwise convolution, concatenation, both poolings, a last layer with bias."""
    constants, nodes = {}, []

    def constant(name, *shape):
        constants[name] = rng.normal(0, 0.25, shape).astype(np.float32)
        return name

    def node(op, inputs, output, **attributes):
        nodes.append(helper.make_node(op, inputs, [output], name=f"n_{output}", **attributes))
        return output

    def conv(x, output, k, c, **attributes):
        inputs = [x, constant(f"w_{output}", k, c, 3, 3), constant(f"b_{output}", k)]
        return node("Conv", inputs, output, kernel_shape=[3, 3], pads=[1] * 4, **attributes)

    first = node("Relu", [conv("x", "c1", 8, 3)], "r1")
    second = node("Relu", [node("Add", [conv(first, "c2", 8, 8), first], "a2")], "r2")
    pooled = node("MaxPool", [second], "m", kernel_shape=[2, 2], strides=[2, 2])
    both = node("Concat", [conv(pooled, "c3", 8, 1, group=8), pooled], "j", axis=1)
    flat = node("Flatten", [node("GlobalAveragePool", [both], "g")], "f", axis=1)
    node("Gemm", [flat, constant("w", 10, 16), constant("b", 10)], "y", transB=1)
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 10])],
        [numpy_helper.from_array(v, n) for n, v in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


class Images(CalibrationDataReader):
    def __init__(self, rng):
        self.images = iter([{"x": rng.normal(size=(1, 3, 8, 8)).astype(np.float32)} for _ in range(4)])

    def get_next(self):
        return next(self.images, None)


@pytest.mark.filterwarnings("ignore")  # onnxruntime's own, while it calibrates
@pytest.mark.parametrize(
    ("form", "act", "weight", "per_channel", "symmetric"),
    [
        (QuantFormat.QDQ, QuantType.QUInt8, QuantType.QInt8, False, False),
        (QuantFormat.QDQ, QuantType.QInt8, QuantType.QInt8, True, True),
        (QuantFormat.QOperator, QuantType.QUInt8, QuantType.QUInt8, False, False),
        (QuantFormat.QOperator, QuantType.QInt8, QuantType.QInt8, True, False),
    ],
)
def test_what_onnxruntime_quantises(tmp_path, form, act, weight, per_channel, symmetric):
    rng = np.random.default_rng(0)
    source = save(float_model(rng), tmp_path / "float.onnx")
    quantize_static(
        str(source), str(tmp_path / "q.onnx"), Images(rng), quant_format=form, activation_type=act,
        weight_type=weight, per_channel=per_channel, extra_options={"ActivationSymmetric": symmetric},
    )  # fmt: skip
    result = import_model(tmp_path / "q.onnx", tmp_path / "net", images=2)
    assert result["executor"] == "onnxruntime"
    assert result["level_mismatches"] == result["class_mismatches"] == 0
    assert result["levels_compared"] > 4000
    assert result["float_ties"] <= 3
    assert result["worst_logit_error"] < 1e-6
    back = export(tmp_path / "net", tmp_path / "back.onnx", images=1)
    assert back["level_mismatches"] == 0


def codes_model(*, zero=0, other_zero=None, weight_zero=0):
    """Integers in; one convolution of codes, in the notation of pairs."""
    g = Graph((3, 6, 6), elem_type=TensorProto.UINT8)
    x = g.node("DequantizeLinear", "x", 0.25, g.constant(zero, np.uint8))
    codes = g.constant(g.rng.integers(-20, 20, (4, 3, 3, 3)), np.int8)
    w = g.node("DequantizeLinear", codes, 0.125, g.constant(weight_zero, np.int8))
    y = g.node("Conv", x, w, kernel_shape=[3, 3], pads=[1] * 4)
    y = g.node("QuantizeLinear", y, 0.5, g.constant(3, np.uint8))
    y = g.node("DequantizeLinear", y, 0.5, g.constant(3 if other_zero is None else other_zero, np.uint8))
    return g.model(g.node("GlobalAveragePool", y))


@pytest.mark.parametrize(("zero", "weight_zero"), [(0, 0), (128, 0), (37, 0), (255, 5)])
def test_integers_in_with_zero_points_and_exact_ties(tmp_path, zero, weight_zero):
    model = save(codes_model(zero=zero, weight_zero=weight_zero), tmp_path / "model.onnx")
    result = import_model(model, tmp_path / "net", images=20)
    assert result["level_mismatches"] == result["float_ties"] == 0
    network, _ = load_network(tmp_path / "net")
    assert network.input_act.min <= -zero
    assert network.input_act.max >= 255 - zero


def test_zero_points_that_do_not_agree(tmp_path):
    model = save(codes_model(other_zero=4), tmp_path / "model.onnx")
    with pytest.raises(InputError, match="zero point 4, but its codes have 3"):
        import_model(model, tmp_path / "net")


def test_logits_of_several_scales_are_refused(tmp_path):
    g = Graph((3, 6, 6))
    x = g.node("DequantizeLinear", g.node("QuantizeLinear", "x", 0.1), 0.1)
    codes = g.constant(g.rng.integers(-20, 20, (4, 108)), np.int8)
    w = g.node("DequantizeLinear", codes, g.constant([0.1, 0.2, 0.1, 0.1]), axis=0)
    model = save(g.model(g.node("Gemm", g.node("Flatten", x), w, transB=1)), tmp_path / "model.onnx")
    with pytest.raises(InputError, match="logits must have one positive scale"):
        import_model(model, tmp_path / "net")
