"""What a core brings to memory: an AXI4 write master for rows of results, and for stored words."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal

from pact_hw.design import Port
from pact_hw.spec import CoreSpec
from pact_hw.spec.core import ADDRESS_BITS, RESULT_BITS
from pact_hw.spec.program import Destination
from pact_hw.spec.registers import BASE_ALIGNMENT

from ..arithmetic import elements, named
from ..block import Block, input_port, output_port
from .engine_ports import result_bits
from .read_dma import INCREMENTING
from .transfers import chosen, count, word_beats

UNANSWERED_BURSTS = 15
"""Write bursts that may wait for their response."""


def row_beats(spec: CoreSpec) -> int:
    """Bus beats that a row of results takes: whole ones, as every word in memory."""
    return -(-spec.array.cols * RESULT_BITS // spec.bus_bits)


def axi_write_ports(spec: CoreSpec) -> list[Port]:
    """The master's write channels."""
    return [
        output_port("m_axi_awid", 1, "0"),
        output_port("m_axi_awaddr", ADDRESS_BITS, "write address, bytes, a whole beat"),
        output_port("m_axi_awlen", 8, "beats of the burst, less 1"),
        output_port("m_axi_awsize", 3, "whole beats"),
        output_port("m_axi_awburst", 2, "incrementing"),
        output_port("m_axi_awvalid", 1, ""),
        input_port("m_axi_awready", 1, ""),
        output_port("m_axi_wdata", spec.bus_bits, ""),
        output_port("m_axi_wstrb", spec.bus_bits // 8, "all ones; zeros while stopping"),
        output_port("m_axi_wlast", 1, ""),
        output_port("m_axi_wvalid", 1, ""),
        input_port("m_axi_wready", 1, ""),
        input_port("m_axi_bid", 1, "not needed"),
        input_port("m_axi_bresp", 2, ""),
        input_port("m_axi_bvalid", 1, ""),
        output_port("m_axi_bready", 1, ""),
    ]


class ResultWriter(Block):
    """Rows to memory, one behind the other, each in whole bus beats: raw sums, or words that are stored.

    A burst never crosses a multiple of the base addresses' alignment, and so not of 4 kB. Its beats
    follow its address at once; the next one does not wait for the response.
    """

    resets = True

    def __init__(self, spec: CoreSpec) -> None:
        self._spec = spec
        self._beats = row_beats(spec)
        self._word_beats = word_beats(spec)[Destination.ACTIVATIONS]
        beat_bytes = spec.bus_bits // 8
        self._most = BASE_ALIGNMENT // beat_bytes
        # Of rows the greatest power of two that divides one; stores take whole bursts in all.
        self._burst_beats = min(self._beats & -self._beats, self._most)
        self._beat_bits = beat_bytes.bit_length() - 1
        super().__init__(
            f"{spec.name}_result_writer",
            [
                *axi_write_ports(spec),
                input_port("stop", 1, "begin no burst, and write nothing with those begun, until idle"),
                output_port("bus_error", 1, "a burst was answered by SLVERR or DECERR"),
                input_port("result_address", ADDRESS_BITS, "base of rows of sums"),
                input_port("input_address", ADDRESS_BITS, "base of words"),
                input_port("result_start", 1, "pulse: begin at base and offset; all before is in the memory"),
                input_port("result_words", 1, "rows are words, else sums"),
                input_port("result_offset", ADDRESS_BITS, "of the first row, bytes"),
                input_port("result_valid", 1, "a row is offered, and held until taken"),
                output_port("result_ready", 1, "the row is taken"),
                output_port("result_idle", 1, "nothing under way"),
                input_port("result_data", result_bits(spec), "cols sums, two's complement; or the word"),
            ],
        )

    def _build(self, m: Module) -> None:
        unanswered = Signal(UNANSWERED_BURSTS.bit_length(), name="bursts_unanswered")
        beat = Signal(range(max(2, self._beats, self._word_beats)), name="beat")
        last_beat = Mux(self.result_words, self._word_beats - 1, self._beats - 1)
        row_ends = named(m, "row_ends", beat == named(m, "last_beat", last_beat, len(beat)), 1)
        free = named(m, "data_free", ~self.m_axi_wvalid | self.m_axi_wready, 1)
        # In the middle of a burst there is no way back; at its beginning its address must find room.
        behind = Signal(range(max(2, self._most)), name="burst_behind")  # beats of the burst that are to come
        inside = named(m, "inside_burst", behind.any(), 1)
        address_free = named(m, "address_free", ~self.m_axi_awvalid | self.m_axi_awready, 1)
        room = named(m, "answer_room", unanswered != UNANSWERED_BURSTS, 1)
        may_begin = named(m, "may_begin", self.result_valid & ~self.stop & address_free & room, 1)
        begin = named(m, "burst_begins", free & ~inside & may_begin, 1)
        send = named(m, "beat_sent", begin | (free & inside & (self.stop | self.result_valid)), 1)
        length = Mux(self.result_words, self._most - 1, self._burst_beats - 1)
        length = named(m, "burst_length", length, len(behind))
        behind_less_1 = named(m, "burst_behind_less_1", behind - 1, len(behind))
        left = named(m, "burst_left", Mux(inside, behind_less_1, length), len(behind))
        burst_ends = named(m, "burst_ends", ~left.any(), 1)
        with m.If(send):
            m.d.sync += behind.eq(left)
        clear = named(m, "clear", self.result_start | (self.stop & ~inside), 1)
        count(m, beat, clear=clear | (send & row_ends), step=send)

        with m.If(begin):
            m.d.sync += self.m_axi_awlen.eq(length)
        m.d.comb += [
            self.result_ready.eq(send & row_ends & ~self.stop),
            self.m_axi_awsize.eq(self._beat_bits),
            self.m_axi_awburst.eq(INCREMENTING),
            self.m_axi_awid.eq(0),
            self.m_axi_bready.eq(1),
            self.bus_error.eq(self.m_axi_bvalid & self.m_axi_bresp[1] & ~self.stop),
        ]
        self._address(m, begin)
        self._data(m, send, burst_ends, beat)
        one_more = named(m, "unanswered_plus_1", unanswered + 1, len(unanswered))
        one_less = named(m, "unanswered_minus_1", unanswered - 1, len(unanswered))
        following = named(m, "unanswered_next", Mux(begin, one_more, one_less), len(unanswered))
        with m.If(begin != self.m_axi_bvalid):
            m.d.sync += unanswered.eq(following)
        under_way = inside | unanswered.any() | self.m_axi_awvalid | self.m_axi_wvalid
        m.d.comb += self.result_idle.eq(~under_way)

    def _address(self, m: Module, begin: Signal) -> None:
        """The next burst's address, and the address channel."""
        step = self._beat_bits + self._burst_beats.bit_length() - 1
        width = ADDRESS_BITS - step
        number = Signal(width, name="burst_number")
        more = Mux(self.result_words, self._most // self._burst_beats, 1)
        following = named(m, "burst_number_next", number + more, width)
        base = Mux(self.result_words, self.input_address, self.result_address)
        base = named(m, "base", base[step:], width)
        first = named(m, "burst_number_first", base + self.result_offset[step:], width)
        m.d.sync += self.m_axi_awvalid.eq(begin | (self.m_axi_awvalid & ~self.m_axi_awready))
        with m.If(self.result_start):
            m.d.sync += number.eq(first)
        with m.Elif(begin):
            m.d.sync += number.eq(following)
        address = Signal(width, name="awaddr", reset_less=True)
        m.d.comb += self.m_axi_awaddr.eq(Cat(Const(0, step), address))
        with m.If(begin):
            m.d.sync += address.eq(number)

    def _data(self, m: Module, send: Signal, burst_ends: Signal, beat: Signal) -> None:
        """The data channel: ``beat`` of the row."""
        bus, data = self._spec.bus_bits, self.result_data
        beats = -(-len(data) // bus)
        spare = beats * bus - len(data)
        parts = elements(Cat(data, Const(0, spare)) if spare else data, beats)
        width = (beats - 1).bit_length()
        index = beat[:width] if width else Const(0, 1)
        parts += parts[:1] * ((1 << width) - beats)
        chosen_beat = named(m, "beat_data", chosen(index, parts), bus)
        strobe = Signal(name="wstrb")
        m.d.comb += self.m_axi_wstrb.eq(strobe.replicate(bus // 8))
        m.d.sync += self.m_axi_wvalid.eq(send | (self.m_axi_wvalid & ~self.m_axi_wready))
        with m.If(send):
            m.d.sync += [
                self.m_axi_wdata.eq(chosen_beat),
                self.m_axi_wlast.eq(burst_ends),
                strobe.eq(~self.stop),
            ]
