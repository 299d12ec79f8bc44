"""Modules that exist once and are instantiated many times.

Amaranth writes every submodule as a Verilog module of its own, so an array elaborated as such has
as much text as it has PEs. Here each kind of block is elaborated and emitted once, as a *module*,
and its users refer to it by name through an ``Instance``; a row of equal blocks is one Verilog-2001
*array of instances*, ``pe u_pe [63:0] (...)``, in which a port connected to ``count`` times its width
is dealt out, element 0 from the least significant end, and a port connected to its own width is
broadcast. So text and time grow with the number of different modules.
"""

from __future__ import annotations

import re
from typing import Any

from amaranth.hdl import ClockSignal, Instance, ResetSignal, Value
from amaranth.lib import wiring

from pact_hw.errors import InputError

MAX_BUS_BITS = (1 << 16) - 1
"""Widest value that Amaranth lets an instance drive."""

_INITIAL_VALUE = re.compile(r"^(\s*(?:output )?reg (?:\[\d+:\d+\] )?\S+)\s+= \d+'[hd][0-9a-fx]+;", re.MULTILINE)
_MARK = re.compile(r"^(\s*)(\S+) (u_\w+?)__times_(\d+) \(", re.MULTILINE)


def instances(module: Any, *, of: wiring.Component, module_name: str, label: str, count: int, **ports: Value) -> None:
    """Adds ``count`` instances of component ``of``, emitted elsewhere as ``module_name``, to ``module``.

    ``ports`` connects the component's members by name. Clock and reset are connected when the
    component is clocked.

    Raises:
        TypeError: a member is left unconnected or does not exist, or a width is neither the
            member's nor ``count`` times it.
    """
    members = dict(of.signature.members)
    if set(ports) != set(members):
        raise TypeError(f"{label}: connects {sorted(ports)}, but {module_name} has {sorted(members)}")
    connections: dict[str, Any] = {}
    for name, value in ports.items():
        width = len(Value.cast(getattr(of, name)))
        if len(value) not in (width, count * width):
            raise TypeError(f"{label}: {name} is {width} bits wide, {count} times, connected to {len(value)}")
        if len(value) > MAX_BUS_BITS:
            raise InputError(f"{module_name}: {name} would be {len(value)} bits wide, at most {MAX_BUS_BITS}")
        direction = "i" if members[name].flow is wiring.In else "o"
        connections[f"{direction}_{name}"] = value
    if getattr(of, "clocked", True):
        connections |= {"i_clk": ClockSignal(), "i_rst": ResetSignal()}
    module.submodules[f"u_{label}__times_{count}"] = Instance(module_name, **connections)


def drop_initial_values(verilog: str) -> str:
    """``verilog`` without initial values of registers, which an ASIC cannot honour: there is a reset."""
    return _INITIAL_VALUE.sub(r"\1;", verilog)


def expand_instance_arrays(verilog: str) -> str:
    """``verilog`` with the instances that ``instances`` marked written as arrays of instances."""

    def rewrite(match: re.Match[str]) -> str:
        indent, module, label, count = match.groups()
        array = "" if count == "1" else f" [{int(count) - 1}:0]"
        return f"{indent}{module} {label}{array} ("

    return _MARK.sub(rewrite, verilog)
