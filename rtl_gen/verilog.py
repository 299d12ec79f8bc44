"""From blocks to Verilog text.

Yosys is used as a printer that knows hardware: constants reach registers as resets, operators drive
the named signals, and no initial values are written, which an ASIC flow could not honour.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from amaranth.back import rtlil, verilog
from amaranth.hdl import ClockDomain

from pact_hw import tools
from pact_hw.errors import ToolError

from .block import Block

_SCRIPT = """\
read_rtlil <<rtlil
{rtlil}
rtlil
proc
attrmap -remove init
opt_clean
{registers}
opt_clean -purge
write_verilog -noattr -norename -simple-lhs
"""

LARGE_PORT_BITS = 8192
"""A module with more is written by a Yosys of its own, beside the others."""

_INSTANCES = re.compile(
    r"  attribute \\first (\d+)\n  attribute \\label \"(\w+)\"\n"
    r"  attribute \\instances (\d+)\n  attribute \\sliced \"([\w ]*)\"\n"
    r"  cell \\(\w+) \\\S+\n((?:    connect .*\n)+)  end\n"
)
_CELL = re.compile(r"  cell \$(?:add|sub|mul|neg|eq|ne|lt|le|gt|ge) .*?\n  end\n", re.DOTALL)
_COMPARES = ("$eq ", "$ne ", "$lt ", "$le ", "$gt ", "$ge ")


def widen(text: str) -> str:
    """RTLIL ``text`` in which the operands of arithmetic are as wide as its results.

    Verilog would extend them by itself (IEEE 1364-2005, 5.4), but then the reader has to know, and
    linters warn. Comparisons are made as wide as their wider operand.
    """

    def rewrite(match: re.Match[str]) -> str:
        cell = match[0]
        parameters = {name: int(value) for name, value in re.findall(r"parameter \\(\w+) (\d+)", cell)}
        operands = [port for port in "AB" if f"{port}_WIDTH" in parameters]
        if any(f"cell {kind}" in cell for kind in _COMPARES):
            target = max(parameters[f"{port}_WIDTH"] for port in operands)
        else:
            target = parameters["Y_WIDTH"]
        for port in operands:
            width = parameters[f"{port}_WIDTH"]
            if width >= target:
                continue
            value = re.search(rf"connect \\{port} (.*)", cell)[1]  # type: ignore[index]
            sign = f"{value} [{width - 1}]" if parameters[f"{port}_SIGNED"] else "1'0"
            extension = " ".join([sign] * (target - width))
            cell = cell.replace(
                f"connect \\{port} {value}\n", f"connect \\{port} {{ {extension} {value} }}\n"
            )
            cell = cell.replace(f"parameter \\{port}_WIDTH {width}\n", f"parameter \\{port}_WIDTH {target}\n")
        return cell

    return _CELL.sub(rewrite, text)


def expand(text: str, blocks: Sequence[Block]) -> str:
    """RTLIL ``text`` in which what ``Block.place_each`` noted has become instances."""
    ports = {(block.module_name, port.name): port for block in blocks for port in block.ports}

    def rewrite(match: re.Match[str]) -> str:
        first, label, count, sliced, module, connections = match.groups()
        pins = re.findall(r"connect \\(\w+) (.*)\n", connections)
        lines = []
        for index in range(int(count)):
            instance = f"{label}_{int(first) + index}"
            wires, cell = [], [f"  cell \\{module} \\{instance}\n"]
            for name, value in pins:
                if name in sliced.split():
                    port = ports[module, name]
                    value = f"{value} [{(index + 1) * port.width - 1}:{index * port.width}]"
                    if port.direction == "output":
                        wire = f"\\{instance}_{name}"
                        wires.append(f"  wire width {port.width} {wire}\n  connect {value} {wire}\n")
                        value = wire
                cell.append(f"    connect \\{name} {value}\n")
            lines += [*wires, *cell, "  end\n"]
        return "".join(lines)

    return _INSTANCES.sub(rewrite, text)


def _yosys(script: str) -> str:
    named_by_user = tools.system_yosys()
    if named_by_user is None:
        # Amaranth would prefer one on PATH; ours is used unless the user asks for another.
        os.environ.setdefault("AMARANTH_USE_YOSYS", "builtin")
        yosys = verilog.find_yosys(lambda version: version >= tools.YOSYS_MINIMUM)
        return str(yosys.run(["-q", "-"], script, ignore_warnings=True))
    command = [str(named_by_user.path), "-q", "-"]
    try:
        done = subprocess.run(command, input=script, capture_output=True, text=True, timeout=600)
    except subprocess.TimeoutExpired:
        raise ToolError(f"{named_by_user.path} did not end within 600 s") from None
    if done.returncode:
        raise ToolError(f"{named_by_user.path}: {done.stderr.strip()}")
    return done.stdout


def _interface(block: Block) -> str:
    """The module of ``block`` as RTLIL without a body: what who uses it needs to know."""
    ports = enumerate(block.ports, start=1)
    wires = [f"  wire width {port.width} {port.direction} {number} \\{port.name}" for number, port in ports]
    return "\n".join(["attribute \\blackbox 1", f"module \\{block.module_name}", *wires, "end\n"])


def _script(blocks: Sequence[Block], everything: Sequence[Block]) -> str:
    """What makes Yosys write ``blocks``, which are made of some of ``everything``."""
    text = "\n".join(
        rtlil.convert(
            block,
            name=block.module_name,
            emit_src=False,
            missing_domain=partial(ClockDomain, reset_less=not block.resets),
        )
        for block in blocks
    )
    # Where there is no reset, a register's multiplexers are data, and stay what they are.
    registers = "\n".join(
        f"opt_dff -simple-dffe {'' if block.resets else '-nosdff'} {block.module_name}" for block in blocks
    )
    others = "\n".join(_interface(part) for part in everything if part not in blocks)
    return _SCRIPT.format(rtlil=expand(widen(text), everything) + others, registers=registers)


def modules(blocks: Sequence[Block]) -> dict[Block, str]:
    """The Verilog of each of ``blocks``, in their order, as Yosys writes it; "" of those with a body."""
    everything, blocks = blocks, [block for block in blocks if block.body() is None]
    large = [block for block in blocks if sum(port.width for port in block.ports) > LARGE_PORT_BITS]
    batches = [[block] for block in large]
    if rest := [block for block in blocks if block not in large]:
        batches.append(rest)
    with ThreadPoolExecutor() as pool:  # Amaranth goes on while Yosys, a process, writes
        written = [pool.submit(_yosys, _script(batch, everything)) for batch in batches]
    found = {
        match[1]: match[0]
        for text in written
        for match in re.finditer(r"^module (\w+)\(.*?^endmodule\n", text.result(), re.DOTALL | re.MULTILINE)
    }
    return {block: found[block.module_name] if block in blocks else "" for block in everything}
