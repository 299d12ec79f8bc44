"""The activation buffer: one write port for the bus and the writer, two reads."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal

from pact_hw.spec import CoreSpec

from ..block import Block, input_port, output_port
from .memory import Memory
from .sizes import buffer_bits


class ActivationBuffer(Block):
    """Whole tensors. The writer goes before the bus."""

    def __init__(self, core: CoreSpec) -> None:
        self._core = core
        self._memory = Memory(
            f"{core.name}_memory_activations",
            depth=core.activation_words,
            width=core.word_bits,
            parts=core.col_groups,
            reads=("load", "operand"),
        )
        bits = buffer_bits(core)
        super().__init__(
            f"{core.name}_activations",
            [
                input_port("bus_valid", 1, "a word from the bus"),
                output_port("bus_ready", 1, "is taken"),
                input_port("bus_address", bits, "word"),
                input_port("bus_data", core.word_bits, ""),
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
        groups = self._core.col_groups
        writing = Signal()
        m.d.comb += [writing.eq(self.write_enable.any()), self.bus_ready.eq(~writing)]
        self._memory.place(
            m,
            "memory",
            write_enable=Mux(writing, self.write_enable, self.bus_valid.replicate(groups)),
            write_address=Mux(writing, self.write_address, self.bus_address),
            write_data=Mux(
                writing, self.write_data.replicate(groups // self._core.array.operand_words), self.bus_data
            ),
            load_enable=self.load_enable,
            load_address=self.load_address,
            load_data=self.load_data,
            operand_enable=self.operand_enable,
            operand_address=self.operand_address,
            operand_data=self.operand_data,
        )
