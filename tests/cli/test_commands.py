"""The command line as a script sees it: one JSON object, exit codes, one line for what is wrong."""

import json
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pact_hw.cli.main import _run, cli
from pact_hw.design import load_design, save_manifest

ARRAY = ["generate", "--act-bits", "2", "--weight-bits", "2", "--rows", "2", "--cols", "2", "--lanes", "2"]


@pytest.fixture
def run(capfd):
    """Exit code, standard output and standard error of one call."""

    def call(*arguments):
        code = _run([str(a) for a in arguments])
        captured = capfd.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture
def array(run, tmp_path):
    assert run(*ARRAY, "--out", tmp_path / "hw")[0] == 0
    return tmp_path / "hw"


def refusal(result):
    """The one line of a refused call."""
    code, out, err = result
    assert code == 2
    assert out == ""
    *progress, line = err.splitlines(keepends=True)
    assert line.startswith("pact-hw: ")
    assert all(re.match(r"[\w ]+( \.\.\.|: [\d.]+ s)$", step) for step in progress)
    return line


def test_generate_tells_what_it_made(run, tmp_path):
    code, out, _ = run(*ARRAY, "--out", tmp_path / "hw", "--json")
    result = json.loads(out)
    assert code == 0
    assert result["macs_per_cycle"] == 8
    assert result["acc_bits"] == 17
    assert result["latency_cycles"] == 2
    assert (tmp_path / "hw" / "mac_array.v").read_text().count(result["digest"]) == 1
    assert json.loads((tmp_path / "hw" / "design.json").read_text())["hardware_digest"] == result["digest"]


@pytest.mark.parametrize(
    ("options", "members", "latency"),
    [
        (("--mac-kind", "bit-serial"), {"mac_kind": "bit-serial"}, 2),
        (("--pipeline", "1"), {"pipeline": 1}, 4),
        (("--drain", "wide"), {"drain": "wide"}, 2),
    ],
)
def test_generate_writes_the_array_that_it_is_told(run, tmp_path, options, members, latency):
    code, out, _ = run(*ARRAY, *options, "--out", tmp_path / "hw", "--json")
    assert code == 0
    assert json.loads(out)["latency_cycles"] == latency
    hardware = json.loads((tmp_path / "hw" / "design.json").read_text())["hardware"]
    assert {name: hardware[name] for name in members} == members


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ("--mac-kind", "bit-serial", "--dataflow", "weight-stationary"),
            "a bit-serial array is output-stationary, not weight-stationary",
        ),
        (
            ("--drain", "wide", "--requantiser"),
            "a requantiser takes a column a cycle: drain must be shift, not wide",
        ),
        (("--pipeline", "-1"), "pipeline must be an integer from 0 to 1024, not -1"),
        (("--core", "--requantiser", "--pipeline", "2"), "a core's array has pipeline 0, not 2"),
        (
            ("--narrowest-bits", "2"),
            "narrowest_bits of a fixed array must be 0, not 2",
        ),
        (("--bus-bits", "64"), "--bus-bits goes with --core."),
        (("--for", "net"), "--for goes with --core."),
        (("--level-bits", "4"), "--level-bits goes with --requantiser."),
        (("--core", "--axi-stream"), "--axi-stream goes with an array, not with --core."),
        (("--core", "--residual-bits", "0"), "--residual-bits goes with an array, not with --core."),
        (("--core", "--requantiser", "smaller"), "a core's requantiser multiplies and shifts, not smaller"),
    ],
)
def test_generate_refuses_what_cannot_be_in_one_line(run, tmp_path, options, message):
    assert refusal(run(*ARRAY, *options, "--out", tmp_path / "hw")) == f"pact-hw: {message}\n"


def test_simulate_finds_the_array_exact(run, array):
    code, out, err = run("simulate", array, "--vectors", "4", "--json")
    result = json.loads(out)
    assert code == 0
    assert result["mismatches"] == 0
    assert result["values_compared"] > 0
    assert result["cycles"] == result["predicted_cycles"] > 0
    assert "simulating" in err


def test_simulate_names_the_first_mismatch(run, array):
    design = load_design(array)
    text = design.verilog.read_text()
    assert "weight_q <= in_weight;" in text
    design.verilog.write_text(text.replace("weight_q <= in_weight;", "weight_q <= ~in_weight;"))
    save_manifest(design)

    code, out, err = run("simulate", array, "--vectors", "1", "--json")
    assert code == 1
    assert json.loads(out)["mismatches"] > 0
    assert re.search(r"pact-hw: product 'highest sums'.*expected -?\d+, got -?\d+", err)


def test_synth_counts_cells_and_leaves_its_result(run, array):
    code, out, _ = run("synth", array, "--json")
    result = json.loads(out)
    assert code == 0
    assert result["area_ge"] > 0
    assert result["cells"] > 0
    assert result["macs_per_cycle"] == 8
    assert json.loads((array / "synthesis" / "synthesis.json").read_text()) == result


def test_a_name_that_is_a_port_s(run, tmp_path):
    assert "like that of a port" in refusal(run(*ARRAY, "--name", "clk", "--out", tmp_path))


def test_more_bits_than_a_port_can_have(run, tmp_path):
    wide = ["--act-bits", "1", "--weight-bits", "1", "--rows", "64", "--cols", "1", "--lanes", "1024"]
    assert "at most 65535 can be written" in refusal(run(*ARRAY, *wide, "--out", tmp_path))


