"""A block with the engine's ports that keeps what it is sent and gives it back: for the core's outside.

A program of one word says how many words are to come before it ends. It sends each activation word,
repeated, as a row of results, waits in every cycle without a beat, and counts that as a stall.
"""

from amaranth.hdl import Mux, Signal

from pact_hw.spec.program import Destination
from rtl_gen.block import Block, input_port, output_port
from rtl_gen.core.transfers import part_bits, word_bits


class StandIn(Block):
    """Takes words, and sends activation words back as results."""

    resets = True

    def __init__(self, spec):
        self._word_bits = word_bits(spec)[Destination.ACTIVATIONS]
        assert self._word_bits <= spec.bus_bits
        super().__init__(
            f"{spec.name}_engine",
            [
                input_port("start", 1, ""),
                output_port("busy", 1, ""),
                output_port("done", 1, ""),
                output_port("error", 4, ""),
                input_port("transfers_done", 16, ""),
                output_port("operations_done", 16, ""),
                input_port("write_valid", 1, ""),
                output_port("write_ready", 1, ""),
                input_port("write_destination", 2, ""),
                input_port("write_address", 24, ""),
                input_port("write_data", spec.bus_bits, ""),
                input_port("write_part", part_bits(spec), ""),
                input_port("write_last", 1, ""),
                output_port("result_start", 1, ""),
                output_port("result_words", 1, ""),
                output_port("result_offset", 32, ""),
                output_port("result_valid", 1, ""),
                input_port("result_ready", 1, ""),
                input_port("result_idle", 1, ""),
                output_port("result_data", spec.array.cols * 32, ""),
                output_port("cycles", 48, ""),
                output_port("stalls", 48, ""),
            ],
        )

    def _build(self, m):
        left = Signal(24)
        taken = Signal()
        program = self.write_destination == Destination.PROGRAM
        word = self.write_data[: self._word_bits]
        row = word.replicate(-(-len(self.result_data) // self._word_bits))[: len(self.result_data)]
        m.d.comb += [
            self.write_ready.eq(self.busy & (~self.result_valid | self.result_ready)),
            taken.eq(self.write_valid & self.write_ready),
            self.done.eq(self.busy & (left == 1) & ~self.result_valid),
            self.operations_done.eq(self.transfers_done),
            self.result_start.eq(self.start),
        ]
        with m.If(self.start):
            m.d.sync += [self.busy.eq(1), self.cycles.eq(0), self.stalls.eq(0), left.eq(0)]
        with m.Elif(self.busy):
            m.d.sync += [self.cycles.eq(self.cycles + 1), self.stalls.eq(self.stalls + ~taken)]
            m.d.sync += self.result_valid.eq(self.result_valid & ~self.result_ready)
            with m.If(taken & program & (self.write_address == 0)):
                # A program of 0xFFFF.... is one that cannot be executed.
                bad = self.write_data[:32] == 0xFFFFFFFF
                m.d.sync += [left.eq(self.write_data[:24]), self.error.eq(Mux(bad, 1, 0))]
            with m.Elif(taken & self.write_last):
                m.d.sync += left.eq(left - 1)
            with m.If(taken & (self.write_destination == Destination.ACTIVATIONS)):
                m.d.sync += [
                    self.result_valid.eq(1),
                    self.result_data.eq(row),
                ]
            with m.If(self.done):
                m.d.sync += self.busy.eq(0)
