"""Passes: the beats of a matrix operation, one a cycle, as long as their operands are there."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.utils import ceil_log2

from pact_hw.spec import CoreSpec
from pact_hw.spec.core import Depthwise
from pact_hw.spec.core_widths import lane_bits

from ..arithmetic import named
from ..block import Block, input_port, output_port
from .field_ports import field_ports
from .nest import Loops, in_mode

_FIELDS = (
    "tiles_y", "tiles_x", "n_tiles", "block_y", "block_x", "act_slices", "weight_slices",
    "kernel_y", "kernel_x", "channel_beats",
    "act_n", "act_y", "act_x", "act_slice", "act_kernel_y", "act_kernel_x", "diagonal",
)  # fmt: skip


class Passes(Block):
    """Asks the patches and the weight buffer for each beat's operands.

    The last beat of a pass is only issued when the sums of the pass before are (about to be) out.
    """

    resets = True

    def __init__(self, core: CoreSpec) -> None:
        self._core = core
        self.fields = (*_FIELDS, *(["mode"] if core.array.modes else []))
        super().__init__(
            f"{core.name}_passes",
            [
                input_port("begins", 1, "a matrix operation begins"),
                input_port("run", 1, "else everything waits"),
                input_port("ready", 1, "the tile's patches are filled"),
                input_port("drained", 1, "a pass may end"),
                *field_ports(core, self.fields),
                output_port("wanted", 1, "a beat is to be issued: weights are needed"),
                output_port("issue", 1, "a beat is issued"),
                output_port("half", 1, "its patches"),
                output_port("address", lane_bits(core), "its lane group there"),
                output_port(
                    "part", max(1, ceil_log2(core.col_groups)), "diagonal: column group of the n-tile"
                ),
                output_port("pass_end", 1, "it is a pass's last one"),
                output_port("again", 1, "then the n-tile's weights are read again, from its first"),
                output_port("tile_end", 1, "it is the last one of a tile"),
                output_port("n_end", 1, "it is the last one of an n-tile"),
                output_port("last", 1, "it is the last one of the operation"),
            ],
        )

    def _build(self, m: Module) -> None:
        active = Signal()
        loops = Loops(
            m,
            "loop",
            {name: getattr(self, field) for name, field in (
                ("ty", "tiles_y"), ("tx", "tiles_x"), ("n", "n_tiles"), ("y", "block_y"), ("x", "block_x"),
                ("a", "act_slices"), ("w", "weight_slices"),
                ("ky", "kernel_y"), ("kx", "kernel_x"), ("c", "channel_beats"),
            )},
            begins=self.begins,
            advance=self.issue,
        )  # fmt: skip
        zero = Signal(len(self.address), name="patch_begin")
        address = loops.sum(
            "address",
            zero,
            {"n": self._n_stride(m), "y": self.act_y, "x": self.act_x, "a": self.act_slice,
             "ky": self.act_kernel_y, "kx": self.act_kernel_x,
             "c": in_mode(self, "mode", [mode.beat_parts for mode in self._core.modes])},
        )  # fmt: skip
        last_beat = named(m, "last_beat", loops.last("ky"), 1)
        m.d.comb += [
            zero.eq(0),
            self.wanted.eq(active & self.ready & (~last_beat | self.drained)),
            self.issue.eq(self.wanted & self.run),
            self.address.eq(address),
            self.pass_end.eq(self.issue & last_beat),
            self.n_end.eq(self.issue & loops.last("y")),
            self.again.eq(self.issue & loops.last("w") & ~loops.last("y")),
            self.tile_end.eq(self.issue & loops.last("n")),
            self.last.eq(self.issue & loops.last()),
        ]
        with m.If(self.begins):
            m.d.sync += [active.eq(1), self.half.eq(0)]
        with m.Elif(self.issue):
            m.d.sync += [active.eq(~self.last), self.half.eq(self.half ^ self.tile_end)]

    def _n_stride(self, m: Module) -> Value:
        """From one n-tile to the next; on the diagonal, n-tiles of the same words have the same address."""
        groups = self._core.col_groups
        if groups == 1 or self._core.depthwise is Depthwise.NONE:
            m.d.comb += self.part.eq(0)
            return self.act_n
        part_plus_1 = named(m, "part_plus_1", self.part + 1, len(self.part))
        with m.If(self.begins | self.tile_end):
            m.d.sync += self.part.eq(0)
        with m.Elif(self.n_end):
            m.d.sync += self.part.eq(part_plus_1)
        same = named(m, "same_words", self.diagonal & (self.part != groups - 1), 1)
        return Mux(same, 0, self.act_n)
