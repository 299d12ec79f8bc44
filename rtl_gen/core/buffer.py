"""The activation buffer: one write port for the bus and the writer, two reads."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal

from pact_hw.spec import CoreSpec
from pact_hw.spec.core_widths import buffer_bits

from ..block import Block, input_port, output_port
from .memory import Memory
from .transfers import arriving, beat_parts, part_bits


class ActivationBuffer(Block):
    """Whole tensors. The writer goes before the bus."""

    def __init__(self, core: CoreSpec) -> None:
        self._core = core
        size = core.word_bits // core.col_groups
        self._parts = beat_parts(core.bus_bits, [(g * size, size) for g in range(core.col_groups)])
        self._memory = Memory(
            f"{core.name}_memory_activations",
            depth=core.activation_words,
            width=core.word_bits,
            parts=[part.bits for part in self._parts],
            reads=("load", "operand"),
        )
        bits = buffer_bits(core)
        super().__init__(
            f"{core.name}_activations",
            [
                input_port("bus_valid", 1, "a beat of a word from the bus"),
                output_port("bus_ready", 1, "is taken"),
                input_port("bus_address", bits, "word"),
                input_port("bus_part", part_bits(core), "which one"),
                input_port("bus_data", core.bus_bits, ""),
                input_port("write_enable", core.col_groups, "column groups of the word, or none"),
                input_port("write_address", bits, "word"),
                input_port(
                    "write_data",
                    core.array.cols * core.array.act.bits,
                    "for each of them; of narrow codes, in turn",
                ),
                input_port("load_enable", 1, "the loader reads"),
                input_port("load_address", bits, ""),
                output_port("load_data", core.word_bits, ""),
                input_port("operand_enable", 1, "the residual operand is read"),
                input_port("operand_address", bits, ""),
                output_port("operand_data", core.word_bits, ""),
            ],
            [self._memory],
            clocked=True,
        )

    def _build(self, m: Module) -> None:
        core, writing = self._core, Signal()
        m.d.comb += [writing.eq(self.write_enable.any()), self.bus_ready.eq(~writing)]
        which, beat = arriving(self._parts, self.bus_data, self.bus_part)
        size = core.word_bits // core.col_groups
        groups = Cat(*(self.write_enable[part.first // size] for part in self._parts))
        codes = self.write_data.replicate(core.col_groups // core.array.operand_words)
        self._memory.place(
            m,
            "memory",
            write_enable=Mux(writing, groups, Mux(self.bus_valid, which, 0)),
            write_address=Mux(writing, self.write_address, self.bus_address),
            write_data=Mux(writing, codes, beat),
            load_enable=self.load_enable,
            load_address=self.load_address,
            load_data=self.load_data,
            operand_enable=self.operand_enable,
            operand_address=self.operand_address,
            operand_data=self.operand_data,
        )