def test_an_output_folder_that_is_a_file(run, tmp_path):
    (tmp_path / "file").touch()
    assert "Not a directory" in refusal(run(*ARRAY, "--out", tmp_path / "file" / "x"))


def test_a_compiler_that_fails_is_one_line(run, array, monkeypatch, tmp_path):
    monkeypatch.setenv("CXX", "false")
    monkeypatch.setenv("PACT_HW_CACHE", str(tmp_path / "cache"))
    code, out, err = run("simulate", array)
    assert code == 3
    assert out == ""
    assert err.splitlines()[-1].startswith("pact-hw: false")


def test_importing_the_package_loads_neither_torch_nor_amaranth():
    script = "import sys, pact_hw.cli; print([m for m in ('torch', 'amaranth') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.slow
def test_demo_holds_what_it_promises(run, tmp_path):
    code, out, _ = run("demo", "--images", "2", "--out", tmp_path, "--json")
    result = json.loads(out)
    assert code == 0
    assert result["accuracy"] >= 0.97
    assert result["float_accuracy"] >= 0.97
    assert result["level_mismatches"] == result["rtl_mismatches"] == 0
    assert result["levels_compared"] > 900_000
    assert result["rtl_values_compared"] > 5_000
    core = result["core"]
    assert core["mismatches"] == 0
    assert core["values_compared"] == 2 * (16 * 64 + 3 * 32 * 16 + 10)
    assert core["cycles"] == core["predicted_cycles"]
    assert all(Path(name).is_file() for name in result["files"])
    assert {Path(name).suffix for name in result["files"]} >= {".v", ".json", ".npz", ".csv", ".png", ".svg"}


@pytest.mark.parametrize("bits", ["0", "33", "-1"])
@pytest.mark.parametrize("option", ["--act-bits", "--weight-bits"])
def test_widths_out_of_range(run, tmp_path, option, bits):
    name = option.strip("-").replace("-", "_")
    line = refusal(run(*ARRAY, option, bits, "--out", tmp_path))
    assert line == f"pact-hw: {name} must be an integer from 1 to 16, not {bits}\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["simulate", "synth"])
def test_a_missing_folder(run, tmp_path, command):
    assert "no such folder" in refusal(run(command, tmp_path / "nowhere"))


@pytest.mark.parametrize("command", ["simulate", "synth"])
def test_an_edited_manifest(run, array, command):
    manifest = array / "design.json"
    manifest.write_text(manifest.read_text().replace('"act_bits": 2', '"act_bits": 3'))
    assert "does not match its content" in refusal(run(command, array))


def test_edited_verilog(run, array):
    verilog = array / "mac_array.v"
    verilog.write_text(verilog.read_text() + "// mine\n")
    assert "was edited since it was generated" in refusal(run("simulate", array))


def test_an_unknown_option_is_one_line(run):
    assert "No such option" in refusal(run("study", "--nonsense"))


def test_with_json_a_refusal_is_an_object_too(run, tmp_path):
    code, out, _ = run("simulate", tmp_path / "nowhere", "--json")
    assert code == 2
    assert json.loads(out)["error"].endswith("no such folder")


def test_a_pickle_in_place_of_a_checkpoint_is_not_executed(run, tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "executed"), "w"))

    (tmp_path / "checkpoint.safetensors").write_bytes(pickle.dumps(Bomb()))
    refusal(run("convert", tmp_path, "--out", tmp_path / "integer"))
    assert not (tmp_path / "executed").exists()


def test_train_and_convert_and_a_truncated_checkpoint(run, tmp_path):
    code, out, _ = run("train", "--epochs", "1", "--out", tmp_path / "net", "--json")
    metrics = json.loads(out)
    assert code == 0
    assert 0 < metrics["accuracy"] <= 1

    code, out, _ = run("convert", tmp_path / "net", "--out", tmp_path / "integer", "--json")
    exactness = json.loads(out)
    assert code == 0
    assert exactness["level_mismatches"] == 0
    assert exactness["levels_compared"] > 100_000

    narrow = ("--mult-bits", 6, "--images", 5)
    refused = run("convert", tmp_path / "net", *narrow, "--fallback", "refuse", "--out", tmp_path / "no")
    assert refused[:2] == (2, "")
    assert "\npact-hw: layer 'stem', channel 0: no exact requantiser with multipliers of 6 bits" in refused[2]
    assert not (tmp_path / "no").exists()
    code, out, _ = run(
        "convert", tmp_path / "net", *narrow, "--fallback", "nearest", "--out", tmp_path / "near", "--json"
    )
    approximate = json.loads(out)
    assert code == 0  # what was allowed by name is measured, and no failure
    assert approximate["fallbacks"]["stem"]["thresholds_missed"] > 0
    assert approximate["level_mismatches"] > 0

    checkpoint = tmp_path / "net" / "checkpoint.safetensors"
    checkpoint.write_bytes(checkpoint.read_bytes()[:-100])
    assert "checkpoint.safetensors" in refusal(run("convert", tmp_path / "net", "--out", tmp_path / "again"))


@pytest.mark.parametrize("command", cli.commands)
def test_every_command_has_help_with_an_example(run, command):
    code, out, _ = run(command, "--help")
    assert code == 0
    assert f"Example:\n    pact-hw {command}" in out
