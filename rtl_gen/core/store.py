"""Stores: words of the activation buffer on their way to the memory."""

from __future__ import annotations

from amaranth.hdl import Module, Signal

from pact_hw.spec import CoreSpec
from pact_hw.spec.core_widths import buffer_bits, word_bits

from ..arithmetic import named
from ..block import Block, input_port, output_port
from .field_ports import field_ports


class Store(Block):
    """Reads a word a cycle, as long as they are taken; ends when the memory has them all.

    A word is offered while it stands at the buffer's port, which holds it until the next read.
    """

    resets = True
    fields = ("source", "words")

    def __init__(self, core: CoreSpec) -> None:
        self._core = core
        super().__init__(
            f"{core.name}_store",
            [
                input_port("begins", 1, "a store begins"),
                *field_ports(core, self.fields),
                output_port("busy", 1, "it has begun, and not ended"),
                output_port("read_enable", 1, "ask the activation buffer"),
                output_port("read_address", buffer_bits(core), "for this word"),
                output_port("out_of_range", 1, "the address is beyond the buffer"),
                output_port("valid", 1, "the word is offered, and held until taken"),
                input_port("ready", 1, "the word is taken"),
                input_port("idle", 1, "all that was taken is in the memory"),
                output_port("waits", 1, "for the memory"),
                output_port("ends", 1, "the store's last cycle"),
            ],
        )

    def _build(self, m: Module) -> None:
        address = Signal(word_bits(self._core))
        left = Signal(len(self.words))
        free = named(m, "free", ~self.valid | self.ready, 1)
        reading = named(m, "reading", left.any() & free, 1)
        beyond = named(m, "beyond", reading & (address >= self._core.activation_words), 1)
        all_taken = named(m, "all_taken", self.busy & ~left.any() & ~self.valid, 1)
        following = named(m, "address_plus_1", address + 1, len(address))
        left_less_1 = named(m, "left_less_1", left - 1, len(left))
        m.d.comb += [
            self.read_enable.eq(reading & ~beyond),
            self.read_address.eq(address[: len(self.read_address)]),
            self.out_of_range.eq(beyond),
            self.waits.eq((self.valid & ~self.ready) | (all_taken & ~self.idle)),
            self.ends.eq(all_taken & self.idle),
        ]
        m.d.sync += [
            self.busy.eq(self.begins | (self.busy & ~self.ends)),
            self.valid.eq(self.read_enable | (self.valid & ~self.ready)),
        ]
        with m.If(self.begins):
            m.d.sync += [address.eq(self.source), left.eq(self.words)]
        with m.Elif(reading):
            m.d.sync += [address.eq(following), left.eq(left_less_1)]
