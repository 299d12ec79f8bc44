"""pact-hw import and export, as a script sees them."""

import builtins
import json
from pathlib import Path

import pytest

from pact_hw.cli.main import _run

MODEL = Path(__file__).parents[1] / "exchange" / "data" / "brevitas_residual.onnx"


@pytest.fixture
def run(capsys):
    def call(*arguments):
        code = _run([str(a) for a in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def needs_onnx():
    for name in ("onnx", "qonnx"):
        pytest.importorskip(name, reason="the extra onnx is not installed")


def test_import_and_export(run, tmp_path):
    needs_onnx()
    code, out, _ = run("import", MODEL, "--out", tmp_path / "net", "--images", "2", "--json")
    result = json.loads(out)
    assert code == 0
    assert result["executor"] == "qonnx"
    assert result["level_mismatches"] == result["class_mismatches"] == 0
    assert result["levels_compared"] > 1000
    assert result["input"]["lowest_level"] == -128
    assert json.loads((tmp_path / "net" / "exactness.json").read_text()) == result

    code, out, _ = run("export", tmp_path / "net", "--out", tmp_path / "net.onnx", "--json")
    result = json.loads(out)
    assert code == 0
    assert result["level_mismatches"] == 0
    assert result["file"] == str(tmp_path / "net.onnx")


def test_a_trained_network_is_exported_with_its_scales(run, tmp_path):
    needs_onnx()
    code, _, _ = run("train", "--network", "digits", "--epochs", "0", "--out", tmp_path / "net")
    assert code == 0
    code, out, _ = run("export", tmp_path / "net", "--out", tmp_path / "net.onnx", "--json")
    result = json.loads(out)
    assert code == 0
    assert result["level_mismatches"] == result["class_mismatches"] == 0
    assert "input_quantiser" in result["layers"]


def test_tables_for_people(run, tmp_path):
    needs_onnx()
    code, out, _ = run("import", MODEL, "--out", tmp_path / "net", "--images", "1")
    assert code == 0
    assert "levels that differ" in out


def test_a_broken_file_is_one_line(run, tmp_path):
    needs_onnx()
    (tmp_path / "model.onnx").write_bytes(MODEL.read_bytes()[:5000])
    code, out, err = run("import", tmp_path / "model.onnx", "--out", tmp_path / "net")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"pact-hw: {tmp_path / 'model.onnx'}: ")


@pytest.mark.parametrize(
    ("missing", "arguments"), [("onnx", ["import", MODEL]), ("qonnx", ["import", MODEL])]
)
def test_a_missing_package_is_named(run, tmp_path, monkeypatch, missing, arguments):
    if missing == "qonnx":
        needs_onnx()
    honest = __import__("importlib").import_module

    def import_module(name, *rest):
        if name.split(".")[0] == missing:
            raise ImportError(f"No module named {name!r}")
        return honest(name, *rest)

    monkeypatch.setattr("pact_hw.exchange.packages.importlib.import_module", import_module)
    code, _, err = run(*arguments, "--out", tmp_path / "net")
    assert code == 2
    assert f"needs the Python package '{missing}': pip install 'pact-hw[onnx]'" in err


@pytest.mark.parametrize("command", ["import", "export"])
def test_help_has_an_example(run, command):
    code, out, _ = run(command, "--help")
    assert code == 0
    assert f"Example:\n    pact-hw {command}" in out


def test_importing_the_room_loads_no_optional_package(monkeypatch):
    """The packages of the extra are loaded when they are needed."""
    honest = builtins.__import__

    def guarded(name, *rest):
        assert name.split(".")[0] not in ("onnx", "onnxruntime", "qonnx")
        return honest(name, *rest)

    import sys

    for name in [n for n in sys.modules if n.startswith("pact_hw.exchange")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", guarded)
    import pact_hw.exchange.exporting
    import pact_hw.exchange.importing  # noqa: F401
