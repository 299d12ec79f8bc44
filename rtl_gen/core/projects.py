"""The files that other tools want beside a core's Verilog."""

from __future__ import annotations

from pact_hw.spec import CoreSpec

CLOCK_NS = 5.0
"""What the constraints ask for; a start, to be changed."""


def file_list(spec: CoreSpec) -> str:
    """``files.f``: what simulators read with ``-f``."""
    return f"{spec.name}.v\n"


def fusesoc(spec: CoreSpec) -> str:
    """``NAME.core``: FuseSoC's description, with a check by Verilator."""
    return f"""\
CAPI=2:
name: pact-hw:cores:{spec.name}:0
description: Runs PACT-quantised networks; digest {spec.digest}

filesets:
  rtl:
    files:
      - {spec.name}.v
    file_type: verilogSource
  software:
    files:
      - {spec.name}_regs.h: {{file_type: user}}
      - registers.md: {{file_type: user}}
  constraints:
    files:
      - {spec.name}.sdc: {{file_type: SDC}}

targets:
  default: &default
    filesets: [rtl]
    toplevel: {spec.name}
  lint:
    <<: *default
    default_tool: verilator
    tools:
      verilator:
        mode: lint-only
        verilator_options: [-Wall]
  synth:
    <<: *default
    filesets: [rtl, constraints]
"""


def synthesis_script(spec: CoreSpec) -> str:
    """``synthesis.ys``: generic gates, memories left as they are; map with your own library behind it."""
    return f"""\
# yosys synthesis.ys
read_verilog -DSYNTHESIS {spec.name}.v
synth -noabc -top {spec.name} -run begin:fine
memory_collect
opt -full
# For an ASIC, memories become macros here: each is a module {spec.name}_memory_...
# dfflibmap -liberty cells.lib
# abc -liberty cells.lib
stat
write_verilog -noattr {spec.name}_netlist.v
"""


def constraints(spec: CoreSpec) -> str:
    """``NAME.sdc``: one clock, and half of its period for what is outside."""
    return f"""\
# {spec.name}: one clock. Change the period; ports have half of it outside.
set period {CLOCK_NS}
create_clock -name clk -period $period [get_ports clk]
set inputs [remove_from_collection [all_inputs] [get_ports clk]]
set_input_delay [expr $period / 2] -clock clk $inputs
set_output_delay [expr $period / 2] -clock clk [all_outputs]
"""
