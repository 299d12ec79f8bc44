"""``pact-hw generate --core`` and ``pact-hw simulate`` on a core, with Icarus, which builds in a second."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from pact_hw.cli.main import _run
from pact_hw.design import load_design
from pact_hw.network_files import save_network

sys.path.insert(0, str(Path(__file__).parents[1] / "sim"))

from small_cores import small_network, small_tensors

ARRAY = ("--act-bits", 4, "--weight-bits", 4, "--rows", 2, "--cols", 2, "--lanes", 4)
needs_icarus = pytest.mark.skipif(shutil.which("iverilog") is None, reason="Icarus Verilog is not installed")


def call(capfd, *arguments):
    code = _run([str(a) for a in arguments])
    captured = capfd.readouterr()
    return code, captured.out, captured.err


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("core")
    network = small_network()
    save_network(folder / "net", network, small_tensors(network))
    assert (
        _run(list(map(str, ("generate", "--core", *ARRAY, "--for", folder / "net", "--out", folder / "hw"))))
        == 0
    )
    return folder


def test_a_core_is_sized_for_its_network(folders):
    core = load_design(folders / "hw").core
    assert core.name == "pact_core"
    # As wide as the widest layer, and no wider.
    assert core.widest_act_bits == 8
    assert core.activation_words < 512
    for name in ("registers.md", "pact_core_regs.h", "pact_core.core", "files.f", "synthesis.ys"):
        assert (folders / "hw" / name).is_file()


@needs_icarus
def test_a_network_runs_on_a_core(folders, capfd):
    rest = ("--network", folders / "net", "--random-images", "--images", 2, "--simulator", "icarus")
    code, out, _ = call(capfd, "simulate", folders / "hw", *rest, "--json")
    result = json.loads(out)
    assert code == 0
    assert result["passed"]
    assert result["images"] == len(result["classes"]) == 2
    assert [layer["name"] for layer in result["layers"]] == [x.name for x in small_network().layers]
    assert result["cycles"] == result["predicted_cycles"] > 0
    assert result["cycles_per_second"] > 0


@needs_icarus
def test_a_network_runs_on_a_composable_core(folders, tmp_path, capfd):
    array = ("--mac-kind", "composable", "--act-bits", 8, "--weight-bits", 8, "--narrowest-bits", 4)
    shape = ("--rows", 2, "--cols", 2, "--lanes", 1, "--for", folders / "net", "--out", tmp_path / "hw")
    assert call(capfd, "generate", "--core", *array, *shape)[0] == 0
    assert [mode.bits for mode in load_design(tmp_path / "hw").core.modes] == [8, 4]
    rest = ("--network", folders / "net", "--random-images", "--images", 1, "--simulator", "icarus")
    code, out, _ = call(capfd, "simulate", tmp_path / "hw", *rest, "--json")
    result = json.loads(out)
    assert (code, result["passed"]) == (0, True)
    assert result["cycles"] == result["predicted_cycles"] > 0


@needs_icarus
def test_a_wrong_layer_is_the_verdict(folders, capfd, monkeypatch):
    run_layer = "pact_hw.golden.network.run_layer"
    original = sys.modules["pact_hw.golden.network"].run_layer

    def wrong(layer, tensors, values):
        rows = original(layer, tensors, values)
        return rows + (layer.name == "most")

    monkeypatch.setattr(run_layer, wrong)
    rest = ("--network", folders / "net", "--random-images", "--layers", ":most", "--simulator", "icarus")
    code, out, err = call(capfd, "simulate", folders / "hw", *rest)
    assert code == 1
    assert "pact-hw: image 0, layer 'most', channel 0, row 0, column 0: expected " in err
    assert "35 more of its 36 values differ" in err
    assert "conv1" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "is a core: say with --network what it is to run"),
        (("--network", "net", "--random-images", "--wave-cycles", "7"), "--wave-cycles must be FIRST:COUNT"),
        (("--network", "net", "--random-images", "--wave-cycles", "\u00b2:3"), "--wave-cycles must be"),
        (("--network", "net", "--random-images", "--layers", "conv9"), "layers: 'conv9' is not one of conv1"),
        (("--network", "nothing"), "nothing: no such folder"),
    ],
)
def test_what_cannot_run_is_one_line(folders, capfd, monkeypatch, arguments, said):
    monkeypatch.chdir(folders)
    code, out, err = call(capfd, "simulate", "hw", *arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1


def test_buffers_can_be_sized_by_hand(tmp_path, capfd):
    rest = ("--activation-words", 100, "--bus-bits", 128, "--name", "mine", "--out", tmp_path)
    code, out, _ = call(capfd, "generate", "--core", *ARRAY, *rest, "--json")
    assert code == 0
    assert json.loads(out)["activation_words"] == 100
    core = load_design(tmp_path).core
    assert (core.activation_words, core.bus_bits, core.name) == (100, 128, "mine")
