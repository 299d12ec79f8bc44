"""When a core runs, why it stopped, and how it gets out of it."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from pact_hw.spec import CoreSpec
from pact_hw.spec.registers import CoreError

from ..arithmetic import named
from ..block import Block, input_port, output_port
from .transfers import count

ERROR_BITS = 4
WATCHDOG_BITS = 32


class Control(Block):
    """Start, end, errors, soft reset and watchdog.

    After an error or a soft reset nothing new is begun on the bus, and what is under way is waited for:
    a bus has no other way to give up.
    """

    resets = True

    def __init__(self, spec: CoreSpec) -> None:
        super().__init__(
            f"{spec.name}_control",
            [
                input_port("start", 1, "pulse: run, if that is possible"),
                input_port("soft_reset", 1, "pulse: give up"),
                output_port("launch", 1, "the run begins"),
                output_port("stop", 1, "begin nothing on the bus; until all is idle"),
                output_port("engine_reset", 1, "the engine is to forget what it did"),
                input_port("engine_done", 1, "pulse: the program has ended"),
                input_port("engine_error", ERROR_BITS, "0: none"),
                input_port("engine_stalls", 1, "lowest bit of the engine's count of waiting cycles"),
                input_port("operations_done", 16, "since the start"),
                input_port("read_idle", 1, "of the read master"),
                input_port("write_idle", 1, "of the result writer, and no result waits for it"),
                input_port("read_error", 1, "of the bus"),
                input_port("write_error", 1, "of the bus"),
                input_port("bad_transfer", 1, "the transfer list cannot be done"),
                input_port("beat", 1, "a beat passes on the bus"),
                input_port("watchdog_cycles", WATCHDOG_BITS, "the longest wait; 0: without an end"),
                output_port("locked", 1, "settings cannot change now"),
                output_port("events", 3, "finished, failed, start refused: pulses"),
                output_port("status", 8 + ERROR_BITS, "as the register"),
                output_port("error_operation", 16, "as the register"),
            ],
        )

    def _build(self, m: Module) -> None:
        busy, finished, failed, stopping, flushing = (
            Signal(name=name) for name in ("busy", "finished", "failed", "stopping", "flushing")
        )
        can_start = named(m, "can_start", ~(busy | failed | stopping), 1)
        begin = named(m, "run_begins", self.start & can_start, 1)
        waiting = self._waiting(m, busy, flushing)
        error = self._error(m, waiting)
        fail = named(m, "fails", busy & error.any(), 1)
        finish = named(m, "finishes", busy & flushing & self.write_idle & ~fail, 1)
        idle = named(m, "bus_idle", self.read_idle & self.write_idle, 1)
        reset = self.soft_reset
        m.d.sync += [
            busy.eq(~reset & (begin | (busy & ~fail & ~finish))),
            flushing.eq(~reset & busy & (self.engine_done | flushing)),
            finished.eq(~reset & ~begin & (finish | finished)),
            failed.eq(~reset & (fail | failed)),
            stopping.eq(reset | fail | (stopping & ~idle)),
            self.engine_reset.eq(reset | (self.engine_reset & ~idle)),
            self.events.eq(Cat(finish & ~reset, fail & ~reset, self.start & ~can_start)),
        ]
        code = Signal(ERROR_BITS, name="error")
        kept = named(m, "error_kept", Mux(reset, 0, Mux(fail, error, code)), ERROR_BITS)
        m.d.sync += code.eq(kept)
        with m.If(fail):
            m.d.sync += self.error_operation.eq(self.operations_done)
        m.d.comb += [
            self.launch.eq(begin),
            self.stop.eq(stopping),
            self.locked.eq(busy | stopping),
            self.status.eq(Cat(busy, finished, failed, stopping, Const(0, 4), code)),
        ]

    def _waiting(self, m: Module, busy: Signal, flushing: Signal) -> Signal:
        """Whether the core has waited too long."""
        before = Signal(name="engine_stalls_before")
        m.d.sync += before.eq(self.engine_stalls)
        stalled = named(m, "stalled", self.engine_stalls ^ before, 1)
        cycles = Signal(WATCHDOG_BITS, name="waited_cycles")
        waits = named(m, "waits", busy & (stalled | flushing) & ~self.beat, 1)
        count(m, cycles, clear=~waits, step=waits)
        limit = named(m, "at_limit", cycles == self.watchdog_cycles, 1)
        return named(m, "waited_too_long", limit & cycles.any(), 1)

    def _error(self, m: Module, waited_too_long: Signal) -> Signal:
        """The error that there is now, or none."""
        left_over = named(m, "left_over", self.engine_done & ~self.read_idle, 1)
        error: Value = Mux(waited_too_long, CoreError.WATCHDOG, CoreError.NONE)
        for when, code in (
            (self.bad_transfer | left_over, CoreError.BAD_TRANSFER),
            (self.write_error, CoreError.BUS_WRITE),
            (self.read_error, CoreError.BUS_READ),
        ):
            error = Mux(when, code, error)
        return named(m, "error_now", Mux(self.engine_error.any(), self.engine_error, error), ERROR_BITS)
