"""What becomes of the sums that leave the array: put right, joined over passes; and sums of windows."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.utils import ceil_log2

from pact_hw.spec import CoreSpec, WeightEncoding
from pact_hw.spec.core import Depthwise
from pact_hw.spec.core_widths import mode_bits

from ..arithmetic import excess, named
from ..block import Block, input_port, output_port
from ..composition import excess_in_mode, joining
from ..widths import acc_shape, act_sum_shape
from .drain import Drain
from .memory import Memory
from .operand import level_bits


def shifts(core: CoreSpec) -> list[int]:
    """Places by which the sums of a pass can be shifted."""
    array = core.array
    acts = [a * array.act.bits for a in range(core.act_planes)]
    weights = [w * array.weight.bits for w in range(core.weight_slices)]
    return sorted({a + w for a in acts for w in weights})


def excess_bits(core: CoreSpec) -> int:
    """Bits of what a sum over codes is too large by."""
    total: int = act_sum_shape(core.array, core.array.max_reduction).width
    return total + core.array.weight.bits


def doubled_or_not(core: CoreSpec) -> bool:
    """Whether sums over codes are doubled in some operations (odd weights), and not in others."""
    return core.depthwise is Depthwise.DIAGONAL and core.array.weight.encoding is WeightEncoding.ODD


class Column(Block):
    """One column's sum: of what has left the array so far, or of the window so far."""

    def __init__(self, core: CoreSpec) -> None:
        self._core = core
        super().__init__(
            f"{core.name}_sum",
            [
                input_port("load", 1, "register the sum"),
                input_port("windows", 1, "of windows"),
                input_port("maximum", 1, "the greatest level of the window"),
                input_port("first", 1, "nothing is to be joined with this"),
                input_port("shift", Drain.shift_bits(core), "places that the pass counts for"),
                *(
                    [input_port("diagonal", 1, "the sum is one over magnitudes")]
                    if doubled_or_not(core)
                    else []
                ),
                input_port("acc", acc_shape(core.array).width, "sum over codes"),
                input_port("excess", excess_bits(core), "what it is too large by"),
                input_port("level", level_bits(core), "of the window"),
                input_port("earlier", core.sum_bits, "of the passes before"),
                output_port("joined", core.sum_bits, "with the passes before; two's complement"),
                output_port("sum", core.sum_bits, "registered"),
            ],
        )

    def _build(self, m: Module) -> None:
        core, bits = self._core, self._core.sum_bits
        acc: Value = self.acc
        if core.array.weight.encoding is WeightEncoding.ODD:
            acc = Cat(Const(0, 1), acc)
            if doubled_or_not(core):
                acc = Mux(self.diagonal, self.acc, acc)
        exact = named(m, "exact", acc - self.excess, signed(max(len(acc), len(self.excess)) + 1))
        wide = Signal(signed(bits + len(exact)))
        m.d.comb += wide.eq(exact)
        shifted: Value = wide[:bits]
        for places in shifts(core)[1:]:
            shifted = Mux(self.shift == places, Cat(Const(0, places), wide)[:bits], shifted)
        before = named(m, "joined_before", Mux(self.windows, self.sum, self.earlier), bits)
        base = named(m, "base", Mux(self.first, 0, before), bits)
        addend = named(m, "addend", Mux(self.windows, self.level, shifted), bits)
        total = named(m, "total", base + addend, bits)
        so_far = base[: len(self.level)]
        greater = named(m, "greater", Mux(so_far > self.level, so_far, self.level), len(self.level))
        m.d.comb += self.joined.eq(Mux(self.maximum, greater, total))
        with m.If(self.load):
            m.d.sync += self.sum.eq(self.joined)


class Sums(Block):
    """Cols sums at a time. Between passes those of all rows wait in a memory, if passes can be several."""

    def __init__(self, core: CoreSpec) -> None:
        self._core = core
        self._column = Column(core)
        cols = core.array.cols
        self._sliced = len(shifts(core)) > 1
        self._memory = Memory(f"{core.name}_memory_sums", depth=core.array.rows, width=cols * core.sum_bits)
        row_bits = ceil_log2(core.array.rows)
        super().__init__(
            f"{core.name}_sums",
            [
                input_port("turn", 1, "a row's turn"),
                input_port("turn_row", row_bits, "the row"),
                input_port("take", 1, "its operand has arrived: it leaves"),
                input_port("windows", 1, "windows, not rows"),
                input_port("maximum", 1, ""),
                input_port("row", row_bits, "context of take"),
                input_port("first", 1, ""),
                input_port("whole", 1, ""),
                input_port("shift", Drain.shift_bits(core), ""),
                *([input_port("diagonal", 1, "")] if doubled_or_not(core) else []),
                input_port("accs", cols * acc_shape(core.array).width, "row 0: sums over codes"),
                input_port("act_total", act_sum_shape(core.array, core.array.max_reduction).width, ""),
                input_port("levels", cols * level_bits(core), "operands, with take"),
                *([input_port("mode", mode_bits(core), "of the operation")] if core.array.modes else []),
                output_port("step", 1, "the array's sums move up"),
                output_port("sums", cols * core.sum_bits, "registered, two's complement"),
                output_port("done", 1, "these are whole from the next cycle on"),
            ],
            [self._column, *([self._memory] if self._sliced else [])],
        )

    def _build(self, m: Module) -> None:
        core = self._core
        m.d.comb += [
            self.step.eq(self.take & ~self.windows),
            self.done.eq(self.take & self.whole),
        ]
        before = Signal(core.array.cols * core.sum_bits)
        joined = Signal(len(before))
        too_large = Signal(excess_bits(core), name="too_large")
        if core.array.modes:
            joined_levels = joining(m, core.array, self.mode)
            m.d.comb += too_large.eq(excess_in_mode(m, core.array, self.act_total, joined_levels))
        else:
            m.d.comb += too_large.eq(excess(m, core.array, self.act_total))
        load = named(m, "load", self.take & (self.whole | self.windows), 1)
        self._column.place_each(
            m,
            "column",
            core.array.cols,
            load=load,
            windows=self.windows,
            maximum=self.maximum,
            first=self.first,
            shift=self.shift,
            **({"diagonal": self.diagonal} if doubled_or_not(core) else {}),
            acc=self.accs,
            excess=too_large,
            level=self.levels,
            earlier=before,
            joined=joined,
            sum=self.sums,
        )
        if self._sliced:
            self._memory.place(
                m,
                "memory",
                write_enable=named(m, "keep", self.step & ~self.whole, 1),
                write_address=self.row,
                write_data=joined,
                read_enable=named(m, "recall", self.turn & ~self.windows, 1),
                read_address=self.turn_row,
                read_data=before,
            )
