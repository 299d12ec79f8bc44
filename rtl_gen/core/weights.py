"""The weight buffer: a ring that the bus fills and matrix operations read."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal

from pact_hw.spec import CoreSpec

from ..arithmetic import named
from ..block import Block, input_port, output_port
from .memory import Memory
from .transfers import arriving, beat_parts, part_bits


class WeightRing(Block):
    """Words in the order in which passes need them.

    An n-tile's words are read again for each of its pixels and slices of activations, and stay until
    its end; where they ``stay``, all of an operation's are read again for each tile, and leave at its end.
    Pointers have one bit more than addresses, which tells a full ring from an empty one.
    """

    resets = True

    def __init__(self, core: CoreSpec) -> None:
        self._core = core
        self._parts = beat_parts(core.bus_bits, [(0, core.weight_word_bits)])
        self._memory = Memory(
            f"{core.name}_memory_weights",
            depth=core.weight_words,
            width=core.weight_word_bits,
            parts=[part.bits for part in self._parts],
        )
        super().__init__(
            f"{core.name}_weights",
            [
                input_port("stay", 1, "of the operation: its weights stay until its end"),
                input_port("write_valid", 1, "a beat of a word from the bus"),
                output_port("write_ready", 1, "there is room for it"),
                input_port("write_part", part_bits(core), "which one"),
                input_port("write_last", 1, "the word's last one"),
                input_port("write_data", core.bus_bits, ""),
                input_port("wanted", 1, "a beat needs a word"),
                input_port("issue", 1, "and takes it"),
                input_port("again", 1, "next is the n-tile's first word"),
                input_port("n_end", 1, "next is the next n-tile"),
                input_port("tile_end", 1, "and the next tile's first"),
                input_port("last", 1, "or the operation has ended"),
                output_port("missing", 1, "the wanted word is not there"),
                output_port("never", 1, "and cannot come, as the ring is full"),
                output_port("data", core.weight_word_bits, "a cycle after issue"),
            ],
            [self._memory],
        )

    def _build(self, m: Module) -> None:
        bits = self._memory.address_bits
        write = Signal(bits + 1)
        read = Signal(bits + 1)
        n_first = Signal(bits + 1)  # of the n-tile
        oldest = Signal(bits + 1)  # still needed

        def after(name: str, pointer: Signal) -> Signal:
            plus_1 = named(m, f"{name}_plus_1", pointer + 1, bits + 1)
            if self._core.weight_words == 1 << bits:
                return plus_1
            at_end = named(m, f"{name}_at_end", pointer[:bits] == self._core.weight_words - 1, 1)
            return Mux(at_end, Cat(Signal(bits, name=f"{name}_begin"), ~pointer[-1]), plus_1)

        full = named(m, "full", (write[:bits] == oldest[:bits]) & (write[-1] != oldest[-1]), 1)
        taken = named(m, "taken", self.write_valid & ~full, 1)
        following = named(m, "following", after("read", read), bits + 1)
        m.d.comb += [
            self.write_ready.eq(~full),
            self.missing.eq(self.wanted & (read == write)),
            self.never.eq(self.missing & full),
        ]
        write_next = after("write", write)
        with m.If(taken & self.write_last):
            m.d.sync += write.eq(write_next)
        which, data = arriving(self._parts, self.write_data, self.write_part)
        again = named(m, "again", self.tile_end & self.stay & ~self.last, 1)
        with m.If(self.issue):
            m.d.sync += read.eq(Mux(self.again, n_first, Mux(again, oldest, following)))
        with m.If(self.n_end):
            m.d.sync += n_first.eq(Mux(again, oldest, following))
        with m.If(self.n_end & (self.last | ~self.stay)):
            m.d.sync += oldest.eq(following)
        self._memory.place(
            m,
            "memory",
            write_enable=Mux(taken, which, 0),
            write_address=write[:bits],
            write_data=data,
            read_enable=self.issue,
            read_address=read[:bits],
            read_data=self.data,
        )
