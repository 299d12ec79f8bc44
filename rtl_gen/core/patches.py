"""The patch buffer: what each row of the array will read, in banks of its own."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.utils import ceil_log2

from pact_hw.spec import CoreSpec
from pact_hw.spec.core import Depthwise
from pact_hw.spec.core_widths import lane_bits

from ..arithmetic import elements, named
from ..block import Block, input_port, output_port
from .memory import Memory
from .transfers import chosen


class LaneGroup(Block):
    """The operands of a composable array's beat, of a block of words of the widest width.

    A lane finds those of the narrowest mode's beat in all its words; where operands are wider, only some
    words are wanted, each from as many as there are beats in it: from itself or one behind it, by the
    bit-reversed number of the beat.
    """

    def __init__(self, core: CoreSpec) -> None:
        array = core.array
        self._array = array
        bits = array.lanes * array.operand_words * array.act.bits
        super().__init__(
            f"{core.name}_lane_group",
            [
                input_port("group", ceil_log2(array.operand_words), "lane group of the block"),
                input_port("block", bits, ""),
                output_port("act", bits, "words of the array's port; some are not wanted in wide modes"),
            ],
            clocked=False,
        )

    def _build(self, m: Module) -> None:
        n = self._array.operand_words
        words = elements(self.block, self._array.lanes * n)
        found = []
        for number in range(len(words)):
            choices = (number % n & -(number % n)) or n
            offset = Cat(*reversed(list(self.group)))[: ceil_log2(choices)]
            found.append(chosen(offset, words[number : number + choices]))
        m.d.comb += self.act.eq(Cat(*found))


class Patches(Block):
    """A bank for each row, of two halves: one is filled while the other is read, all banks at one address."""

    def __init__(self, core: CoreSpec) -> None:
        self._core = core
        self._bank = Memory(f"{core.name}_memory_patch", depth=2 * core.patch_words, width=core.word_bits)
        array = core.array
        self._operands = LaneGroup(core) if array.modes else None
        self._lane_bits = array.lanes * array.operand_words * array.act.bits
        super().__init__(
            f"{core.name}_patches",
            [
                input_port("write_rows", array.rows, "the row that is filled, or none"),
                input_port("write_half", 1, ""),
                input_port("write_address", ceil_log2(core.patch_words), "word of the patch"),
                input_port("write_data", core.word_bits, ""),
                input_port("read_enable", 1, "a beat"),
                input_port("read_half", 1, ""),
                input_port("read_address", lane_bits(core), "lane group of the patch"),
                output_port("act", array.rows * self._lane_bits, "a cycle later"),
                *(
                    [
                        input_port("read_part", max(1, ceil_log2(core.col_groups)), "column group of own"),
                        output_port("own", array.rows * array.cols * array.act.bits, "for the columns"),
                    ]
                    if core.depthwise is Depthwise.DIAGONAL
                    else []
                ),
            ],
            [self._bank, *([self._operands] if self._operands else [])],
        )

    def _build(self, m: Module) -> None:
        core = self._core
        part_bits = ceil_log2(core.lane_groups)

        def placed(half: Signal, word: Signal, name: str) -> Signal:
            beyond = Mux(half, core.patch_words, 0)
            return named(m, name, word + beyond, self._bank.address_bits)

        words = Signal(core.array.rows * core.word_bits)
        self._bank.place_each(
            m,
            "bank",
            core.array.rows,
            write_enable=self.write_rows,
            write_address=placed(self.write_half, self.write_address, "filled"),
            write_data=self.write_data,
            read_enable=self.read_enable,
            read_address=placed(self.read_half, self.read_address[part_bits:], "read"),
            read_data=words,
        )
        if core.depthwise is Depthwise.DIAGONAL:
            self._own(m, words)
        if not part_bits:
            m.d.comb += self.act.eq(words)
            return
        part, n = Signal(part_bits), core.array.operand_words
        with m.If(self.read_enable):
            m.d.sync += part.eq(self.read_address[:part_bits])
        rows = []
        for number, word in enumerate(elements(words, core.array.rows)):
            row = Signal(self._lane_bits, name=f"act_{number}")
            m.d.comb += row.eq(chosen(part[ceil_log2(n) :], elements(word, core.lane_groups // n)))
            rows.append(row)
        if self._operands is None:
            m.d.comb += self.act.eq(Cat(*rows))
            return
        self._operands.place_each(
            m, "operands", len(rows), group=part[: ceil_log2(n)], block=Cat(*rows), act=self.act
        )

    def _own(self, m: Module, words: Signal) -> None:
        """Of each row's word the columns' own channels."""
        core = self._core
        part = Signal(ceil_log2(core.col_groups), name="own_part")
        with m.If(self.read_enable):
            m.d.sync += part.eq(self.read_part)
        parts = (elements(word, core.col_groups) for word in elements(words, core.array.rows))
        m.d.comb += self.own.eq(Cat(*(chosen(part, groups) for groups in parts)))
