"""What the bus brings to a core: an AXI4 read master that works off a transfer list."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from pact_hw.design import Port
from pact_hw.spec import CoreSpec
from pact_hw.spec.core import ADDRESS_BITS
from pact_hw.spec.program import Destination

from ..arithmetic import named
from ..block import Block, input_port, output_port
from .transfers import RECORD_BITS, TransferRecords, chosen, count, depths, plus_1, word_beats
from .unpacker import Unpacker

MAX_BURST_BEATS = 256
BOUNDARY_BYTES = 4096
"""No burst crosses a multiple of this (AXI4, A3.4.1)."""
OUTSTANDING_BURSTS = 8
"""A power of two; with bursts of 2 kB on a bus of 64 bits, a latency of 1700 cycles is hidden."""
INCREMENTING = 1
_WRITE_PORTS = (
    "write_valid", "write_ready", "write_destination", "write_address", "write_part", "write_last",
)  # fmt: skip


def axi_read_ports(spec: CoreSpec) -> list[Port]:
    """The master's read channels."""
    return [
        output_port("m_axi_arid", 1, "AXI4 master: 0, so that reads are in order"),
        output_port("m_axi_araddr", ADDRESS_BITS, "read address, bytes, a whole beat"),
        output_port("m_axi_arlen", 8, "beats of the burst, less 1"),
        output_port("m_axi_arsize", 3, "whole beats"),
        output_port("m_axi_arburst", 2, "incrementing"),
        output_port("m_axi_arvalid", 1, ""),
        input_port("m_axi_arready", 1, ""),
        input_port("m_axi_rid", 1, "not needed"),
        input_port("m_axi_rdata", spec.bus_bits, ""),
        input_port("m_axi_rresp", 2, ""),
        input_port("m_axi_rlast", 1, ""),
        input_port("m_axi_rvalid", 1, ""),
        output_port("m_axi_rready", 1, ""),
    ]


