"""Broken and hostile files: each is refused with one line, within seconds, and nothing is written."""

import contextlib
import os
import time

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")

from onnx import TensorProto, external_data_helper, helper, numpy_helper  # noqa: E402
from onnx_models import QONNX, Graph, brevitas_like, save  # noqa: E402 - needs onnx

from pact_hw.errors import InputError  # noqa: E402
from pact_hw.exchange.importing import import_model  # noqa: E402

SECONDS = 10  # of this process: the machine may be busy


@pytest.fixture
def refused(tmp_path):
    """The line that refuses a model (a ModelProto, or bytes)."""

    def call(model, match):
        path = tmp_path / "model.onnx"
        path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
        start = time.process_time()
        with pytest.raises(InputError, match=match) as caught:
            import_model(path, tmp_path / "out", images=1)
        assert time.process_time() - start < SECONDS
        assert len(str(caught.value)) < 1000
        assert not (tmp_path / "out").exists()
        return str(caught.value)

    return call


def small(change=lambda g, x: x, *, scale=0.25, weights=None):
    """One convolution; ``change`` may put something behind it."""
    g = Graph((3, 6, 6))
    x = g.quant("x", 0.1, 4)
    w = g.constant(g.rng.normal(0, 0.1, (4, 3, 3, 3)) if weights is None else weights)
    x = g.node("Conv", x, g.quant(w, 0.05, 4), kernel_shape=[3, 3], pads=[1] * 4)
    x = change(g, g.quant(g.node("Relu", x), scale, 4, signed=0))
    return g.model(g.node("GlobalAveragePool", x))


def initialiser(model, shape):
    return next(t for t in model.graph.initializer if list(t.dims) == list(shape))


def test_the_model_that_the_others_are_made_from_is_fine(tmp_path):
    result = import_model(save(small(), tmp_path / "model.onnx"), tmp_path / "out", images=1)
    assert result["level_mismatches"] == 0


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.7, 0.99])
def test_truncated(refused, share):
    data = small().SerializeToString()
    refused(data[: int(share * len(data))], r"model\.onnx: ")


@pytest.mark.parametrize("content", [b"\x80\x04\x95pickle", b"PK\x03\x04" * 50, b"{}", os.urandom(300)])
def test_other_kinds_of_files(refused, content):
    refused(content, r"model\.onnx: ")


def test_missing(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        import_model(tmp_path / "nowhere.onnx", tmp_path / "out")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite(refused, value):
    weights = np.zeros((4, 3, 3, 3))
    weights[1, 2, 0, 1] = value
    refused(small(weights=weights), "NaN or infinite")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_constants_that_are_not_finite(refused, value):
    refused(small(lambda g, x: g.node("Mul", x, value)), "NaN or infinite")
    node = helper.make_node("Constant", [], ["k"], value_float=value)
    model = small(lambda g, x: g.node("Mul", x, "k"))
    model.graph.node.insert(0, node)
    refused(model, "NaN or infinite")


@pytest.mark.parametrize("scale", [0.0, -0.25])
def test_scales_that_are_not_positive(refused, scale):
    line = refused(small(scale=scale), "is not positive")
    assert "n_quant" in line


@pytest.mark.parametrize("bits", [0.0, 2.5, 17.0, 1e9, -4.0])
def test_bit_widths(refused, bits):
    refused(small(lambda g, x: g.quant(x, 0.25, bits)), "bit width")


def test_a_cycle(refused):
    model = small()
    first, last = model.graph.node[0], model.graph.node[-2]
    first.input[0] = last.output[0]
    refused(model, "a cycle")


def test_a_node_that_reads_itself(refused):
    model = small()
    model.graph.node[0].input[0] = model.graph.node[0].output[0]
    refused(model, "a cycle")


def test_names_given_twice(refused):
    model = small()
    model.graph.node[1].output[0] = model.graph.node[0].output[0]
    refused(model, "given twice")


def test_fewer_data_than_the_shape_needs(refused):
    model = small()
    initialiser(model, (4, 3, 3, 3)).dims[0] = 5
    refused(model, "needs")


@pytest.mark.parametrize("size", [1 << 20, 1 << 40, 1 << 62, -1])
def test_huge_and_negative_dimensions(refused, size):
    model = small()
    initialiser(model, (4, 3, 3, 3)).dims[0] = size
    refused(model, "not usable|needs")


@pytest.mark.parametrize("size", [0, 1 << 17, 1 << 40])
def test_huge_and_open_input_sizes(refused, size):
    model = small()
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_value = size
    refused(model, "of fixed sizes up to")


def test_an_input_that_is_too_large_to_be_compared(refused):
    def shrunk(g, x):
        for _ in range(3):
            x = g.node("MaxPool", x, kernel_shape=[10, 10], strides=[10, 10])
        return x

    model = small(shrunk)
    for axis in (2, 3):
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_value = 4000
    refused(model, "too large to be compared")


def test_a_batch_that_is_too_large_to_be_compared(refused):
    model = small()
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1 << 40
    refused(model, "too large to be compared")


def test_weights_that_do_not_fit_their_input(refused):
    refused(small(lambda g, x: g.conv(x, 4, 5)), "for 4 channels")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("pads", [-1] * 4),
        ("pads", [9] * 3 + [8]),
        ("strides", [0, 0]),
        ("pads", [1 << 40] * 4),
        ("strides", [2, 1]),
    ],
)
def test_geometry(refused, name, values):
    model = small()
    node = next(n for n in model.graph.node if n.op_type == "Conv")
    kept = [a for a in node.attribute if a.name != name]
    del node.attribute[:]
    node.attribute.extend([*kept, helper.make_attribute(name, values)])
    refused(model, "cannot be imported|padding must be")


