import json
import shutil
from pathlib import Path

import pytest

from pact_hw.design import load_design
from pact_hw.errors import InputError
from pact_hw.spec import (
    ActFormat,
    Dataflow,
    HardwareSpec,
    RequantiserSpec,
    WeightEncoding,
    WeightFormat,
    schedule,
)
from rtl_gen.emit import write_design
from sim import build, compiler, runner, simulator
from sim.products import random_products
from sim.runner import SimulationError, simulate
from sim.simulator import require_libpython
from sim.vectors import PLAIN, RESET, STALLS


def _spec(**members):
    defaults = {
        "name": "tiny",
        "act": ActFormat(bits=3),
        "weight": WeightFormat(bits=3),
        "rows": 2,
        "cols": 3,
        "lanes": 2,
        "max_reduction": 200,
    }
    return HardwareSpec(**{**defaults, **members})


SPEC = _spec()


@pytest.fixture
def design(tmp_path):
    write_design(SPEC, tmp_path)
    return load_design(tmp_path)


def test_every_scenario_runs_and_is_reported(design, tmp_path):
    products = random_products(SPEC, 9, seed=3)
    report = simulate(design, products, folder=tmp_path / "sim")
    assert report.passed
    plain = [result for result in report.results if result.scenario == PLAIN]
    assert [result.name for result in plain] == [product.name for product in products]
    assert {result.scenario for result in report.results} == {PLAIN, RESET, STALLS}
    for result in report.results:
        m, k, n = result.m, result.k, result.n
        assert result.predicted_cycles == schedule(SPEC, m=m, k=k, n=n).cycles
        if result.scenario == STALLS:
            assert result.cycles >= result.predicted_cycles
        else:
            assert result.cycles == result.predicted_cycles
            assert result.utilisation == schedule(SPEC, m=m, k=k, n=n).utilisation
        # Whole tiles of rows x cols leave the array.
        assert result.values_compared == -(-m // 2) * -(-n // 3) * 6
    assert sum(result.cycles > result.predicted_cycles for result in report.results) > 5


def test_the_report_is_json_with_the_documented_members(design, tmp_path):
    report = simulate(design, random_products(SPEC, 2, seed=0), folder=tmp_path / "sim")
    members = json.loads(json.dumps(report.to_json()))
    assert members["digest"] == SPEC.digest
    assert members["values_compared"] == report.values_compared > 0
    assert (members["mismatches"], members["passed"], members["problems"]) == (0, True, [])
    assert members["cycles"] == members["predicted_cycles"] == 2 * 104
    assert members["products"][0]["first_mismatch"] is None


def test_stalls_change_cycles_but_no_values(design, tmp_path):
    products = random_products(SPEC, 4, seed=0)
    reports = [
        simulate(design, products, stalls=0.5, seed=seed, folder=tmp_path / "sim") for seed in (1, 1, 2)
    ]
    assert all(report.passed for report in reports)
    assert reports[0].cycles == reports[1].cycles != reports[2].cycles
    assert reports[0].cycles > reports[0].predicted_cycles


@pytest.mark.parametrize("encoding", WeightEncoding)
def test_a_requantising_array_gives_levels_and_raw_sums(encoding, tmp_path):
    spec = _spec(
        weight=WeightFormat(bits=3, encoding=encoding),
        requantiser=RequantiserSpec(level_bits=4, residual_bits=5),
    )
    report = simulate(
        write_design(spec, tmp_path), random_products(spec, 16, seed=0), folder=tmp_path / "sim"
    )
    assert report.problems == []
    assert report.cycles == report.predicted_cycles


def test_waves_are_written_with_a_save_file(design, tmp_path):
    report = simulate(design, random_products(SPEC, 2, seed=0), folder=tmp_path / "sim", waves=True)
    assert report.passed
    fst, save = tmp_path / "sim" / "tiny.fst", tmp_path / "sim" / "tiny.gtkw"
    assert report.files == (str(fst), str(save))
    data = fst.read_bytes()
    assert data[:9] == b"\x00" + (329).to_bytes(8, "big")  # the FST header block and its length
    assert b"in_act" in data  # names are literals of the LZ4 block that holds the hierarchy
    lines = save.read_text().splitlines()
    assert lines[0] == '[dumpfile] "tiny.fst"'
    assert [line for line in lines if line.startswith("tiny.")] == [
        "tiny.clk",
        "tiny.rst",
        "tiny.in_valid",
        "tiny.in_ready",
        "tiny.in_act[11:0]",
        "tiny.in_weight[17:0]",
        "tiny.in_last",
        "tiny.out_valid",
        "tiny.out_ready",
        f"tiny.out_data[{2 * SPEC.acc_bits - 1}:0]",
        "tiny.out_last",
    ]


def test_the_wave_shows_the_failure_and_the_pass_before_it():
    runs = list(range(5))
    report = runner.SimulationReport(
        design="d",
        hardware_digest="",
        simulated_cycles=0,
        seconds=0,
        results=tuple(
            runner.ProductResult(
                name="", scenario=PLAIN, stalls=0, m=1, k=1, n=1, mode_bits=None, cycles=5,
                predicted_cycles=5, utilisation=1, values_compared=1, mismatches=i == 3, first_mismatch=None,
            )
            for i in range(5)
        ),
    )  # fmt: skip
    assert runner._window(SPEC, [], runs, report) == [2, 3]


def test_a_design_is_built_once(design, monkeypatch):
    program = build.build(design)
    monkeypatch.setattr(build, "_verilate", None)
    assert build.build(design) == program
    design.verilog.write_text(design.verilog.read_text() + "\n// other text\n")
    with pytest.raises(TypeError):
        build.build(design)


def test_the_cache_folder_can_be_named(monkeypatch, tmp_path):
    monkeypatch.setenv("PACT_HW_CACHE", str(tmp_path / "here"))
    assert compiler.cache_folder() == tmp_path / "here"
    monkeypatch.delenv("PACT_HW_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert compiler.cache_folder() == tmp_path / "pact-hw"


def test_verilog_that_does_not_build_is_one_line(design, tmp_path):
    design.verilog.write_text(design.verilog.read_text().replace("endmodule", "endmodul", 1))
    with pytest.raises(SimulationError, match=r"^verilator: %Error: .*syntax error.*$"):
        simulate(design, random_products(SPEC, 1, seed=0), folder=tmp_path / "sim")


def test_verilog_of_another_width_is_refused(design, tmp_path):
    shutil.copy(write_design(_spec(act=ActFormat(bits=4)), tmp_path / "other").verilog, design.verilog)
    with pytest.raises(SimulationError, match=r"^port in_act has 16 bits, the manifest says 12$"):
        simulate(design, random_products(SPEC, 1, seed=0), folder=tmp_path / "sim")


def test_vectors_of_other_hardware_are_refused_by_the_bench(design, tmp_path, monkeypatch):
    other = _spec(max_reduction=201)

    def save(path, spec, products, runs):
        return runner_save(path, other, products, runs)

    runner_save = runner.save_vectors
    monkeypatch.setattr(runner, "save_vectors", save)
    with pytest.raises(SimulationError, match=f"is for hardware {other.digest[:12]}"):
        simulate(design, random_products(SPEC, 1, seed=0), folder=tmp_path / "sim")


def test_results_of_other_vectors_are_refused(design, tmp_path, monkeypatch):
    save = runner.save_vectors
    monkeypatch.setattr(runner, "save_vectors", lambda *arguments: save(*arguments) and "0" * 64)
    with pytest.raises(SimulationError, match="belongs to other vectors"):
        simulate(design, random_products(SPEC, 1, seed=0), folder=tmp_path / "sim")


def test_a_silent_simulator_is_ended(design, tmp_path, monkeypatch):
    monkeypatch.setattr(simulator, "SILENCE_SECONDS", 0)
    with pytest.raises(
        SimulationError, match=r"the simulator made no progress for 0 s; see .*simulation\.log"
    ):
        simulate(design, random_products(SPEC, 1, seed=0), folder=tmp_path / "sim")


def test_a_crash_names_the_log(design, tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "build", lambda *_arguments, **_options: Path(shutil.which("false")))
    with pytest.raises(SimulationError, match=r"the simulator ended with status 1; see .*simulation\.log"):
        simulate(design, random_products(SPEC, 1, seed=0), folder=tmp_path / "sim")


def test_a_missing_compiler_is_one_line(design, tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(InputError, match=r"^missing: a C\+\+ compiler \(CXX='no-such-compiler' .*Fedora.*"):
        simulate(design, random_products(SPEC, 1, seed=0), folder=tmp_path / "sim")


@pytest.mark.parametrize("stalls", [-0.1, 0.95])
def test_stalls_outside_their_range_are_refused(design, tmp_path, stalls):
    with pytest.raises(InputError, match=f"stalls must be a probability from 0 to 0.9, not {stalls}"):
        simulate(design, random_products(SPEC, 1, seed=0), stalls=stalls, folder=tmp_path / "sim")


def test_nothing_to_simulate_is_refused(design, tmp_path):
    with pytest.raises(InputError, match="there is no product to simulate"):
        simulate(design, [], folder=tmp_path / "sim")


def test_partial_sums_of_a_weight_stationary_array_are_compared_tile_by_tile(tmp_path):
    spec = _spec(dataflow=Dataflow.WEIGHT_STATIONARY, max_reduction=9)
    products = random_products(spec, 5, seed=0)
    report = simulate(write_design(spec, tmp_path), products, folder=tmp_path / "sim")
    assert report.passed
    for result in report.results:
        assert result.values_compared == -(-result.k // 4) * -(-result.n // 3) * 3 * result.m


def test_a_missing_libpython_is_named_with_the_remedy(monkeypatch):
    monkeypatch.setattr("find_libpython.find_libpython", lambda: None)
    with pytest.raises(
        InputError, match=r"^missing: Python's shared library\. Debian: apt install libpython3-dev\. "
    ):
        require_libpython()
