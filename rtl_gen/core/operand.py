"""The residual operand, or what a window reads: cols levels, plane by plane."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.utils import ceil_log2

from pact_hw.spec import CoreSpec
from pact_hw.spec.core_widths import buffer_bits, group_bits

from ..arithmetic import elements, named
from ..block import Block, input_port, output_port
from .field_ports import field_ports
from .nest import at_most
from .transfers import chosen


def level_bits(core: CoreSpec) -> int:
    """Bits of a level of all planes."""
    return core.act_planes * core.array.act.bits


class Operand(Block):
    """Reads a plane a cycle, the first one in the turn's own; ``take``: the last one has arrived."""

    resets = True

    def __init__(self, core: CoreSpec) -> None:
        self._core = core
        self.fields = ("residual_planes", "residual_plane", *(["residual_mode"] if core.array.modes else []))
        super().__init__(
            f"{core.name}_operand",
            [
                input_port("turn", 1, "a turn: with or without an operand"),
                input_port("valid", 1, "there is one; else it is 0"),
                input_port("address", group_bits(core), "column group of its first plane"),
                *field_ports(core, self.fields),
                output_port("read_enable", 1, "ask the activation buffer"),
                output_port("read_address", buffer_bits(core), "for this word"),
                input_port("read_data", core.word_bits, "a cycle later"),
                output_port("out_of_range", 1, "the address is beyond the buffer"),
                output_port("busy", 1, "a turn's operand has not arrived, or arrives"),
                output_port("take", 1, "the turn's operand has arrived"),
                output_port("arriving", core.array.cols * level_bits(core), "with take: cols levels"),
                output_port("levels", core.array.cols * level_bits(core), "the same, from the next cycle on"),
            ],
        )

    def _build(self, m: Module) -> None:
        core = self._core
        group = Signal(len(self.address))  # of the next plane
        more = Signal(len(self.residual_planes))  # planes to ask for
        valid = Signal()
        arrived = self.busy  # something was asked for
        was_read = Signal()  # and read
        asked = named(m, "asked", Mux(self.turn, self.address, group), len(group))
        parts = ceil_log2(core.col_groups)
        word = asked[parts:]
        reading = named(m, "reading", Mux(self.turn, self.valid, valid & more.any()), 1)
        beyond = named(m, "beyond", word >= core.activation_words, 1)
        following = named(m, "group_next", asked + self.residual_plane, len(group))
        one_plane = named(m, "one_plane", at_most(self.residual_planes, 1), 1)
        planes_less_1 = named(m, "planes_less_1", self.residual_planes - 1, len(more))
        more_less_1 = named(m, "more_less_1", more - 1, len(more))
        m.d.comb += [
            self.read_enable.eq(reading & ~beyond),
            self.read_address.eq(word[: len(self.read_address)]),
            self.out_of_range.eq(reading & beyond),
        ]
        with m.If(self.turn):
            m.d.sync += [valid.eq(self.valid), more.eq(Mux(one_plane, 0, planes_less_1))]
        with m.Elif(more.any()):
            m.d.sync += more.eq(more_less_1)
        with m.If(reading):
            m.d.sync += group.eq(following)
        m.d.sync += [
            self.take.eq(Mux(self.turn, one_plane, more == 1)),
            arrived.eq(self.turn | more.any()),
            was_read.eq(reading),
        ]
        data: Signal = self.read_data
        if parts:
            part = Signal(parts)
            m.d.sync += part.eq(asked[:parts])
            data = Signal(core.array.cols * core.array.act.bits)
            m.d.comb += data.eq(self._codes(part))
        self._assemble(m, named(m, "plane", Mux(was_read, data, 0), len(data)), arrived)

    def _codes(self, part: Value) -> Value:
        """Cols codes from column group ``part`` of the word on, in the widest width."""
        core = self._core
        cols, low = core.array.cols, ceil_log2(core.array.operand_words)
        wide = chosen(part[low:], elements(self.read_data, core.col_groups // core.array.operand_words))
        found: Value = wide
        for mode in core.modes[1:]:
            codes = elements(
                chosen(part[ceil_log2(mode.level_parts) : low], elements(wide, mode.beat_parts)), cols
            )
            widened = Cat(*(Cat(code, Const(0, core.array.act.bits - mode.bits)) for code in codes))
            found = Mux(self.residual_mode == mode.index, widened, found)
        return found

    def _assemble(self, m: Module, arriving: Signal, arrived: Signal) -> None:
        """Put the planes of each level side by side."""
        core = self._core
        planes, bits = core.act_planes, core.array.act.bits
        number = Signal(planes, init=1)  # of the plane, as one bit
        m.d.sync += number.eq(Mux(self.turn, 1, Cat(0, number[:-1])))
        levels = []
        kept = elements(self.levels, core.array.cols)
        for before, plane in zip(kept, elements(arriving, core.array.cols), strict=True):
            for p in range(planes):
                earlier = before[p * bits : (p + 1) * bits]
                levels.append(Mux(number[p], plane, Mux(number[0], 0, earlier)))
        m.d.comb += self.arriving.eq(Cat(*levels))
        with m.If(arrived):
            m.d.sync += self.levels.eq(self.arriving)
