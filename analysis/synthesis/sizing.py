"""Drive strengths by load: stronger cells of the same function, and buffers where there is none.

A netlist is Yosys' JSON, with a hierarchy: each kind of module is sized once, for the worst of the
places where it stands. Loads are capacitances in the library's unit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from .strengths import Strengths

SWEEPS = 4
"""Within a module: a stronger cell is a larger load for the cell before it."""
PORT_BUFFERS = 2.0
"""What a module's input may load, in weakest buffers: more is buffered inside."""


def size(netlist: dict[str, Any], strengths: Strengths) -> None:
    """Give the cells of ``netlist`` their strengths, and long nets buffers; nothing gets weaker."""
    if not strengths.buffers:
        return
    outside = _Outside()
    modules = [_Module(name, body, strengths, outside) for name, body in modules_in_use(netlist).items()]
    for _ in range(2):  # the second time with the loads of outputs
        for module in modules:
            module.size()
        for module in reversed(modules):
            module.tell_parts()


def modules_in_use(netlist: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The modules of ``netlist`` that are no library cells, parts before the whole."""
    bodies = {
        name: body
        for name, body in netlist["modules"].items()
        if not int(body.get("attributes", {}).get("blackbox", "0"), 2)
    }
    order: dict[str, dict[str, Any]] = {}

    def visit(name: str) -> None:
        for part in {cell["type"]: None for cell in bodies[name]["cells"].values()}:
            if part in bodies and part not in order:
                visit(part)
        order[name] = bodies[name]

    visit(next(name for name, body in bodies.items() if "top" in body.get("attributes", {})))
    return order


@dataclass(kw_only=True)
class _Outside:
    """Loads at the ports of modules, by module, port and index."""

    entering: dict[tuple[str, str, int], float] = field(default_factory=dict)
    leaving: dict[tuple[str, str, int], float] = field(default_factory=dict)


@dataclass(frozen=True)
class _Sink:
    """A place where a bit is used: its load, and the list and index where the bit stands."""

    load: float
    bits: list[Any]
    index: int


def _total(sinks: Iterable[_Sink]) -> float:
    return sum(sink.load for sink in sinks)


class _Module:
    def __init__(self, name: str, body: dict[str, Any], strengths: Strengths, outside: _Outside) -> None:
        self._name, self._cells, self._ports = name, body["cells"], body["ports"]
        self._nets = body["netnames"]
        self._strengths, self._outside = strengths, outside
        self._is_top = "top" in body.get("attributes", {})
        bits = [bit for net in body["netnames"].values() for bit in net["bits"] if isinstance(bit, int)]
        self._next_bit = max(bits, default=1) + 1
        for port, one in self._ports.items():
            self._nets[port]["bits"] = one["bits"]  # what changes in one is to change in the other

    def size(self) -> None:
        self._strengthen()
        self._add_buffers()
        self._strengthen()
        sinks = self._sinks()
        for name, port in self._ports.items():
            if port["direction"] == "input":
                for index, bit in enumerate(port["bits"]):
                    self._outside.entering[self._name, name, index] = _total(sinks[bit])

    def tell_parts(self) -> None:
        """Tell the loads that outputs of the module's parts have in it."""
        sinks, outside = self._sinks(), self._outside
        for cell in self._cells.values():
            if cell["type"] in self._strengths.loads:
                continue
            for pin, bits in cell["connections"].items():
                for index, bit in enumerate(bits):
                    key = (cell["type"], pin, index)
                    if key not in outside.entering:
                        outside.leaving[key] = max(outside.leaving.get(key, 0.0), _total(sinks[bit]))

    def _sinks(self) -> defaultdict[Any, list[_Sink]]:
        """Where each bit is used."""
        found: defaultdict[Any, list[_Sink]] = defaultdict(list)
        for cell in self._cells.values():
            loads = self._strengths.loads.get(cell["type"])
            for pin, bits in cell["connections"].items():
                for index, bit in enumerate(bits):
                    if loads is None:
                        load = self._outside.entering.get((cell["type"], pin, index))
                    else:
                        load = loads.get(pin)
                    if load is not None:
                        found[bit].append(_Sink(load, bits, index))
        for name, port in self._ports.items():
            if port["direction"] == "output":
                for index, bit in enumerate(port["bits"]):
                    load = self._outside.leaving.get((self._name, name, index), 0.0)
                    found[bit].append(_Sink(load, port["bits"], index))
        return found

    def _strengthen(self) -> None:
        for _ in range(SWEEPS):
            changed = False
            sinks = self._sinks()
            for cell in self._cells.values():
                if cell["type"] in self._strengths.families:
                    load = max((_total(sinks[bit]) for bit in self._driven(cell)), default=0.0)
                    best = self._strengths.driver(cell["type"], load) or cell["type"]
                    changed |= best != cell["type"]
                    cell["type"] = best
            if not changed:
                return

    def _driven(self, cell: dict[str, Any]) -> list[Any]:
        pins = [cell["connections"].get(pin, []) for pin in self._strengths.outputs[cell["type"]]]
        return [bit for bits in pins for bit in bits]

    def _add_buffers(self) -> None:
        strengths = self._strengths
        allowed: dict[Any, float] = {}
        if not self._is_top:
            most = PORT_BUFFERS * strengths.limits[strengths.buffers[0]]
            for port in self._ports.values():
                if port["direction"] == "input":
                    allowed |= dict.fromkeys(port["bits"], most)
        for cell in self._cells.values():
            if cell["type"] in strengths.families:
                strongest = strengths.families[cell["type"]][-1]
                allowed |= dict.fromkeys(self._driven(cell), strengths.limits[strongest])
        sinks = self._sinks()
        for bit, limit in allowed.items():
            if _total(sinks[bit]) > limit:
                self._buffer(bit, sinks[bit], limit)

    def _buffer(self, bit: int, sinks: list[_Sink], limit: float) -> None:
        """Put ``sinks`` of ``bit`` behind buffers, and these behind others, until it drives little enough."""
        buffers = self._strengths.buffers
        most = self._strengths.limits[buffers[-1]]
        while _total(sinks) > limit:
            groups = _shared_out(sinks, int(_total(sinks) // most) + 1)
            if len(groups) == len(sinks) > 1:
                return
            sinks = [self._buffered(bit, group) for group in groups]
            if len(groups) == 1:
                return

    def _buffered(self, bit: int, sinks: list[_Sink]) -> _Sink:
        """A buffer from ``bit`` to ``sinks``."""
        strengths = self._strengths
        kind = strengths.driver(strengths.buffers[0], _total(sinks)) or strengths.buffers[-1]
        ((pin, load),) = strengths.loads[kind].items()
        (output,) = strengths.outputs[kind]
        behind, self._next_bit = self._next_bit, self._next_bit + 1
        for sink in sinks:
            sink.bits[sink.index] = behind
        name = f"fanout_{behind}"
        source = [bit]
        self._nets[name] = {"hide_name": 0, "bits": [behind], "attributes": {}}
        self._cells[f"{name}_buffer"] = {
            "hide_name": 0,
            "type": kind,
            "parameters": {},
            "attributes": {},
            "port_directions": {pin: "input", output: "output"},
            "connections": {pin: source, output: [behind]},
        }
        return _Sink(load, source, 0)


def _shared_out(sinks: list[_Sink], groups: int) -> list[list[_Sink]]:
    """``sinks`` in at most ``groups`` runs of about the same load."""
    share = _total(sinks) / groups
    found: list[list[_Sink]] = [[]]
    filled = 0.0
    for sink in sinks:
        if found[-1] and filled + sink.load / 2 > share * len(found):
            found.append([])
        found[-1].append(sink)
        filled += sink.load
    return found