class ReadDma(Block):
    """Works off a transfer list: bursts of reads, several under way, and words for the buffers.

    Bursts end at multiples of their greatest length, so that none crosses 4 kB. While one transfer's
    data still come, the next one's are asked for.
    """

    resets = True

    def __init__(self, spec: CoreSpec) -> None:
        self._spec = spec
        self._records = TransferRecords(spec)
        self._unpacker = Unpacker(spec)
        self._beat_bits = (spec.bus_bits // 8).bit_length() - 1
        self._burst_bits = min(
            MAX_BURST_BEATS.bit_length() - 1, BOUNDARY_BYTES.bit_length() - 1 - self._beat_bits
        )
        super().__init__(
            f"{spec.name}_read_dma",
            [
                *axi_read_ports(spec),
                input_port("start", 1, "pulse: work off the list"),
                input_port("stop", 1, "ask for nothing more, and drop what still comes, until idle"),
                output_port("idle", 1, "nothing to do and nothing under way"),
                output_port("bus_error", 1, "a beat came with SLVERR or DECERR"),
                output_port("bad_transfer", 1, "the next transfer cannot be done; until stop"),
                input_port("list_address", ADDRESS_BITS, "of the first record"),
                input_port("list_count", 16, "records"),
                input_port("model_address", ADDRESS_BITS, "base of all transfers but activations"),
                input_port("input_address", ADDRESS_BITS, "base of activations"),
                input_port("operations_done", 16, "since the start"),
                output_port("transfers_done", 16, "since the start"),
                *(port for port in self._unpacker.ports if port.name in _WRITE_PORTS),
                output_port("write_data", spec.bus_bits, "the beat"),
            ],
            [self._records, self._unpacker],
        )

    def _build(self, m: Module) -> None:
        active = Signal(name="active")
        dropping = named(m, "dropping", ~active | self.stop, 1)
        asked, come = (
            Signal(OUTSTANDING_BURSTS.bit_length(), name=f"bursts_{what}") for what in ("asked", "come")
        )
        is_record = Signal(OUTSTANDING_BURSTS, name="burst_is_record")
        ask_record, ask_data = Signal(name="ask_record"), Signal(name="ask_data")
        taken = named(m, "beat_taken", self.m_axi_rvalid & self.m_axi_rready, 1)
        record = named(m, "record_comes", chosen(come[:-1], list(is_record)), 1)
        wanted = named(m, "data_come", self.m_axi_rvalid & ~record & ~dropping, 1)
        clear = named(m, "clear", self.start | self.stop, 1)
        unpacker_ready, transfer_ends = Signal(name="unpacker_ready"), Signal(name="transfer_ends")

        fields = self._place_records(m, clear, taken & record & ~dropping, ask_record, transfer_ends)
        self._unpacker.place(
            m,
            "unpacker",
            clear=clear,
            beat_valid=wanted,
            beat_ready=unpacker_ready,
            destination=fields["unpack_destination"],
            address=fields["unpack_address"],
            words=fields["unpack_words"],
            transfer_ends=transfer_ends,
            **{name: getattr(self, name) for name in _WRITE_PORTS},
        )

        # Of each burst that was asked for and has not come, in order: a record, or data.
        asking = named(m, "asking", ask_record | ask_data, 1)
        count(m, asked, clear=Const(0, 1), step=asking)
        count(m, come, clear=Const(0, 1), step=taken & self.m_axi_rlast)
        for number in range(OUTSTANDING_BURSTS):
            with m.If(asking & (asked[:-1] == number)):
                m.d.sync += is_record[number].eq(ask_record)
        under_way = named(m, "bursts_under_way", asked - come, len(asked))

        m.d.comb += [
            self.idle.eq(~(active | under_way.any() | self.m_axi_arvalid)),
            self.bus_error.eq(~dropping & taken & self.m_axi_rresp[1]),
            self.write_data.eq(self.m_axi_rdata),
            self.m_axi_rready.eq(dropping | record | unpacker_ready),
            self.m_axi_arsize.eq(self._beat_bits),
            self.m_axi_arburst.eq(INCREMENTING),
            self.m_axi_arid.eq(0),
        ]
        self._count(m, active, transfer_ends)
        free = named(m, "address_free", ~self.m_axi_arvalid | self.m_axi_arready, 1)
        may_ask = named(m, "may_ask", free & ~dropping & (under_way != OUTSTANDING_BURSTS), 1)
        m.d.sync += self.m_axi_arvalid.eq(asking | (self.m_axi_arvalid & ~self.m_axi_arready))
        record_address = self._ask_records(m, may_ask, ask_record, fields["room"])
        data_address, data_length = self._ask_data(m, dropping, may_ask & ~ask_record, ask_data, fields)
        record_length = max(1, RECORD_BITS // self._spec.bus_bits) - 1
        address = named(m, "burst_address", Mux(ask_record, record_address, data_address), ADDRESS_BITS)
        length = named(m, "burst_beats", Mux(ask_record, record_length, data_length), 8)
        with m.If(asking):
            m.d.sync += [self.m_axi_araddr.eq(address), self.m_axi_arlen.eq(length)]

    def _place_records(
        self, m: Module, clear: Signal, beat: Value, asked: Signal, unpack_next: Signal
    ) -> dict[str, Signal]:
        """The ring of records; its outputs, and ``issue_next``, to be driven."""
        driven = {"clear": clear, "beat_valid": beat, "beat_data": self.m_axi_rdata, "asked": asked}
        driven["unpack_next"] = unpack_next
        free = {
            port.name: Signal(port.width, name=port.name)
            for port in self._records.ports
            if port.name not in ("clk", "rst", *driven)
        }
        self._records.place(m, "records", **driven, **free)
        return free

    def _count(self, m: Module, active: Signal, done: Signal) -> None:
        """Transfers that are done, and whether any are left."""
        count_plus_1 = plus_1(m, self.transfers_done)
        last = named(m, "last_transfer", count_plus_1 == self.list_count, 1)
        with m.If(self.start):
            m.d.sync += [self.transfers_done.eq(0), active.eq(self.list_count.any())]
        with m.Else():
            with m.If(done):
                m.d.sync += self.transfers_done.eq(count_plus_1)
            with m.If(self.stop | (done & last)):
                m.d.sync += active.eq(0)

    def _ask_records(self, m: Module, may_ask: Signal, ask: Signal, room: Signal) -> Signal:
        """Ask for the next record where there is room; its address."""
        number = Signal(16, name="records_asked")
        offset = named(m, "record_offset", Cat(Const(0, (RECORD_BITS // 8).bit_length() - 1), number), 21)
        address = named(m, "record_address", self.list_address + offset, ADDRESS_BITS)
        m.d.comb += ask.eq(may_ask & room & (number != self.list_count))
        count(m, number, clear=self.start, step=ask)
        return Cat(Const(0, self._beat_bits), address[self._beat_bits :])

    def _ask_data(
        self, m: Module, dropping: Signal, may_ask: Value, ask: Signal, fields: dict[str, Signal]
    ) -> tuple[Value, Value]:
        """Ask for the next burst of a transfer's data; its address, and its beats less 1."""
        bad = self._bad(m, fields)
        due = named(m, "transfer_due", fields["issue_after_operations"] <= self.operations_done, 1)
        issuing = Signal(name="issuing")
        begin = named(m, "issue_begins", fields["issue_valid"] & due & ~issuing & ~dropping, 1)

        base = Mux(
            fields["issue_destination"] == Destination.ACTIVATIONS, self.input_address, self.model_address
        )
        source = named(m, "source", named(m, "base", base, 32) + fields["issue_source"], ADDRESS_BITS)
        beats = self._beats(m, fields)
        # All but the last: behind this burst, and of it.
        behind = Signal(len(beats), name="beats_behind_first")
        index = Signal(self._burst_bits, name="burst_index")
        page = Signal(ADDRESS_BITS - self._beat_bits - self._burst_bits, name="burst_page")
        to_boundary = named(m, "to_boundary", ~index, len(index))
        last = named(m, "last_burst", behind <= to_boundary, 1)
        length = named(m, "burst_length", Mux(last, behind[: len(index)], to_boundary), len(index))
        left = named(m, "beats_left", behind - length, len(behind))
        left_behind = named(m, "beats_left_but_first", left - 1, len(behind))
        next_page = plus_1(m, page)
        beats_but_first = named(m, "beats_but_first", beats - 1, len(beats))
        m.d.comb += [
            ask.eq(may_ask & issuing),
            fields["issue_next"].eq(ask & last),
        ]
        m.d.sync += self.bad_transfer.eq(begin & bad)
        m.d.sync += issuing.eq(~dropping & ((begin & ~bad) | (issuing & ~(ask & last))))
        start = named(m, "burst_start", source[self._beat_bits :], len(index) + len(page))
        steps = [
            (index, Mux(begin, start[: len(index)], 0)),
            (page, Mux(begin, start[len(index) :], next_page)),
            (behind, Mux(begin, beats_but_first, left_behind)),
        ]
        steps = [(signal, named(m, f"{signal.name}_next", value, len(signal))) for signal, value in steps]
        with m.If(begin | ask):
            m.d.sync += [signal.eq(value) for signal, value in steps]
        return Cat(Const(0, self._beat_bits), index, page), length

    def _beats(self, m: Module, fields: dict[str, Signal]) -> Signal:
        """Beats of the whole transfer."""
        beats = word_beats(self._spec)
        width = 24 + max(beats.values()).bit_length()
        each = [
            named(
                m, f"beats_of_{destination.name.lower()}", fields["issue_words"] * beats[destination], width
            )
            for destination in sorted(beats)
        ]
        return named(m, "beats", chosen(fields["issue_destination"], each), width)

    def _bad(self, m: Module, fields: dict[str, Signal]) -> Signal:
        """Whether the record cannot be done: no words, beyond its buffer, or not aligned."""
        depth = depths(self._spec)
        end = named(m, "transfer_end", fields["issue_address"] + fields["issue_words"], 25)
        limits = [Const(depth.get(destination, (1 << 25) - 1), 25) for destination in sorted(Destination)]
        limit = named(m, "buffer_words", chosen(fields["issue_destination"], limits), 25)
        beyond = named(m, "beyond_buffer", end > limit, 1)
        unaligned = fields["issue_source"][: self._beat_bits].any()
        return named(m, "bad", beyond | unaligned | ~fields["issue_words"].any(), 1)
