"""The core on AXI: registers, engine, what brings it its words, and what brings its results away."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, ResetSignal, Signal

from pact_hw.spec import CoreSpec

from ..arithmetic import named
from ..block import Block, output_port
from .control import Control
from .read_dma import ReadDma, axi_read_ports
from .registers import Registers, axi_lite_ports
from .result_writer import ResultWriter, axi_write_ports


class Core(Block):
    """A core: software sets addresses and starts it on AXI4-Lite, it reads and writes memory on AXI4.

    It ends with an interrupt, when its results have reached the memory or an error has stopped it.
    ``engine`` is the block that computes (``engine.Engine``).
    """

    resets = True

    def __init__(self, spec: CoreSpec, engine: Block) -> None:
        self._registers = Registers(spec)
        self._control = Control(spec)
        self._read_dma = ReadDma(spec)
        self._writer = ResultWriter(spec)
        self._engine = engine
        self._outer = [*axi_lite_ports(), *axi_read_ports(spec), *axi_write_ports(spec)]
        super().__init__(
            spec.name,
            [*self._outer, output_port("irq", 1, "an enabled event has happened; until it is cleared")],
            [self._registers, self._control, self._read_dma, self._engine, self._writer],
        )

    def _build(self, m: Module) -> None:
        outer = {port.name: getattr(self, port.name) for port in self._outer} | {"irq": self.irq}
        engine_reset = Signal()
        engine_rst = named(m, "engine_rst", ResetSignal() | engine_reset, 1)
        registers = placed(m, "registers", self._registers, outer)
        engine = placed(m, "engine", self._engine, {"rst": engine_rst})
        read = placed(m, "read_dma", self._read_dma, outer | _shared(engine, "write_"))
        write = placed(m, "result_writer", self._writer, outer | _shared(engine, "result_"))
        control = placed(
            m,
            "control",
            self._control,
            {
                "engine_reset": engine_reset,
                "start": registers["start"],
                "soft_reset": registers["soft_reset"],
                "launch": engine["start"],
                "watchdog_cycles": registers["watchdog_cycles"],
                **{name: registers[name] for name in ("locked", "events", "status", "error_operation")},
                **{f"engine_{name}": engine[name] for name in ("done", "error")},
                "operations_done": engine["operations_done"],
            },
        )
        write_idle = named(m, "write_idle", engine["result_idle"] & ~engine["result_valid"], 1)
        read_beat = self.m_axi_rvalid & self.m_axi_rready
        write_beat = (self.m_axi_wvalid & self.m_axi_wready) | self.m_axi_bvalid
        m.d.comb += [
            control["engine_stalls"].eq(engine["stalls"][0]),
            control["read_idle"].eq(read["idle"]),
            control["write_idle"].eq(write_idle),
            control["read_error"].eq(read["bus_error"]),
            control["write_error"].eq(write["bus_error"]),
            control["bad_transfer"].eq(read["bad_transfer"]),
            control["beat"].eq(read_beat | write_beat),
            Cat(registers["cycles_low"], registers["cycles_high"]).eq(engine["cycles"]),
            Cat(registers["stalls_low"], registers["stalls_high"]).eq(engine["stalls"]),
            registers["operations_done"].eq(engine["operations_done"]),
            registers["transfers_done"].eq(read["transfers_done"]),
            read["list_address"].eq(registers["transfers_address"]),
            read["list_count"].eq(registers["transfer_count"]),
            read["model_address"].eq(registers["model_address"]),
            read["input_address"].eq(registers["input_address"]),
            write["result_address"].eq(registers["result_address"]),
            write["input_address"].eq(registers["input_address"]),
        ]
        m.d.comb += [write["stop"].eq(control["stop"]), read["stop"].eq(control["stop"])]


def _shared(engine: dict[str, Signal], stream: str) -> dict[str, Signal]:
    """What a master shares with the engine: a stream, the start, and how far it is."""
    names = (stream, "start", "operations_done", "transfers_done")
    return {name: wire for name, wire in engine.items() if name.startswith(names)}


def placed(m: Module, label: str, block: Block, known: dict[str, Signal]) -> dict[str, Signal]:
    """Every port of ``block``, put into ``m``: those in ``known``, others as new wires ``label_port``."""
    wires = {
        port.name: known[port.name] if port.name in known else Signal(port.width, name=f"{label}_{port.name}")
        for port in block.ports
        if port.name in known or port.name not in ("clk", "rst")
    }
    block.place(m, label, **wires)
    return wires
