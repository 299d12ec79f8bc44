"""Arrays behind AXI4-Stream: ``axis_bench`` runs inside the simulator."""

import os
import subprocess
from pathlib import Path

import pytest
from axis_arrays import KINDS, spec_of

from pact_hw import tools
from rtl_gen.axi_stream import write_stream_array
from rtl_gen.emit import write_design
from sim.build import Bench, build
from sim.simulator import run_bench

HERE = Path(__file__).parent


def written(folder, kind):
    design = write_design(spec_of(kind), folder)
    return design, write_stream_array(design.hardware, folder)


@pytest.mark.parametrize("kind", KINDS)
def test_the_wrapper_is_lint_clean_and_has_a_port_for_each_stream(tmp_path, kind):
    design, path = written(tmp_path, kind)
    tool = tools.verilator()
    done = subprocess.run(
        [str(tool.path), "--lint-only", "-Wall", "--top-module", "arr_axis", str(path), str(design.verilog)],
        env={**os.environ, **tool.environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    text = path.read_text()
    for port in design.ports:
        if port.name.endswith("_valid"):
            stream = port.name.removesuffix("_valid")
            side = "m" if stream == "out" else "s"
            for signal in ("tdata", "tvalid", "tready"):
                assert f" {side}_axis_{stream}_{signal}" in text


@pytest.mark.parametrize("kind", ["output-stationary", "weight-stationary"])
def test_products_pass_behind_axi_stream(tmp_path, kind):
    design, path = written(tmp_path, kind)
    ports = [
        line.split("//")[0].rstrip(" ,").split()[-1]
        for line in path.read_text().splitlines()
        if line.startswith(("  input", "  output"))
    ]
    public = tuple(("arr_axis", name) for name in ports)
    program = build(design, bench=Bench(top="arr_axis", sources=(path,), public=public))
    run_bench(
        program,
        top="arr_axis",
        module="axis_bench",
        folder=tmp_path / "run",
        environment={
            "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parents[1])]),
            "PACT_HW_TEST_ARRAY": kind,
        },
    )
    assert " PASS=1 FAIL=0 " in (tmp_path / "run" / "simulation.log").read_text()
