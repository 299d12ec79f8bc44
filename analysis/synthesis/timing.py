"""Static timing with OpenSTA, where it is installed."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from pact_hw.errors import InputError
from pact_hw.tools import Tool, opensta

SOURCE = (
    "OpenSTA {version}: shortest clock period, from registers and inputs (there at the edge) to registers "
    "and outputs; ideal clock, no wires"
)
_PERIOD_NS = 10
_SCRIPT = """\
{libraries}
set_cmd_units -time ns
read_verilog {netlist}
link_design {top}
puts "LOOPS [check_setup -loops]"
if {{[llength [get_ports -quiet clk]]}} {{
  create_clock -name clk -period {period} [get_ports clk]
  foreach port [all_inputs] {{
    if {{[get_name $port] ne "clk"}} {{ set_input_delay 0 -clock clk $port }}
  }}
  set_output_delay 0 -clock clk [all_outputs]
  report_checks -path_delay max -digits 5
}}
"""


@dataclass(frozen=True, kw_only=True)
class Timing:
    """The longest path of a netlist: the shortest clock period, and where it starts and ends."""

    delay_ps: float
    start: str
    end: str
    source: str


def static_timing(
    netlist: str, *, top: str, libraries: list[str], folder: Path, timeout: float
) -> Timing | None:
    """The timing of file ``netlist`` (Verilog, with the Liberty files ``libraries``) in ``folder``.

    None where OpenSTA is not installed, or there is nothing that takes time between registers.

    Raises:
        InputError: OpenSTA refuses, does not finish, or finds a combinational loop.
    """
    sta = opensta()
    if sta is None:
        return None
    script = _SCRIPT.format(
        libraries="\n".join(f"read_liberty {name}" for name in libraries),
        netlist=netlist,
        top=top,
        period=_PERIOD_NS,
    )
    (folder / "timing.tcl").write_text(script)
    command = [str(sta.path), "-no_splash", "-exit", "timing.tcl"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        raise InputError(f"OpenSTA did not finish within {timeout:g} s; allow more time") from None
    return _read(done.stdout + done.stderr, sta)


def _read(report: str, sta: Tool) -> Timing | None:
    if error := re.search(r"^Error: (.*)$", report, re.MULTILINE):
        raise InputError(f"OpenSTA: {error[1]} (PACT_HW_OPENSTA=none: without it)")
    if "loop cut point" in report or re.search(r"combinational loop", report):
        raise InputError("OpenSTA finds a combinational loop in the netlist")
    slack = re.search(r"(-?[\d.]+)\s+slack", report)
    if slack is None:
        return None
    ends = [re.search(rf"^{name}: (\S+)", report, re.MULTILINE) for name in ("Startpoint", "Endpoint")]
    return Timing(
        delay_ps=round(1000 * (_PERIOD_NS - float(slack[1])), 1),
        start=ends[0][1] if ends[0] else "",
        end=ends[1][1] if ends[1] else "",
        source=SOURCE.format(version=sta.version),
    )
