"""The output-stationary array: each PE accumulates one output.

A tile is a run of operand beats that ends with ``in_last``; then the accumulators shift out along
the rows, column 0 first, while zeros shift in from the far end: after ``cols`` results every
accumulator is zero, ready for the next tile. The same shift clears them after a reset, so neither a
PE's clear, nor its enable, nor its reset costs a gate.
"""

from __future__ import annotations

from amaranth.hdl import Const, Module, Mux, Shape, Signal
from amaranth.utils import ceil_log2

from pact_hw.design import Port
from pact_hw.spec import HardwareSpec, WeightEncoding

from .arithmetic import act_sum, corrected, elements, excess, named, product_sum
from .block import Block, input_port, output_port
from .widths import acc_shape, act_sum_shape


class ProcessingElement(Block):
    """Multipliers, one reduction, one accumulator; idle while the activations are zero.

    The next accumulator is ``acc_in`` in a shift, else ``acc`` plus the sum of products.
    """

    def __init__(self, spec: HardwareSpec) -> None:
        self._spec = spec
        width = acc_shape(spec).width
        super().__init__(
            f"{spec.name}_pe",
            [
                input_port("shift", 1, "take the right neighbour's accumulator"),
                input_port("act", spec.lanes * spec.act.bits, "lanes activations, zero when idle"),
                input_port("weight", spec.lanes * spec.weight.bits, "lanes weight codes"),
                input_port("acc_in", width, "the right neighbour's accumulator"),
                output_port("acc", width, "sum over activations times codes"),
            ],
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shape = acc_shape(self._spec)
        acc = self.acc.as_signed() if shape.signed else self.acc
        total = product_sum(m, self._spec, self.act, self.weight)
        acc_plus_sum = named(m, "acc_plus_sum", acc + total, shape)
        acc_next = named(m, "acc_next", Mux(self.shift, self.acc_in, acc_plus_sum), shape)
        m.d.sync += self.acc.eq(acc_next)
        return m


class Row(Block):
    """A row of PEs that share activations; for odd weights, the correction, made once per row."""

    def __init__(self, spec: HardwareSpec, pe: ProcessingElement) -> None:
        self._spec = spec
        self._pe = pe
        super().__init__(
            f"{spec.name}_row",
            [
                input_port("accept", 1, "a beat is accepted: register its activations, else zero"),
                input_port("shift", 1, "accumulators move one column to the left"),
                input_port("clear", 1, "forget the sum of activations; with the last shift"),
                input_port("act", spec.lanes * spec.act.bits, "lanes activations"),
                input_port("weight", spec.cols * spec.lanes * spec.weight.bits, "cols x lanes codes, registered"),
                output_port("sum", spec.acc_bits, "column 0: exact sum, two's complement"),
            ],
            [pe],
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        spec = self._spec
        act = Signal(len(self.act), name="act_q")
        m.d.sync += act.eq(Mux(self.accept, self.act, 0))
        width = acc_shape(spec).width
        accs = [Signal(width, name=f"acc_{column}") for column in range(spec.cols)]
        for column, weight in enumerate(elements(self.weight, spec.cols)):
            right = accs[column + 1] if column + 1 < spec.cols else Const(0, width)
            self._pe.place(
                m, f"pe_{column}", shift=self.shift, act=act, weight=weight, acc_in=right, acc=accs[column]
            )
        too_large_by = None
        first = accs[0]
        if spec.weight.encoding is WeightEncoding.ODD:
            shape = act_sum_shape(spec, spec.max_reduction)
            activations = Signal(shape, name="act_total")
            following = named(m, "act_total_next", activations + act_sum(m, spec, act), shape)
            m.d.sync += activations.eq(Mux(self.clear, 0, following))
            too_large_by = excess(m, spec, activations)
        else:
            first = first.as_signed()
        m.d.comb += self.sum.eq(corrected(m, spec, "exact_sum", first, too_large_by))
        return m


class OutputStationaryArray(Block):
    """Output-stationary array: operand registers, rows of PEs, control of fill and drain.

    One operand beat a cycle; a tile takes ``MatrixSchedule.tile_cycles``. After a reset the array
    shifts zeros in for ``cols`` cycles before it is ready.
    """

    resets = True

    def __init__(self, spec: HardwareSpec, *, module_name: str | None = None) -> None:
        self._spec = spec
        self._row = Row(spec, ProcessingElement(spec))
        super().__init__(
            module_name or spec.name,
            [
                *operand_ports(spec),
                output_port("out_valid", 1, "results are offered, and held until taken"),
                input_port("out_ready", 1, "results are taken"),
                output_port(
                    "out_data",
                    spec.rows * spec.acc_bits,
                    f"rows sums, {spec.acc_bits} bits each, two's complement; beat j is column j",
                ),
                output_port("out_last", 1, "last column of the tile"),
            ],
            [self._row],
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        spec = self._spec
        filling = self.in_ready
        flushing = Signal()  # the operand registers hold a tile's last beat
        draining = self.out_valid
        clearing = Signal(init=1)  # zeros shift in, after a reset

        accept = Signal()
        accept_last = Signal()
        shift = Signal()
        last_shift = Signal()
        last_column = self._last_column(m, shift)
        m.d.comb += [
            accept.eq(self.in_valid & filling),
            accept_last.eq(accept & self.in_last),
            shift.eq(clearing | (draining & self.out_ready)),
            last_shift.eq(shift & last_column),
            self.out_last.eq(last_column),
        ]
        m.d.sync += [
            filling.eq(last_shift | (filling & ~accept_last)),
            flushing.eq(accept_last),
            draining.eq(flushing | (draining & ~last_shift)),
            clearing.eq(clearing & ~last_shift),
        ]
        # Zeros, not old or unknown values, while there is no beat: cheaper than an enable.
        weight = Signal(len(self.in_weight), name="weight_q", reset_less=True)
        m.d.sync += weight.eq(Mux(accept, self.in_weight, 0))
        rows = zip(elements(self.in_act, spec.rows), elements(self.out_data, spec.rows), strict=True)
        for index, (act, out) in enumerate(rows):
            self._row.place(
                m,
                f"row_{index}",
                accept=accept,
                shift=shift,
                clear=last_shift,
                act=act,
                weight=weight,
                sum=out,
            )
        return m

    def _last_column(self, m: Module, shift: Signal) -> Signal:
        """Whether column ``cols - 1`` is at the output; counts shifts."""
        cols = self._spec.cols
        last_column = Signal()
        if cols == 1:
            m.d.comb += last_column.eq(1)
            return last_column
        column = Signal(ceil_log2(cols))
        following = named(m, "next_column", column + 1, Shape(len(column)))
        m.d.comb += last_column.eq(column == cols - 1)
        with m.If(shift):
            m.d.sync += column.eq(Mux(last_column, 0, following))
        return last_column


def operand_ports(spec: HardwareSpec) -> list[Port]:
    """The operand stream."""
    return [
        input_port("in_valid", 1, "operands are offered"),
        output_port("in_ready", 1, "operands are taken"),
        input_port(
            "in_act", spec.rows * spec.lanes * spec.act.bits, f"rows x lanes levels, {spec.act.bits} bits each"
        ),
        input_port(
            "in_weight",
            spec.cols * spec.lanes * spec.weight.bits,
            f"cols x lanes codes, {spec.weight.bits} bits each, {spec.weight.encoding.value}",
        ),
        input_port("in_last", 1, "last beat of the tile"),
    ]
