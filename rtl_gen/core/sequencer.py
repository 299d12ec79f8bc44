"""The sequencer: fetches operations, checks their fields, begins them, counts cycles."""

from __future__ import annotations

from amaranth.hdl import Const, Module, Mux, Signal, Value
from amaranth.utils import ceil_log2

from pact_hw.spec import CoreSpec
from pact_hw.spec.core import Depthwise
from pact_hw.spec.core_schedule import fetched_words
from pact_hw.spec.core_widths import MODES, SIGNED, field_bits
from pact_hw.spec.program import FIELDS, WORD_BITS, WORDS, Opcode
from pact_hw.spec.registers import CoreError

from ..arithmetic import named
from ..block import Block, input_port, output_port
from .nest import all_of, at_most

COUNT_BITS = 48
AT_LEAST_1 = {
    "load_step", "tiles_y", "tiles_x", "grid_y", "grid_x", "patch_y", "patch_x", "pixel_words", "n_tiles",
    "block_y", "block_x", "act_slices", "weight_slices", "kernel_y", "kernel_x", "channel_beats",
    "out_planes", "drain_step",
}  # fmt: skip
"""Counts: an operation in which one is 0 is refused."""


class Sequencer(Block):
    """One operation after the other: a word a cycle from the program memory, a check, a begin.

    An error ends the program; then nothing but a reset helps.
    """

    resets = True

    def __init__(self, core: CoreSpec) -> None:
        self._core = core
        self._fields = FIELDS[: fetched_words(core)]
        self._address_bits = ceil_log2(core.program_words)
        super().__init__(
            f"{core.name}_sequencer",
            [
                input_port("start", 1, "run the program; ignored while busy, and after an error"),
                output_port("busy", 1, ""),
                output_port("done", 1, "the program has ended: one cycle"),
                output_port("error", 4, "why it has not: CoreError"),
                input_port("transfers_done", 16, "transfers that are complete"),
                output_port("operations_done", 16, "operations that have ended"),
                output_port("cycles", COUNT_BITS, "since the start"),
                output_port("stalls", COUNT_BITS, "of these, waiting for the memory"),
                output_port("fetch", 1, "read the program memory"),
                output_port("fetch_address", self._address_bits, ""),
                input_port("fetch_data", WORD_BITS, "a cycle later"),
                output_port("begins", 1, "the operation begins"),
                input_port("ends", 1, "its last cycle"),
                input_port("stalled", 1, "it waits for the memory"),
                input_port("out_of_range", 1, "it leaves a buffer"),
                input_port("weights_missing", 1, "it waits for weights that cannot come"),
                *(
                    output_port(field.name, field_bits(core, field.name), "of the operation")
                    for field in self._fields
                ),
            ],
        )

    def _build(self, m: Module) -> None:
        core = self._core
        waiting = Signal()  # for the first transfer
        fetching = Signal()
        checking = Signal()  # all fields are there
        running = Signal()
        base = Signal(core.program_words.bit_length())  # of the operation
        words = fetched_words(core)
        index = Signal(ceil_log2(words))  # of the word that is asked for
        arriving = Signal()
        position = Signal(len(index))  # of the word that arrives
        self._fetch_fields(m, arriving, position)
        wrong = self._wrong(m, arriving, position)

        ended = self.fetch_data[: len(self.opcode)] == Opcode.END
        at_end = named(m, "at_end", arriving & (position == 0) & ended, 1)
        last_word = named(m, "last_word", index == words - 1, 1)
        index_plus_1 = named(m, "index_plus_1", index + 1, len(index))
        address = named(m, "address", base + index, len(base) + 1)
        beyond = named(m, "beyond", fetching & (address >= core.program_words), 1)
        # Known a cycle later; after_transfers comes long before it matters.
        arrived = Signal(name="arrived")
        m.d.sync += arrived.eq(self.transfers_done >= self.after_transfers)
        sensible = self._sensible(m)
        begun = named(m, "begun", self.start & ~self.busy & ~self.error.any(), 1)
        m.d.comb += [
            self.fetch.eq(fetching & ~beyond),
            self.fetch_address.eq(address),
            self.begins.eq(checking & arrived & sensible),
        ]
        m.d.sync += [
            waiting.eq(begun | (waiting & ~self.transfers_done.any())),
            fetching.eq(
                (waiting & self.transfers_done.any()) | (running & self.ends) | (fetching & ~last_word)
            ),
            arriving.eq(fetching),
            position.eq(index),
            checking.eq((arriving & (position == words - 1)) | (checking & ~self.begins)),
            running.eq(self.begins | (running & ~self.ends)),
            self.done.eq(at_end),
        ]
        with m.If(fetching):
            m.d.sync += index.eq(Mux(last_word, 0, index_plus_1))
        base_next = named(m, "base_next", base + WORDS, len(base))
        operations = named(m, "operations_plus_1", self.operations_done + 1, 16)
        with m.If(running & self.ends):
            m.d.sync += [base.eq(base_next), self.operations_done.eq(operations)]
        stalled = (waiting & ~self.transfers_done.any()) | (checking & ~arrived) | (running & self.stalled)
        cycles = named(m, "cycles_plus_1", self.cycles + 1, COUNT_BITS)
        stalls = named(m, "stalls_plus_1", self.stalls + 1, COUNT_BITS)
        waits = named(m, "waits", self.busy & stalled, 1)
        with m.If(self.busy):
            m.d.sync += self.cycles.eq(cycles)
        with m.If(waits):
            m.d.sync += self.stalls.eq(stalls)

        with m.If(begun):
            m.d.sync += [
                self.busy.eq(1), base.eq(0), index.eq(0),
                self.operations_done.eq(0), self.cycles.eq(0), self.stalls.eq(0),
            ]  # fmt: skip
        with m.If(at_end):
            m.d.sync += [self.busy.eq(0), fetching.eq(0), arriving.eq(0), index.eq(0)]
        reasons = (
            (wrong | (checking & ~sensible), CoreError.BAD_OPERATION),
            (beyond | (running & self.out_of_range), CoreError.ADDRESS_RANGE),
            (running & self.weights_missing, CoreError.WEIGHTS_MISSING),
        )
        for condition, reason in reasons:
            with m.If(self.busy & condition):
                m.d.sync += [
                    self.busy.eq(0), self.error.eq(reason), self.done.eq(0),
                    waiting.eq(0), fetching.eq(0), arriving.eq(0), checking.eq(0), running.eq(0),
                ]  # fmt: skip

    def _fetch_fields(self, m: Module, arriving: Signal, position: Signal) -> None:
        for number, field in enumerate(self._fields):
            register = getattr(self, field.name)
            with m.If(arriving & (position == number)):
                m.d.sync += register.eq(self.fetch_data[: len(register)])

    def _wrong(self, m: Module, arriving: Signal, position: Signal) -> Value:
        """Whether the arriving word cannot be its field's value."""
        spare = Signal(WORD_BITS)  # bits that must be 0
        counts = Signal()
        with m.Switch(position):
            for number, field in enumerate(self._fields):
                if field.name in SIGNED:
                    continue
                with m.Case(number):
                    width = len(getattr(self, field.name))
                    if field.name == "diagonal" and self._core.depthwise is Depthwise.NONE:
                        width = 0
                    m.d.comb += [
                        spare.eq(((1 << WORD_BITS) - 1) >> width << width),
                        counts.eq(int(field.name in AT_LEAST_1)),
                    ]
        too_large = (self.fetch_data & spare).any()
        return named(m, "wrong", arriving & (too_large | (counts & (self.fetch_data == 0))), 1)

    def _sensible(self, m: Module) -> Value:
        """Whether fields fit each other: a row's planes come and go while it is its turn."""
        planes, steps = self._core.act_planes, self._core.requantise_steps
        out_end = named(m, "out_end", self.out_planes + (steps - 1), len(self.drain_step) + 1)
        residual_end = named(m, "residual_end", self.residual_planes + (steps - 1), len(out_end))
        return named(
            m,
            "sensible",
            all_of(
                at_most(self.opcode, max(Opcode)),
                out_end <= self.drain_step,
                residual_end <= self.drain_step,
                Const(steps) <= self.drain_step,
                at_most(self.out_planes, planes),
                at_most(self.residual_planes, planes),
                at_most(self.weight_slices, self._core.weight_slices),
                at_most(self.act_slices, planes),
                *(
                    at_most(getattr(self, field.name), len(self._core.modes) - 1)
                    for field in self._fields
                    if field.name in MODES
                ),
            ),
            1,
        )