def external(model, tmp_path, location, *, offset=0, length=None):
    tensor = initialiser(model, (4, 3, 3, 3))
    data = tensor.raw_data
    external_data_helper.set_external_data(tensor, location, offset, len(data) if length is None else length)
    tensor.ClearField("raw_data")
    return data


def test_external_data_in_the_folder_are_read(tmp_path):
    model = small()
    (tmp_path / "weights.bin").write_bytes(b"head" + external(model, tmp_path, "weights.bin", offset=4))
    result = import_model(save(model, tmp_path / "model.onnx"), tmp_path / "out", images=1)
    assert result["level_mismatches"] == 0


@pytest.mark.parametrize(
    "location", ["../secret.bin", "/etc/passwd", "a/../../secret.bin", "", "link.bin", "\0"]
)
def test_external_data_outside_the_folder(refused, tmp_path, location):
    model = small()
    secret = tmp_path.parent / "secret.bin"
    secret.write_bytes(external(model, tmp_path, location))
    (tmp_path / "link.bin").symlink_to(secret)
    refused(model, "not inside the model's folder|cannot be used")


@pytest.mark.parametrize(("offset", "length"), [(0, 1 << 40), (1 << 40, None), (-8, None), (1, None)])
def test_external_data_that_are_not_there(refused, tmp_path, offset, length):
    model = small()
    (tmp_path / "weights.bin").write_bytes(
        external(model, tmp_path, "weights.bin", offset=offset, length=length)
    )
    refused(model, "does not hold")


def test_one_external_file_as_many_tensors(refused, tmp_path):
    model = small()
    (tmp_path / "zeros.bin").touch()
    os.truncate(tmp_path / "zeros.bin", 1 << 29)  # sparse: no space is used
    for index in range(64):
        tensor = TensorProto(name=f"bomb{index}", data_type=TensorProto.FLOAT, dims=[1 << 27])
        tensor.raw_data = b""
        external_data_helper.set_external_data(tensor, "zeros.bin", 0, 1 << 29)
        tensor.ClearField("raw_data")
        model.graph.initializer.append(tensor)
    refused(model, "bytes in all")


def test_zero_points_that_would_blow_up_a_constant(refused):
    g = Graph((3, 6, 6))
    weights = g.quant(g.constant(np.zeros((4000, 1))), 0.1, 4, zero=np.zeros((1, 4000)))
    refused(g.model(g.node("MatMul", g.quant("x", 0.1, 4), weights)), "zero points of shape")


def test_more_channels_than_could_be_searched(refused):
    n = 1 << 16
    weights = np.full((n, 3, 1, 1), 7, dtype=np.int8)

    def wide(g, x):
        w = g.node("DequantizeLinear", g.constant(weights[:, :1].repeat(4, axis=1), np.int8), 0.1)
        return g.quant(g.node("Conv", x, w, kernel_shape=[1, 1]), 0.3, 16)

    refused(small(wide), "too many")


@pytest.mark.parametrize(
    "node",
    [
        helper.make_node("ConstantOfShape", ["big"], ["y"]),
        helper.make_node("Expand", ["one", "big"], ["y"]),
        helper.make_node("Custom", ["one"], ["y"], domain="evil"),
        helper.make_node("Tile", ["one", "big"], ["y"]),
        helper.make_node("Reshape", ["one", "big"], ["y"]),
    ],
)
def test_operations_that_make_large_constants(refused, node):
    model = small(lambda g, x: g.node("Mul", x, "y"))
    model.graph.initializer.append(numpy_helper.from_array(np.array([1 << 40]), "big"))
    model.graph.initializer.append(numpy_helper.from_array(np.ones(1, np.float32), "one"))
    model.graph.node.insert(0, node)
    refused(model, "cannot be imported")


def test_subgraphs_and_functions(refused):
    model = small()
    model.graph.node.append(helper.make_node("If", ["x"], ["never"], then_branch=small().graph))
    refused(model, "attribute 'then_branch'")
    model = small()
    model.functions.append(helper.make_function("evil", "F", ["a"], ["b"], [], [helper.make_opsetid("", 18)]))
    refused(model, "functions")


def test_a_name_of_a_megabyte(refused):
    model = small(lambda g, x: g.node("Sin", x))
    next(n for n in model.graph.node if n.op_type == "Sin").name = "n" * (1 << 20)
    refused(model, "has no integer form")


@pytest.mark.parametrize("seed", range(2))
def test_random_damage_is_refused_or_harmless(tmp_path, seed):
    rng = np.random.default_rng(seed)
    whole = bytearray(brevitas_like().SerializeToString())
    path = tmp_path / "model.onnx"
    for _ in range(12):
        data = whole.copy()
        for position in rng.integers(0, len(data), 3):
            data[position] = rng.integers(0, 256)
        path.write_bytes(bytes(data))
        start = time.process_time()
        with contextlib.suppress(InputError):
            import_model(path, tmp_path / "out", images=0)
        assert time.process_time() - start < SECONDS


def test_a_bipolar_weight_with_a_negative_scale(refused):
    g = Graph((3, 6, 6))
    w = g.node("BipolarQuant", g.constant(np.ones((4, 3, 1, 1))), -0.1, domain=QONNX)
    refused(g.model(g.node("Conv", g.quant("x", 0.1, 4), w, kernel_shape=[1, 1])), "is not positive")
