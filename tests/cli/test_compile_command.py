"""``pact-hw compile``, on a design whose Verilog nobody reads."""

import json
from dataclasses import replace

import pytest

from pact_hw.cli.core import core_spec
from pact_hw.cli.main import _run
from pact_hw.compiler import load_compiled
from pact_hw.compiler.examples import random_tensors, resnet20
from pact_hw.compiler.sizing import core_for
from pact_hw.design import Design, save_manifest
from pact_hw.network_files import save_network
from pact_hw.spec import ActFormat, HardwareSpec, WeightFormat
from pact_hw.spec.core import Depthwise


@pytest.fixture
def folders(tmp_path):
    """A network, and a function that writes a design for it."""
    network = resnet20()
    tensors = random_tensors(network, 0)
    save_network(tmp_path / "net", network, tensors)
    array = HardwareSpec(act=ActFormat(bits=4), weight=WeightFormat(bits=4), rows=8, cols=8, lanes=16)
    core = core_for(network, tensors, array)

    def design(name, **members):
        folder = tmp_path / name
        folder.mkdir()
        spec = None if members == {"core": None} else replace(core, **members)
        made = Design(folder=folder, hardware=core.array, ports=(), versions={}, core=spec)
        made.verilog.write_text("module none; endmodule\n")
        save_manifest(made)
        return folder

    return tmp_path, design


def call(capfd, *arguments):
    code = _run([str(a) for a in arguments])
    captured = capfd.readouterr()
    return code, captured.out, captured.err


def test_compile_says_what_a_layer_takes(folders, capfd):
    folder, design = folders
    arguments = ("compile", design("hw"), "--network", folder / "net", "--out", folder / "out")
    code, out, _ = call(capfd, *arguments, "--json")
    assert code == 0
    result = json.loads(out)
    compiled = load_compiled(folder / "out")
    assert result["cycles"] == compiled.cycles == sum(layer["cycles"] for layer in result["layers"])
    assert [layer["name"] for layer in result["layers"]] == [layer.name for layer in resnet20().layers]
    assert result["model_bytes"] == (folder / "out" / "model.bin").stat().st_size
    code, out, _ = call(capfd, *arguments)
    assert code == 0
    assert f"{compiled.cycles:,}" in out
    assert "layer3_2_conv2" in out


def test_compile_says_what_does_not_stay_in_the_buffer(folders, capfd):
    folder, design = folders
    small = design("little", activation_words=1500, program_words=1 << 14)
    arguments = ("compile", small, "--network", folder / "net", "--out", folder / "out")
    code, out, _ = call(capfd, *arguments, "--json")
    assert code == 0
    result = json.loads(out)
    for name in ("stored_bytes", "loaded_bytes"):
        assert result[name] == sum(layer[name] for layer in result["layers"]) > 0
    code, out, _ = call(capfd, *arguments)
    assert code == 0
    assert "stored" in out
    assert f"{result['stored_bytes']:,}" in out


def test_what_cannot_be_compiled_is_one_line(folders, capfd):
    folder, design = folders
    rest = ("--network", folder / "net", "--out", folder / "o")
    for sizes, last in (({"activation_words": 100}, "layer '"), ({"program_words": 800}, "the network's ")):
        ((name, words),) = sizes.items()
        code, out, err = call(capfd, "compile", design(name, **sizes), *rest)
        assert (code, out) == (2, "")
        assert err.splitlines()[-1].startswith(f"pact-hw: {last}")
        assert f"the core has {name} {words}" in err
    code, _, err = call(capfd, "compile", design("array", core=None), *rest)
    assert code == 2
    assert "is an array, not a core; generate it with --core" in err
    assert not (folder / "o").exists()


@pytest.mark.parametrize("sized", [False, True])
def test_what_generate_says_of_a_core(folders, sized):
    network = folders[0] / "net" if sized else None
    array = HardwareSpec(act=ActFormat(bits=4), weight=WeightFormat(bits=4), rows=4, cols=8, lanes=8)
    core = core_spec(
        array, network=network, bus_bits=128, requantisers=2, depthwise="diagonal", weight_words=99
    )
    assert (core.bus_bits, core.requantisers, core.weight_words) == (128, 2, 99)
    assert core.depthwise is Depthwise.DIAGONAL
    assert (core.widest_act_bits == 14) is sized
