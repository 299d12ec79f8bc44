"""From bus beats to where a transfer's words go."""

from __future__ import annotations

from amaranth.hdl import Const, Module, Mux, Signal

from pact_hw.spec import CoreSpec

from ..arithmetic import named
from ..block import Block, input_port, output_port
from .transfers import chosen, count, part_bits, word_beats


class Unpacker(Block):
    """Says of each bus beat which part of which word it is; words take whole beats, lowest bits first.

    Beats go to the buffers as they come, which write parts of words: none waits here.
    """

    resets = True

    def __init__(self, spec: CoreSpec) -> None:
        self._spec = spec
        super().__init__(
            f"{spec.name}_unpacker",
            [
                input_port("clear", 1, "forget where it is"),
                input_port("beat_valid", 1, "a beat of the transfer's data comes"),
                output_port("beat_ready", 1, "it is taken"),
                input_port("destination", 2, "of the transfer"),
                input_port("address", 24, "of its first word"),
                input_port("words", 24, "how many"),
                output_port("transfer_ends", 1, "the transfer's last beat is taken"),
                output_port("write_valid", 1, "the beat is offered, and held until taken"),
                input_port("write_ready", 1, "it is taken"),
                output_port("write_destination", 2, "where it goes"),
                output_port("write_address", 24, "word address; weights: none"),
                output_port("write_part", part_bits(spec), "which beat of the word"),
                output_port("write_last", 1, "its last one"),
            ],
        )

    def _build(self, m: Module) -> None:
        beats = word_beats(self._spec)
        accept = named(m, "beat_taken", self.beat_valid & self.write_ready, 1)
        beat = Signal(len(self.write_part), name="beat")
        highest = chosen(self.destination, [Const(beats[d] - 1, len(beat)) for d in sorted(beats)])
        first = Signal(init=1, name="first_word")
        left = Signal(24, name="words_left_behind")
        following = Signal(24, name="address_behind")
        address = named(m, "address_now", Mux(first, self.address, following), 24)
        address_plus_1 = named(m, "address_plus_1", address + 1, 24)
        behind = named(m, "words_behind", Mux(first, self.words, left) - 1, 24)
        last = named(m, "last_word", ~behind.any(), 1)
        whole = named(m, "word_whole", accept & self.write_last, 1)
        m.d.comb += [
            self.beat_ready.eq(self.write_ready),
            self.write_valid.eq(self.beat_valid),
            self.write_destination.eq(self.destination),
            self.write_address.eq(address),
            self.write_part.eq(beat),
            self.write_last.eq(beat == highest),
            self.transfer_ends.eq(whole & last),
        ]
        count(m, beat, clear=self.clear | whole, step=accept)
        with m.If(self.clear):
            m.d.sync += first.eq(1)
        with m.Elif(whole):
            m.d.sync += [first.eq(last), left.eq(behind), following.eq(address_plus_1)]
