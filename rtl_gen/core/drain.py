"""The drain: whose turn it is to leave, row after row (or window after window), and where that goes."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.utils import ceil_log2

from pact_hw.spec import CoreSpec
from pact_hw.spec.core_widths import constant_bits, group_bits, pixel_bits

from ..arithmetic import named
from ..block import Block, input_port, output_port
from .field_ports import field_ports
from .nest import Loops, all_of, in_mode

_FIELDS = (
    "tiles_y", "tiles_x", "n_tiles", "block_y", "block_x", "act_slices", "weight_slices", "grid_y", "grid_x",
    "origin_y", "origin_x", "out_height", "out_width", "tile_out_y", "tile_out_x",
    "out", "out_x", "out_y", "out_row_x", "out_row_y", "out_tile_x", "out_tile_y",
    "residual", "residual_x", "residual_y", "residual_row_x", "residual_row_y",
    "residual_tile_x", "residual_tile_y", "residual_planes", "residual_first", "residual_count",
    "constants", "constants_tile_x", "drain_step",
)  # fmt: skip


class Pace(Block):
    """When rows leave: one each ``drain_step`` cycles, from a pass's last beat on; windows without end."""

    resets = True

    def __init__(self, core: CoreSpec) -> None:
        self._core = core
        super().__init__(
            f"{core.name}_pace",
            [
                input_port("run", 1, "else everything waits"),
                input_port("begins", 1, "a pass issues its last beat, or windows begin"),
                input_port("windows", 1, "go on until the end"),
                input_port("ends", 1, "the operation's last turn was"),
                *field_ports(core, ["drain_step"]),
                output_port("wanted", 1, "a row is to leave"),
                output_port("drained", 1, "no row is left behind this cycle"),
                output_port("turn", 1, "a row leaves"),
                output_port("on_the_way", 1, "a row will, soon"),
            ],
        )

    def _build(self, m: Module) -> None:
        rows = self._core.array.rows
        active = Signal()
        row = Signal(ceil_log2(rows))
        first = Signal()  # cycle of a row
        left = Signal(len(self.drain_step))
        soon = Signal()
        row_end = named(m, "row_end", left == 1, 1)
        last = named(m, "last", row_end & (row == rows - 1) & ~self.windows, 1)
        row_plus_1 = named(m, "row_plus_1", row + 1, len(row))
        left_less_1 = named(m, "left_less_1", left - 1, len(left))
        m.d.comb += [
            self.wanted.eq(active & first),
            self.drained.eq(~active | last),
            self.on_the_way.eq(soon | self.turn),
        ]
        m.d.sync += [soon.eq(self.wanted & self.run), self.turn.eq(soon)]
        with m.If(self.ends):
            m.d.sync += active.eq(0)
        with m.Elif(self.begins):
            m.d.sync += [active.eq(1), first.eq(1), row.eq(0), left.eq(self.drain_step)]
        with m.Elif(self.run & active):
            m.d.sync += [
                active.eq(~last),
                first.eq(row_end),
                left.eq(Mux(row_end, self.drain_step, left_less_1)),
            ]
            with m.If(row_end):
                m.d.sync += row.eq(row_plus_1)


