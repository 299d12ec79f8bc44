"""From bus beats to the words of a transfer's destination."""

from __future__ import annotations

from amaranth.hdl import Const, Module, Mux, Signal

from pact_hw.spec import CoreSpec

from ..arithmetic import named
from ..block import Block, input_port, output_port
from .transfers import chosen, count, word_beats, word_bits


class Unpacker(Block):
    """Bus beats to words: each takes whole beats, lowest bits first.

    A word is offered in the cycle after its last beat, and its register takes the next word's first
    beat while it is taken: no beat is lost between words, or between transfers.
    """

    resets = True

    def __init__(self, spec: CoreSpec) -> None:
        self._spec = spec
        super().__init__(
            f"{spec.name}_unpacker",
            [
                input_port("clear", 1, "forget what is there"),
                input_port("beat_valid", 1, "a beat of the transfer's data comes"),
                output_port("beat_ready", 1, "it is taken"),
                input_port("beat_data", spec.bus_bits, ""),
                input_port("destination", 2, "of the transfer"),
                input_port("address", 24, "of its first word"),
                input_port("words", 24, "how many"),
                output_port("transfer_next", 1, "the transfer's last beat is taken"),
                output_port("transfer_done", 1, "the transfer's last word is taken"),
                output_port("write_valid", 1, "a word is offered, and held until taken"),
                input_port("write_ready", 1, "the word is taken"),
                output_port("write_destination", 2, "where it goes"),
                output_port("write_address", 24, "word address; weights: none"),
                output_port("write_data", max(word_bits(spec).values()), "the word, in the lowest bits"),
            ],
        )

    def _build(self, m: Module) -> None:
        beats = word_beats(self._spec)
        taken = named(m, "word_taken", self.write_valid & self.write_ready, 1)
        m.d.comb += self.beat_ready.eq(~self.write_valid | taken)
        accept = named(m, "beat_taken", self.beat_valid & self.beat_ready, 1)
        whole = self._fill(m, accept, [beats[destination] for destination in sorted(beats)])

        first = Signal(init=1, name="first_word")
        left = Signal(24, name="words_left_behind")
        following = named(m, "address_plus_1", self.write_address + 1, 24)
        behind = named(m, "words_behind", Mux(first, self.words, left) - 1, 24)
        last = named(m, "last_word", ~behind.any(), 1)
        last_offered = Signal(name="last_word_offered")
        m.d.comb += [
            self.transfer_next.eq(whole & last),
            self.transfer_done.eq(taken & last_offered),
        ]
        m.d.sync += self.write_valid.eq(~self.clear & (whole | (self.write_valid & ~taken)))
        with m.If(whole):
            m.d.sync += [
                left.eq(behind),
                last_offered.eq(last),
                self.write_destination.eq(self.destination),
                self.write_address.eq(Mux(first, self.address, following)),
            ]
        with m.If(self.clear):
            m.d.sync += first.eq(1)
        with m.Elif(whole):
            m.d.sync += first.eq(last)

    def _fill(self, m: Module, accept: Signal, beats: list[int]) -> Signal:
        """Put a beat where it belongs in the word; whether the word is whole with it."""
        most, bus = max(beats), self._spec.bus_bits
        if most == 1:
            with m.If(accept):
                m.d.sync += self.write_data.eq(self.beat_data[: len(self.write_data)])
            return accept
        beat = Signal(range(most), name="beat")
        highest = chosen(self.destination, [Const(each - 1, len(beat)) for each in beats])
        whole = named(m, "word_whole", accept & (beat == named(m, "last_beat", highest, len(beat))), 1)
        count(m, beat, clear=self.clear | whole, step=accept)
        parts = []
        for number in range(most):
            width = min(bus, len(self.write_data) - number * bus)
            part = Signal(width, name=f"beat_{number}", reset_less=True)
            with m.If(accept & (beat == number)):
                m.d.sync += part.eq(self.beat_data[:width])
            parts.append(part)
        for number, part in enumerate(parts):
            m.d.comb += self.write_data[number * bus : number * bus + len(part)].eq(part)
        return whole
