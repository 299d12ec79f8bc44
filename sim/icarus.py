"""Verilog to a program of Icarus Verilog: a second simulator, for small designs.

It gets the bodies that synthesis gets: what is unknown before it matters stays behind a zero in their gates,
where an operator would spread it (an unknown weight times a zero activation is unknown in Verilog).
"""

from __future__ import annotations

from pathlib import Path

from pact_hw.design import Design
from pact_hw.tools import icarus

from .build import Bench
from .compiler import call


def build_icarus(design: Design, bench: Bench, folder: Path) -> Path:
    """The program, ``folder/sim.vvp``; made in a second, so that it is not kept.

    Raises:
        InputError: Icarus is missing.
        SimulationError: the Verilog does not build.
    """
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "sim.vvp"
    call(
        [
            str(icarus().path), "-g2012", "-o", str(program), "-s", bench.top, "-DSYNTHESIS",
            *[f"-D{name}={value}" for name, value in bench.defines],
            *[f"-P{bench.top}.{name}={value}" for name, value in bench.parameters],
            *map(str, bench.sources), str(design.verilog),
        ]
    )  # fmt: skip
    return program
