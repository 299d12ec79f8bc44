"""Transfers in the hardware: how wide, how deep, how many beats; and the records on hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from amaranth.hdl import Cat, Module, Mux, Signal, Value

from pact_hw.spec import CoreSpec
from pact_hw.spec.program import TRANSFER_FIELDS, TRANSFER_WORDS, WORD_BITS, Destination

from ..arithmetic import elements, named
from ..block import Block, input_port, output_port

RECORD_SLOTS = 4
"""Transfer records on hand, a power of two: with short transfers too the bus has its next one."""
RECORD_BITS = TRANSFER_WORDS * WORD_BITS


def word_bits(spec: CoreSpec) -> dict[Destination, int]:
    """Width of each destination's words."""
    return {
        Destination.PROGRAM: WORD_BITS,
        Destination.WEIGHTS: spec.weight_word_bits,
        Destination.CONSTANTS: spec.constant_word_bits,
        Destination.ACTIVATIONS: spec.word_bits,
    }


def word_beats(spec: CoreSpec) -> dict[Destination, int]:
    """Bus beats that a word of each destination takes."""
    return {destination: -(-bits // spec.bus_bits) for destination, bits in word_bits(spec).items()}


class Part(NamedTuple):
    """Bits of a word that come in one bus beat, and that a memory has side by side."""

    beat: int
    first: int
    """Of the word's bits."""
    bits: int


def beat_parts(bus_bits: int, ranges: Sequence[tuple[int, int]]) -> list[Part]:
    """The parts of a memory that holds ``ranges`` (first bit, bits) of a word, one behind the other."""
    parts: list[Part] = []
    for begin, bits in ranges:
        first, end = begin, begin + bits
        while first < end:
            beat = first // bus_bits
            width = min(end, (beat + 1) * bus_bits) - first
            parts.append(Part(beat, first, width))
            first += width
    return parts


def arriving(parts: Sequence[Part], data: Value, part: Value) -> tuple[Value, Value]:
    """Which of ``parts`` bus beat number ``part``, ``data``, is; and data for all of them."""
    beats = Cat(*(part == each.beat for each in parts))
    return beats, Cat(*(data[each.first % len(data) :][: each.bits] for each in parts))


def part_bits(spec: CoreSpec) -> int:
    """Of the number of a word's beat."""
    return max(1, (max(word_beats(spec).values()) - 1).bit_length())


def depths(spec: CoreSpec) -> dict[Destination, int]:
    """Words of each destination that has addresses."""
    return {
        Destination.PROGRAM: spec.program_words,
        Destination.CONSTANTS: spec.constant_words,
        Destination.ACTIVATIONS: spec.activation_words,
    }


def chosen(index: Value, values: Sequence[Value]) -> Value:
    """``values[index]``, as many as ``index`` can choose from."""
    if len(values) == 1:
        return values[0]
    half = len(values) // 2
    return Mux(index[-1], chosen(index[:-1], values[half:]), chosen(index[:-1], values[:half]))


def plus_1(m: Module, counter: Signal) -> Signal:
    """``counter + 1``, round and round."""
    return named(m, f"{counter.name}_plus_1", counter + 1, len(counter))


def count(m: Module, counter: Signal, *, clear: Value, step: Value) -> None:
    """Make ``counter`` count ``step``."""
    following = plus_1(m, counter)
    with m.If(clear):
        m.d.sync += counter.eq(0)
    with m.Elif(step):
        m.d.sync += counter.eq(following)


class TransferRecords(Block):
    """A ring of transfer records: filled from the bus, read by the issuer, then by the unpacker.

    A record is asked for as soon as there is room for it.
    """

    resets = True

    def __init__(self, spec: CoreSpec) -> None:
        self._bus_bits = spec.bus_bits
        record = [(field.name, field.bits) for field in TRANSFER_FIELDS]
        super().__init__(
            f"{spec.name}_transfer_records",
            [
                input_port("clear", 1, "forget all records"),
                output_port("room", 1, "there is room for one more record than was asked for"),
                input_port("asked", 1, "a record was asked for"),
                input_port("beat_valid", 1, "a beat of the record asked for first comes"),
                input_port("beat_data", spec.bus_bits, ""),
                output_port("issue_valid", 1, "the record that is next to be issued is there"),
                input_port("issue_next", 1, "its data have been asked for"),
                *(output_port(f"issue_{name}", bits, "of that record") for name, bits in record),
                input_port("unpack_next", 1, "its data have come; its place is free"),
                *(
                    output_port(f"unpack_{name}", bits, "of the record whose data come")
                    for name, bits in record
                    if name in ("destination", "address", "words")
                ),
            ],
        )

    def _build(self, m: Module) -> None:
        # One bit more than an index, to tell full from empty.
        bits = RECORD_SLOTS.bit_length()
        read, issued, unpacked, asked = (
            Signal(bits, name=f"records_{what}") for what in ("read", "issued", "unpacked", "asked")
        )
        beats = max(1, RECORD_BITS // self._bus_bits)
        beat = Signal(range(beats), name="beat")
        whole = (
            named(m, "record_read", self.beat_valid & (beat == beats - 1), 1)
            if beats > 1
            else self.beat_valid
        )
        on_hand = named(m, "records_on_hand", asked - unpacked, bits)
        m.d.comb += [
            self.room.eq(on_hand != RECORD_SLOTS),
            self.issue_valid.eq(read != issued),
        ]
        for counter, step in (
            (asked, self.asked),
            (read, whole),
            (issued, self.issue_next),
            (unpacked, self.unpack_next),
        ):
            count(m, counter, clear=self.clear, step=step)
        if beats > 1:
            count(m, beat, clear=self.clear, step=self.beat_valid)

        slots = [self._slot(m, slot, read, beat) for slot in range(RECORD_SLOTS)]
        for number, field in enumerate(TRANSFER_FIELDS):
            values = [slot[number] for slot in slots]
            m.d.comb += getattr(self, f"issue_{field.name}").eq(chosen(issued[:-1], values))
            if hasattr(self, f"unpack_{field.name}"):
                m.d.comb += getattr(self, f"unpack_{field.name}").eq(chosen(unpacked[:-1], values))

    def _slot(self, m: Module, slot: int, read: Signal, beat: Signal) -> list[Signal]:
        """The record in place ``slot``, taken from the bus."""
        here = named(m, f"beat_of_record_{slot}", self.beat_valid & (read[:-1] == slot), 1)
        words = elements(self.beat_data, self._bus_bits // WORD_BITS)
        # Where a beat holds several records, they begin in it one after the other.
        offset = TRANSFER_WORDS * slot % len(words) if len(words) > TRANSFER_WORDS else 0
        fields = []
        for number, field in enumerate(TRANSFER_FIELDS):
            value = Signal(field.bits, name=f"record_{slot}_{field.name}", reset_less=True)
            in_beat, word = divmod(number, len(words))
            enable = here & (beat == in_beat) if self._bus_bits < RECORD_BITS else here
            with m.If(enable):
                m.d.sync += value.eq(words[offset + word][: field.bits])
            fields.append(value)
        return fields
