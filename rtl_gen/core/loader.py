"""The loader: fills the patches of the tile after the one that is computed, a word a cycle."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.utils import ceil_log2

from pact_hw.spec import CoreSpec
from pact_hw.spec.core_widths import buffer_bits, word_bits

from ..arithmetic import named
from ..block import Block, input_port, output_port
from .field_ports import field_ports
from .nest import Loops

_FIELDS = (
    "source", "source_height", "source_width", "origin_y", "origin_x", "origin",
    "load_step", "load_x_words", "load_y_words", "row_x", "row_y", "row_x_words", "row_y_words",
    "tile_x", "tile_y", "tile_x_words", "tile_y_words",
    "tiles_y", "tiles_x", "grid_y", "grid_x", "patch_y", "patch_x", "pixel_words",
)  # fmt: skip


class Loader(Block):
    """Reads the activation buffer in the order of the patches' words; beyond the image it writes zeros.

    A tile is ready two cycles after its last word was asked for: memory, bank.
    """

    resets = True
    fields = _FIELDS

    def __init__(self, core: CoreSpec) -> None:
        self._core = core
        super().__init__(
            f"{core.name}_loader",
            [
                input_port("begins", 1, "an operation begins, with patches"),
                input_port("run", 1, "else everything waits"),
                input_port("consumed", 1, "the oldest ready tile is done with"),
                *field_ports(core, _FIELDS),
                output_port("ready", 1, "a tile is ready"),
                output_port("read_enable", 1, "ask the activation buffer"),
                output_port("read_address", buffer_bits(core), "for this word"),
                output_port("write_rows", core.array.rows, "the word goes to this row's bank"),
                output_port("write_half", 1, ""),
                output_port("write_address", ceil_log2(core.patch_words), ""),
                output_port("write_zero", 1, "as a zero: it lies beyond the image"),
                output_port("out_of_range", 1, "the patch or the address is beyond its buffer"),
            ],
        )

    def _build(self, m: Module) -> None:
        core, rows = self._core, self._core.array.rows
        active = Signal()
        held = Signal(2)  # tiles in the halves
        finishing = Signal()  # the last word of a tile is on its way
        ready = Signal(2)
        issue = named(m, "issue", active & self.run & (held != 2), 1)
        loops = Loops(
            m,
            "loop",
            {name: getattr(self, field) for name, field in (
                ("ty", "tiles_y"), ("tx", "tiles_x"), ("gy", "grid_y"), ("gx", "grid_x"),
                ("py", "patch_y"), ("px", "patch_x"), ("word", "pixel_words"),
            )},
            begins=self.begins,
            advance=issue,
        )  # fmt: skip
        bits = word_bits(core)
        address = loops.sum(
            "address",
            named(m, "first_address", self.source + self.origin, bits),
            {"ty": self.tile_y_words, "tx": self.tile_x_words, "gy": self.row_y_words,
             "gx": self.row_x_words, "py": self.load_y_words, "px": self.load_x_words, "word": 1},
        )  # fmt: skip
        y = loops.sum("y", self.origin_y, {"ty": self.tile_y, "gy": self.row_y, "py": self.load_step})
        x = loops.sum("x", self.origin_x, {"tx": self.tile_x, "gx": self.row_x, "px": self.load_step})
        # As unsigned numbers, lines and pixels before the first are beyond the last.
        inside = named(m, "inside", (y < self.source_height) & (x < self.source_width), 1)
        row_end, tile_end = loops.last("py"), named(m, "tile_end", loops.last("gy"), 1)

        row = Signal(rows)
        half = Signal()
        word = Signal(core.patch_words.bit_length())
        word_plus_1 = named(m, "word_plus_1", word + 1, len(word))
        with m.If(self.begins):
            m.d.sync += [row.eq(1), half.eq(0), word.eq(0), active.eq(1)]
        with m.Elif(issue):
            m.d.sync += [
                row.eq(Mux(tile_end, 1, Mux(row_end, row.rotate_left(1), row))),
                half.eq(half ^ tile_end),
                word.eq(Mux(row_end, 0, word_plus_1)),
                active.eq(~loops.last()),
            ]
        full = named(m, "full", word >= core.patch_words, 1)
        beyond = named(m, "beyond", inside & (address >= core.activation_words), 1)
        m.d.comb += [
            self.read_enable.eq(issue & inside & ~beyond),
            self.read_address.eq(address[: len(self.read_address)]),
            self.out_of_range.eq(issue & (full | beyond)),
            self.ready.eq(ready.any()),
        ]
        m.d.sync += [
            self.write_rows.eq(Mux(issue & ~full, row, 0)),
            self.write_half.eq(half),
            self.write_address.eq(word),
            self.write_zero.eq(~inside),
        ]
        loaded = named(m, "loaded", issue & tile_end, 1)
        m.d.sync += [
            held.eq(_counted(m, "held", held, loaded, self.consumed)),
            ready.eq(_counted(m, "ready", ready, finishing & self.run, self.consumed)),
        ]
        with m.If(self.run):
            m.d.sync += finishing.eq(loaded)
        with m.If(self.begins):
            m.d.sync += [held.eq(0), ready.eq(0), finishing.eq(0)]


def _counted(m: Module, name: str, count: Signal, more: Signal, less: Signal) -> Signal:
    """``count`` after one ``more`` and one ``less``."""
    return named(m, f"{name}_next", count + more - less, len(count))
