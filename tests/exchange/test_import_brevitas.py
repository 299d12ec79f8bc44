"""What Brevitas exports: residual adds of two scales, signs, shared constants, batch normalisation."""

from collections import Counter
from pathlib import Path

import pytest

onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
pytest.importorskip("qonnx", reason="the extra onnx is not installed")

from pact_hw.exchange.exporting import export  # noqa: E402 - needs onnx
from pact_hw.exchange.importing import import_model  # noqa: E402
from pact_hw.network_files import load_network  # noqa: E402
from pact_hw.spec import LayerKind, WeightEncoding  # noqa: E402

FILES = Path(__file__).parent / "data"


def check(path, out):
    result = import_model(path, out, images=5)
    assert result["executor"] == "qonnx"
    assert result["level_mismatches"] == result["class_mismatches"] == 0
    assert result["levels_compared"] > 5000
    assert result["float_ties"] <= 2
    assert result["worst_logit_error"] < 1e-3
    return load_network(out)


@pytest.mark.parametrize("name", ["residual", "binary"])
def test_the_files_are_as_brevitas_writes_them(name):
    ops = Counter(node.op_type for node in onnx.load(FILES / f"brevitas_{name}.onnx").graph.node)
    assert ops["Quant"] + ops["BipolarQuant"] >= 6
    assert ops["BatchNormalization"] >= 2


def test_residual_network(tmp_path):
    network, _ = check(FILES / "brevitas_residual.onnx", tmp_path / "net")
    residual = [layer for layer in network.layers if layer.residual]
    assert len(residual) == 2
    assert [layer.kind for layer in network.layers].count(LayerKind.CONV) == 6
    assert export(tmp_path / "net", tmp_path / "back.onnx", images=2)["level_mismatches"] == 0


def test_binary_network(tmp_path):
    network, _ = check(FILES / "brevitas_binary.onnx", tmp_path / "net")
    weights = [layer.weight for layer in network.layers if layer.weight]
    assert (weights[1].bits, weights[1].encoding) == (1, WeightEncoding.ODD)
    assert export(tmp_path / "net", tmp_path / "back.onnx", images=2)["level_mismatches"] == 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Brevitas' and torch's own
@pytest.mark.parametrize("name", ["residual", "binary"])
def test_what_the_installed_brevitas_writes(tmp_path, name):
    pytest.importorskip("brevitas", reason="brevitas is not installed; the files in data/ were made with it")
    from brevitas_models import export as write

    write(name, tmp_path / "model.onnx")
    check(tmp_path / "model.onnx", tmp_path / "net")
