"""The registers of a core on an AXI4-Lite bus, made from the table ``pact_hw.spec.registers``."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from pact_hw.design import Port
from pact_hw.spec import CoreSpec
from pact_hw.spec.registers import REGISTER_ADDRESS_BITS, REGISTERS, Access, Register, digest_word

from ..arithmetic import named
from ..block import Block, input_port, output_port

OKAY, SLVERR = 0, 2
"""Responses of AXI."""
_STORED = (Access.SETTING, Access.ENABLE, Access.FLAGS)
_WRITTEN = (*_STORED, Access.PULSES)


def axi_lite_ports() -> list[Port]:
    """The slave's port."""
    address = REGISTER_ADDRESS_BITS
    return [
        input_port("s_axi_awaddr", address, "AXI4-Lite slave: write address, bytes"),
        input_port("s_axi_awvalid", 1, ""),
        output_port("s_axi_awready", 1, "with s_axi_wready, when address and data are both there"),
        input_port("s_axi_wdata", 32, ""),
        input_port("s_axi_wstrb", 4, "all ones; less is answered by SLVERR"),
        input_port("s_axi_wvalid", 1, ""),
        output_port("s_axi_wready", 1, ""),
        output_port("s_axi_bresp", 2, "OKAY or SLVERR"),
        output_port("s_axi_bvalid", 1, ""),
        input_port("s_axi_bready", 1, ""),
        input_port("s_axi_araddr", address, "read address, bytes"),
        input_port("s_axi_arvalid", 1, ""),
        output_port("s_axi_arready", 1, ""),
        output_port("s_axi_rdata", 32, ""),
        output_port("s_axi_rresp", 2, "OKAY or SLVERR"),
        output_port("s_axi_rvalid", 1, ""),
        input_port("s_axi_rready", 1, ""),
    ]


def _own_ports() -> list[Port]:
    """What the registers tell the core, and the core the registers."""
    ports = [
        input_port("locked", 1, "settings cannot be changed now"),
        input_port("events", 3, "finished, failed, start refused: pulses"),
        output_port("start", 1, "pulse"),
        output_port("soft_reset", 1, "pulse"),
        output_port("irq", 1, "an enabled event has happened and was not cleared"),
    ]
    for register in REGISTERS:
        name = register.name.lower()
        if register.access is Access.SETTING:
            ports.append(output_port(name, register.bits, register.description))
        elif register.access is Access.STATUS:
            ports.append(input_port(name, register.bits, register.description))
    return ports


class Registers(Block):
    """Registers on AXI4-Lite.

    A read or a write is answered in the next cycle. One transaction of each direction at a time.
    """

    resets = True

    def __init__(self, spec: CoreSpec) -> None:
        self._digest = spec.digest
        super().__init__(f"{spec.name}_registers", [*axi_lite_ports(), *_own_ports()])

    def _build(self, m: Module) -> None:
        # A SLVERR is the response's upper bit.
        accept = Signal(name="write_accept")
        m.d.comb += [
            accept.eq(self.s_axi_awvalid & self.s_axi_wvalid & ~self.s_axi_bvalid),
            self.s_axi_awready.eq(accept),
            self.s_axi_wready.eq(accept),
        ]
        write = Signal(name="write_enable")
        written = {register.name: self._selected(m, register, write) for register in REGISTERS}
        known = Signal(name="write_known")
        m.d.comb += [
            known.eq(Cat(written[r.name][1] for r in REGISTERS if r.access in _WRITTEN).any()),
            write.eq(accept & (self.s_axi_wstrb == 0xF)),
        ]
        write_failed = Signal()
        m.d.comb += self.s_axi_bresp.eq(Cat(Const(0, 1), write_failed))
        m.d.sync += self.s_axi_bvalid.eq(accept | (self.s_axi_bvalid & ~self.s_axi_bready))
        with m.If(accept):
            m.d.sync += write_failed.eq(~(known & (self.s_axi_wstrb == 0xF)))

        stored = {
            register.name: self._stored(m, register, written[register.name][0])
            for register in REGISTERS
            if register.access in _STORED
        }
        control = written["CONTROL"][0]
        m.d.sync += [
            self.start.eq(control & self.s_axi_wdata[0]),
            self.soft_reset.eq(control & self.s_axi_wdata[1]),
        ]
        settings = [written[r.name][0] for r in REGISTERS if r.access is Access.SETTING]
        refused = named(m, "setting_refused", self.locked & Cat(settings).any(), 1)
        cleared = named(m, "cleared", Mux(written["INTERRUPT_STATUS"][0], self.s_axi_wdata[:3], 0), 3)
        events = named(m, "events_now", self.events | Cat(Const(0, 2), refused), 3)
        flags = stored["INTERRUPT_STATUS"]
        kept = named(m, "events_kept", flags & named(m, "not_cleared", ~cleared, 3), 3)
        m.d.sync += [
            flags.eq(named(m, "events_next", kept | events, 3)),
            self.irq.eq(named(m, "events_enabled", flags & stored["INTERRUPT_ENABLE"], 3).any()),
        ]
        self._read(m, stored)

    def _selected(self, m: Module, register: Register, write: Value) -> tuple[Signal, Signal]:
        """Whether ``register`` is written now, and whether it is addressed."""
        name = register.name.lower()
        addressed = named(m, f"{name}_addressed", self.s_axi_awaddr == register.address, 1)
        return named(m, f"{name}_written", write & addressed, 1), addressed

    def _stored(self, m: Module, register: Register, written: Value) -> Signal:
        """The register's value; flags are set and cleared elsewhere."""
        name = register.name.lower()
        value = Signal(register.bits, name=f"{name}_q")
        if register.access is Access.FLAGS:
            return value
        zeros = register.zero_bits
        stored = Signal(register.bits - zeros, name=f"{name}_stored", init=register.reset >> zeros)
        m.d.comb += value.eq(Cat(Const(0, zeros), stored))
        if register.access is Access.SETTING:
            m.d.comb += getattr(self, name).eq(value)
            written = written & ~self.locked
        with m.If(written):
            m.d.sync += stored.eq(self.s_axi_wdata[zeros : register.bits])
        return value

    def _read(self, m: Module, stored: dict[str, Signal]) -> None:
        def value(register: Register) -> Value:
            if register.access is Access.CONSTANT:
                word = register.name.removeprefix("DIGEST_")
                constant = digest_word(self._digest, int(word)) if word.isdigit() else register.reset
                return Const(constant, register.bits)
            if register.access is Access.STATUS:
                return getattr(self, register.name.lower())
            return stored.get(register.name, Const(0, 32))

        data: Value = Const(0, 32)
        addressed = []
        for register in REGISTERS:
            name = register.name.lower()
            here = named(m, f"{name}_read", self.s_axi_araddr == register.address, 1)
            addressed.append(here)
            if register.access is not Access.PULSES:
                own = named(m, f"{name}_data", Mux(here, value(register), 0), register.bits)
                data = named(m, f"data_to_{name}", data | own, 32)
        accept = named(m, "read_accept", self.s_axi_arvalid & ~self.s_axi_rvalid, 1)
        read_failed = Signal()
        m.d.comb += [self.s_axi_arready.eq(accept), self.s_axi_rresp.eq(Cat(Const(0, 1), read_failed))]
        m.d.sync += self.s_axi_rvalid.eq(accept | (self.s_axi_rvalid & ~self.s_axi_rready))
        with m.If(accept):
            m.d.sync += [self.s_axi_rdata.eq(data), read_failed.eq(~Cat(addressed).any())]
