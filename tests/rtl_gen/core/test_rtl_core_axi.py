"""The core's outside on AXI, against cocotbext-axi: ``axi_bench`` runs inside the simulator."""

import os
import sys
from pathlib import Path

import pytest

from rtl_gen.core.emit import write_core
from sim.build import Bench, build
from sim.errors import SimulationError
from sim.simulator import run_bench

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from core_spec import core_spec  # noqa: E402
from stand_in import StandIn  # noqa: E402

SEEN = (
    "write_valid",
    "write_ready",
    "write_destination",
    "write_address",
    "write_data",
    "write_part",
    "write_last",
)


@pytest.mark.parametrize(
    "bus_bits", [64, pytest.param(32, marks=pytest.mark.slow), pytest.param(512, marks=pytest.mark.slow)]
)
def test_the_outside_of_the_core(tmp_path, bus_bits):
    spec = core_spec(bus_bits)
    design = write_core(spec, tmp_path, StandIn)
    ports = tuple((design.top, port.name) for port in design.ports)
    seen = tuple((f"{design.top}_engine", name) for name in SEEN)
    program = build(design, bench=Bench(top=design.top, public=ports + seen))
    try:
        run_bench(
            program,
            top=design.top,
            module="axi_bench",
            folder=tmp_path / "run",
            environment={
                "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parents[2])]),
                "PACT_HW_TEST_BUS": str(bus_bits),
            },
        )
    except SimulationError:
        log = (tmp_path / "run" / "simulation.log").read_text()
        failed = [line.split()[1] for line in log.splitlines() if " FAIL " in line]
        pytest.fail(f"{failed}\n{log[-6000:]}")
