"""A design with more ports than an FPGA has pins, behind a scan chain.

Each input bit is driven by its own flip-flop of one long shift register; each output bit is added (exclusive
or) to its own flip-flop of another, so that nothing of the design may be optimised away. Every path to and
from the design starts or ends at a register, as it does inside a larger design.
"""

from __future__ import annotations

from pact_hw.errors import InputError

SCAN_TOP = "scan_chain"
CLOCK = "clk"


def scan_chain(top: str, ports: dict[str, tuple[str, int]]) -> str:
    """Verilog of the chain around module ``top``, whose ports have a direction and a width in bits.

    Raises:
        InputError: the design has no clock ``clk``, or a port that is neither input nor output.
    """
    if ports.get(CLOCK) != ("input", 1):
        raise InputError(f"{top}: no input {CLOCK}: only clocked designs are placed and routed")
    counts = {"input": 0, "output": 0}
    vectors = {"input": "from_chain", "output": "to_chain"}
    pins = [f".{CLOCK}({CLOCK})"]
    for name, (direction, width) in ports.items():
        if name == CLOCK:
            continue
        if direction not in counts:
            raise InputError(f"{top}: port {name} is {direction}, not input or output")
        low = counts[direction]
        counts[direction] += width
        pins.append(f".{name}({vectors[direction]}[{low + width - 1}:{low}])")
    inputs, outputs = counts["input"], counts["output"]
    return (
        f"module {SCAN_TOP} (input {CLOCK}, input scan_in, output scan_out);\n"
        f"  reg [{inputs - 1}:0] from_chain;\n  reg [{outputs - 1}:0] seen;\n"
        f"  wire [{outputs - 1}:0] to_chain;\n"
        f"  always @(posedge {CLOCK}) from_chain <= {{from_chain, scan_in}};\n"
        f"  always @(posedge {CLOCK}) seen <= {{seen, from_chain[{inputs - 1}]}} ^ to_chain;\n"
        f"  assign scan_out = seen[{outputs - 1}];\n"
        f"  {top} design_ ({', '.join(pins)});\nendmodule\n"
    )
