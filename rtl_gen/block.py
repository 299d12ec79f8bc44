"""A hardware block that is one Verilog module, however often it is used.

Amaranth writes each submodule as a module of its own, so that an array would have as much text as
it has PEs. A ``Block`` is elaborated and written once; whoever uses it refers to it by its module's
name. Text and time grow with the number of kinds of blocks (and of instances in one of them).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from amaranth.hdl import ClockSignal, Instance, Module, ResetSignal, Value
from amaranth.lib import wiring

from pact_hw.design import Port

MAX_PORT_BITS = (1 << 16) - 1
"""Widest port that Amaranth can write."""


def input_port(name: str, width: int, description: str) -> Port:
    """An input of a block."""
    return Port(name=name, direction="input", width=width, description=description)


def output_port(name: str, width: int, description: str) -> Port:
    """An output of a block."""
    return Port(name=name, direction="output", width=width, description=description)


class Block(wiring.Component):  # type: ignore[misc]
    """One kind of module, with the kinds that it is made of (``parts``).

    Only control has a reset; data registers are overwritten before they matter. Reset clears outputs
    that are registers, except ``set_by_reset``.
    """

    resets = False
    """Whether the module has ``rst``."""

    def __init__(
        self,
        module_name: str,
        ports: Sequence[Port],
        parts: Sequence[Block] = (),
        *,
        set_by_reset: str = "",
        clocked: bool = True,
    ) -> None:
        clocking = [input_port("clk", 1, "clock, rising edge")] if clocked else []
        if self.resets:
            clocking.append(input_port("rst", 1, "synchronous reset, active high, one cycle or longer"))
        self.module_name = module_name
        self.ports = (*clocking, *ports)
        self.parts = tuple(parts)
        super().__init__(
            {
                port.name: (
                    wiring.In(port.width)
                    if port.direction == "input"
                    else wiring.Out(port.width, init=int(port.name == set_by_reset))
                )
                for port in ports
            }
        )

    def structure(self) -> list[str] | None:
        """The body that synthesis is to have (``structure.py``); None: what ``_build`` gives."""
        return None

    def body(self) -> list[str] | None:
        """The module's body as Verilog, its outputs registers; None: what ``_build`` gives."""
        return None

    def _build(self, m: Module) -> None:
        """Put the block's logic into ``m``."""
        raise NotImplementedError

    def elaborate(self, platform: object) -> Module:
        """The block as Amaranth knows it."""
        m = Module()
        self._build(m)
        return m

    @property
    def summary(self) -> str:
        """The first paragraph of the docstring: the comment above the module."""
        return " ".join((self.__doc__ or "").split("\n\n")[0].split())

    def kinds(self) -> Iterator[Block]:
        """Every kind of block in this one, each once, parts before the whole."""
        seen: dict[str, Block] = {}
        for part in self.parts:
            seen |= {block.module_name: block for block in part.kinds()}
        yield from seen.values()
        yield self

    def place(self, m: Module, label: str, **connections: Value) -> None:
        """Put an instance of this block, called ``label``, into module ``m``.

        Every port is connected by name, to a value of its width; clock and reset need not be named.
        """
        self._instantiate(m, label, connections, 1)

    def place_each(
        self, m: Module, label: str, count: int, *, number_from: int = 0, **connections: Value
    ) -> None:
        """Put ``count`` instances into ``m``, called ``label_0``, ``label_1`` ... (from ``number_from`` on).

        A port is connected to a value of its width, which all instances share, or to one of ``count``
        times its width, of which each has its slice. Amaranth sees one instance only, as its time
        grows with the bits of all connections; ``verilog.expand`` makes the others.
        """
        name = f"{label}_{number_from}" if count == 1 or number_from else label
        notes: dict[str, int | str] = {"a_first": number_from, "a_label": label, "a_instances": count}
        self._instantiate(m, name, connections, count, notes)

    def _instantiate(
        self,
        m: Module,
        name: str,
        connections: dict[str, Value],
        count: int,
        notes: Mapping[str, int | str] = MappingProxyType({}),
    ) -> None:
        pins: dict[str, Value] = {}
        sliced = []
        for port in self.ports:
            if port.name in ("clk", "rst"):
                usual = ClockSignal() if port.name == "clk" else ResetSignal()
                pins[f"i_{port.name}"] = connections.pop(port.name, usual)
                continue
            value = connections.pop(port.name)
            if len(value) == count * port.width:
                if count > 1 or port.direction == "output":
                    sliced.append(port.name)
            elif len(value) != port.width:
                raise TypeError(f"{name}: {port.name} has {port.width} bits, connected to {len(value)}")
            pins[f"{port.direction[0]}_{port.name}"] = value
        if connections:
            raise TypeError(f"{name}: {self.module_name} has no {sorted(connections)}")
        if notes:
            notes = {**notes, "a_sliced": " ".join(sliced)}
        m.submodules[name] = Instance(self.module_name, **notes, **pins)