class Drain(Block):
    """The loops of results: what each turn stands for, registered behind it.

    A turn reads the residual operand in its own cycle, before its context is registered.
    """

    resets = True

    def __init__(self, core: CoreSpec) -> None:
        self._core = core
        modes = ["out_mode", "residual_mode"] if core.array.modes else []
        self.fields = (*(name for name in _FIELDS if name != "drain_step"), *modes)
        bits = group_bits(core)
        super().__init__(
            f"{core.name}_drain",
            [
                input_port("begins", 1, "an operation begins"),
                input_port("windows", 1, "of windows"),
                input_port("paced", 1, "a row's turn"),
                *field_ports(core, self.fields),
                output_port("turn", 1, "a row's turn, and the operation has not ended"),
                output_port("turn_row", ceil_log2(core.array.rows), "its number"),
                output_port("operand_valid", 1, "with the turn: there is a residual operand"),
                output_port("operand_address", bits, "column group of its first plane"),
                output_port("out_of_range", 1, "with the turn: its constants are beyond their buffer"),
                output_port("last_turn", 1, "the operation's last turn"),
                output_port("row", ceil_log2(core.array.rows), "context: the turn's row"),
                output_port("first", 1, "context: the first pass, or the first of a window"),
                output_port("whole", 1, "context: the last one"),
                output_port("shift", self.shift_bits(core), "context: places that the pass counts for"),
                output_port("valid", 1, "context: the pixel is in the result"),
                output_port("last", 1, "context: the operation's last"),
                output_port("address", bits, "context: column group of the result"),
                output_port("constant", constant_bits(core), "context: word of the constants"),
            ],
        )

    @staticmethod
    def shift_bits(core: CoreSpec) -> int:
        """Bits of the places by which a pass's sums are shifted."""
        array = core.array
        highest = (core.act_planes - 1) * array.act.bits + (core.weight_slices - 1) * array.weight.bits
        return max(1, highest.bit_length())

    def _build(self, m: Module) -> None:
        core = self._core
        active = Signal()
        loops = Loops(
            m,
            "loop",
            {name: getattr(self, field) for name, field in (
                ("ty", "tiles_y"), ("tx", "tiles_x"), ("n", "n_tiles"), ("y", "block_y"), ("x", "block_x"),
                ("a", "act_slices"), ("w", "weight_slices"), ("gy", "grid_y"), ("gx", "grid_x"),
            )},
            begins=self.begins,
            advance=self.turn,
        )  # fmt: skip

        def address(name: str) -> Signal:
            def field(suffix: str) -> Signal:
                return getattr(self, f"{name}{suffix}")

            n = in_mode(self, f"{name}_mode", [mode.level_parts for mode in core.modes])
            strides = {"ty": field("_tile_y"), "tx": field("_tile_x"), "n": n, "y": field("_y"),
                       "x": field("_x"), "gy": field("_row_y"), "gx": field("_row_x")}  # fmt: skip
            return loops.sum(f"{name}_address", field(""), strides)

        pixels = pixel_bits(core)

        def pixel(axis: str) -> Signal:
            origin = named(m, f"first_{axis}", Mux(self.windows, getattr(self, f"origin_{axis}"), 0), pixels)
            block = getattr(self, f"block_{axis}")
            strides = {f"t{axis}": getattr(self, f"tile_out_{axis}"), axis: 1, f"g{axis}": block}
            return loops.sum(f"pixel_{axis}", origin, strides)

        zero = {name: Signal(len(getattr(self, field)), name=f"{name}_begin")
                for name, field in (("n", "n_tiles"), ("shift", "constants"))}  # fmt: skip
        result, operand = address("out"), address("residual")
        inside = named(m, "inside", (pixel("y") < self.out_height) & (pixel("x") < self.out_width), 1)
        n = loops.sum("n", zero["n"], {"n": 1})
        n_behind = named(m, "n_behind", n - self.residual_first, len(n))
        words = core.constant_words
        first_constant = named(m, "first_constant", self.constants, words.bit_length())
        constant = loops.sum("constant", first_constant, {"tx": self.constants_tile_x, "n": 1})
        places = Signal(len(self.shift), name="shift_begin_0")
        array = core.array
        shift = loops.sum("shift", places, {"a": array.act.bits, "w": array.weight.bits})
        first_pass = Signal()
        first_turn = Signal()
        row = Signal(len(self.turn_row))
        pass_end = loops.last("gy")
        whole_pass = named(m, "whole_pass", loops.at_end["a"] & loops.at_end["w"], 1)
        row_plus_1 = named(m, "row_plus_1", row + 1, len(row))
        m.d.comb += [
            self.turn.eq(self.paced & active),
            self.turn_row.eq(row),
            self.operand_valid.eq(
                all_of(
                    self.turn, inside, whole_pass, self.residual_planes.any(), n_behind < self.residual_count
                )
            ),
            self.operand_address.eq(operand),
            self.last_turn.eq(self.turn & loops.last()),
            self.out_of_range.eq(self.turn & (constant >= words)),
        ]
        with m.If(self.begins):
            m.d.sync += [active.eq(1), first_pass.eq(1), first_turn.eq(1), row.eq(0)]
        with m.Elif(self.turn):
            m.d.sync += [
                active.eq(~loops.last()),
                first_pass.eq(Mux(pass_end, whole_pass, first_pass)),
                first_turn.eq(pass_end),
                row.eq(Mux(pass_end, 0, row_plus_1)),
            ]
        with m.If(self.turn):
            m.d.sync += [
                self.row.eq(row),
                self.first.eq(Mux(self.windows, first_turn, first_pass)),
                self.whole.eq(Mux(self.windows, pass_end, whole_pass)),
                self.shift.eq(shift),
                self.valid.eq(self.windows | inside),
                self.last.eq(loops.last()),
                self.address.eq(result),
                self.constant.eq(constant[: len(self.constant)]),
            ]
