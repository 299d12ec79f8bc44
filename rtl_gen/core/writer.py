"""The writer: a row's levels into the activation buffer, a plane a cycle; or its sums to the results."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.utils import ceil_log2

from pact_hw.spec import CoreSpec
from pact_hw.spec.core import RESULT_BITS
from pact_hw.spec.core_widths import buffer_bits, group_bits

from ..arithmetic import elements, named
from ..block import Block, input_port, output_port
from .field_ports import field_ports
from .transfers import chosen


class Writer(Block):
    """Writes levels as they come: their planes are through before the next ones come."""

    resets = True

    def __init__(self, core: CoreSpec) -> None:
        self._core = core
        self.fields = ("out_planes", "out_plane", "raw", *(["out_mode"] if core.array.modes else []))
        array, cols = core.array, core.array.cols
        super().__init__(
            f"{core.name}_writer",
            [
                *field_ports(core, self.fields),
                input_port("done", 1, "sums are whole from the next cycle on"),
                input_port("valid", 1, "with done: the pixel is in the result"),
                input_port("last", 1, "with done: the operation's last"),
                input_port("sums", cols * core.sum_bits, "a cycle after done"),
                input_port("level_begin", 1, "levels are there"),
                input_port("level_valid", 1, "of a pixel in the result"),
                input_port("level_last", 1, "the operation's last"),
                input_port("level_address", group_bits(core), "column group"),
                input_port("levels", cols * core.requantiser.level_bits, "until the next begin"),
                output_port("write_enable", core.col_groups, "column groups of the word"),
                output_port("write_address", buffer_bits(core), "word"),
                output_port("write_data", cols * array.act.bits, "a plane of cols levels"),
                output_port("out_of_range", 1, "the address is beyond the buffer"),
                output_port("result_valid", 1, "sums are offered, and held until taken"),
                input_port("result_ready", 1, "sums are taken"),
                input_port("result_idle", 1, "all that was taken is in the memory"),
                output_port("result_data", cols * RESULT_BITS, "cols sums, two's complement"),
                output_port("waits", 1, "only for the last sums to be in the memory"),
                output_port("ends", 1, "the operation's last cycle"),
            ],
        )

    def _build(self, m: Module) -> None:
        core, cols = self._core, self._core.array.cols
        bits = core.array.act.bits
        group = Signal(len(self.level_address))  # of the next plane
        left = Signal(len(self.out_planes))  # planes after the present one
        plane = Signal(ceil_log2(core.act_planes))
        begin = named(m, "first_plane", self.level_begin & ~self.raw, 1)
        writing = named(m, "writing", begin | left.any(), 1)
        asked = named(m, "asked", Mux(begin, self.level_address, group), len(group))
        following = named(m, "group_next", asked + self.out_plane, len(group))
        planes_less_1 = named(m, "planes_less_1", self.out_planes - 1, len(left))
        left_less_1 = named(m, "left_less_1", left - 1, len(left))
        remaining = named(m, "remaining", Mux(begin, planes_less_1, left_less_1), len(left))
        number = named(m, "number", Mux(begin, 0, plane), len(plane))
        number_plus_1 = named(m, "number_plus_1", number + 1, len(plane))
        with m.If(writing):
            m.d.sync += [group.eq(following), left.eq(remaining), plane.eq(number_plus_1)]
        parts = ceil_log2(core.col_groups)
        word = asked[parts:]
        beyond = named(m, "beyond", word >= core.activation_words, 1)
        valid = named(m, "valid_plane", writing & self.level_valid, 1)
        planes = []
        for level in elements(self.levels, cols):
            whole = Cat(level, Const(0, (bits << len(plane)) - len(level)))
            planes.append(chosen(number, elements(whole, 1 << len(plane))))
        m.d.comb += [
            self.write_enable.eq(Mux(valid & ~beyond, self._groups(asked[:parts]), 0)),
            self.write_address.eq(word[: len(self.write_address)]),
            self.write_data.eq(self._codes(planes)),
            self.out_of_range.eq(valid & beyond),
        ]
        self._offer(m)
        ended = Signal()  # the last sums have been offered
        m.d.sync += ended.eq(self.raw & ((self.done & self.last) | (ended & ~self.ends)))
        last_plane = named(m, "last_plane", writing & self.level_last & (remaining == 0), 1)
        m.d.comb += [
            self.waits.eq(ended & (self.result_valid | ~self.result_idle)),
            self.ends.eq(Mux(self.raw, ended & ~self.waits, last_plane)),
        ]

    def _groups(self, first: Value) -> Value:
        """The column groups of a word that cols codes of the mode take, from ``first`` on."""
        found: Value | None = None
        for mode in self._core.modes:
            parts = mode.level_parts
            own = first[ceil_log2(parts) :]
            groups = Cat(*(own == group // parts for group in range(self._core.col_groups)))
            found = groups if found is None else Mux(self.out_mode == mode.index, groups, found)
        assert found is not None
        return found

    def _codes(self, plane: Sequence[Value]) -> Value:
        """Cols codes of the mode, over and over, as many column groups as the widest ones take."""
        core = self._core
        found: Value = Cat(*plane)
        for mode in core.modes[1:]:
            codes = Cat(*(code[: mode.bits] for code in plane))
            found = Mux(self.out_mode == mode.index, codes.replicate(mode.beat_parts), found)
        return found

    def _offer(self, m: Module) -> None:
        """Raw sums, while they stand in their register."""
        with m.If(self.done & self.valid & self.raw):
            m.d.sync += self.result_valid.eq(1)
        with m.Elif(self.result_ready):
            m.d.sync += self.result_valid.eq(0)
        sums = [value.as_signed() for value in elements(self.sums, self._core.array.cols)]
        wide = [Cat(value, value[-1].replicate(max(0, RESULT_BITS - len(value)))) for value in sums]
        m.d.comb += self.result_data.eq(Cat(*(value[:RESULT_BITS] for value in wide)))
