"""The output-stationary array: each PE accumulates one output.

``NAME_pe`` holds an accumulator; ``NAME_row`` is ``cols`` of them with the row's correction;
the top has the operand registers and the control. A tile is a run of operand beats that ends with
``in_last``; then the accumulators shift out along the rows, column 0 first, while zeros shift in
from the far end: after ``cols`` results every accumulator is clear for the next tile.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from pact_hw.spec import HardwareSpec, WeightEncoding

from .arithmetic import correction, lanes_of, product_sum, tree
from .structure import instances


def _odd(spec: HardwareSpec) -> bool:
    return spec.weight.encoding is WeightEncoding.ODD


def _pe_acc_bits(spec: HardwareSpec) -> int:
    """Bits of a PE's accumulator: a sum of unsigned products needs no sign."""
    return spec.acc_bits - 1 if _odd(spec) else spec.acc_bits


class ProcessingElement(wiring.Component):
    """``lanes`` multipliers, one reduction, one accumulator.

    Members
    -------
    step : adds this cycle's sum of products to the accumulator.
    drain : loads the accumulator from ``acc_in`` instead. Never together with ``step``.
    act, weight : operands, lane 0 in the least significant bits.
    """

    def __init__(self, spec: HardwareSpec) -> None:
        self._spec = spec
        acc_bits = _pe_acc_bits(spec)
        super().__init__(
            {
                "step": In(1),
                "drain": In(1),
                "act": In(spec.lanes * spec.act.bits),
                "weight": In(spec.lanes * spec.weight.bits),
                "acc_in": In(acc_bits),
                "acc": Out(acc_bits),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        spec = self._spec
        products = product_sum(self.act, self.weight, act_bits=spec.act.bits, weight=spec.weight)
        acc = self.acc if _odd(spec) else self.acc.as_signed()
        with m.If(self.drain):
            m.d.sync += self.acc.eq(self.acc_in)
        with m.Elif(self.step):
            m.d.sync += self.acc.eq((acc + products)[: len(self.acc)])
        return m


class Row(wiring.Component):
    """``cols`` PEs that share activations, and the correction of odd weights, once per row.

    Members
    -------
    step, drain : as of the PE.
    clear : forgets the row's sum of activations, with the last result of a tile.
    act : the row's operands; weight : every column's, column 0 in the least significant bits.
    out : signed; the exact sum of column 0's accumulator.
    """

    def __init__(self, spec: HardwareSpec, pe: ProcessingElement) -> None:
        self._spec = spec
        self._pe = pe
        super().__init__(
            {
                "step": In(1),
                "drain": In(1),
                "clear": In(1),
                "act": In(spec.lanes * spec.act.bits),
                "weight": In(spec.cols * spec.lanes * spec.weight.bits),
                "out": Out(spec.acc_bits),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        spec = self._spec
        width = _pe_acc_bits(spec)
        accs = Signal(spec.cols * width)
        instances(
            m,
            of=self._pe,
            module_name=f"{spec.name}_pe",
            label="pe",
            count=spec.cols,
            step=self.step,
            drain=self.drain,
            act=self.act,
            weight=self.weight,
            acc_in=Cat(accs[width:], Const(0, width)),
            acc=accs,
        )
        first = accs[:width]
        if not _odd(spec):
            m.d.comb += self.out.eq(first)
            return m
        act_sum = Signal(unsigned((spec.max_reduction * spec.act.max).bit_length()))
        with m.If(self.clear):
            m.d.sync += act_sum.eq(0)
        with m.Elif(self.step):
            m.d.sync += act_sum.eq((act_sum + tree(lanes_of(self.act, spec.act.bits)))[: len(act_sum)])
        m.d.comb += self.out.eq(((first << 1) - correction(act_sum, spec.weight))[: spec.acc_bits])
        return m


class Array(wiring.Component):
    """Operand registers, ``rows`` rows, and the control of fill and drain.

    Throughput: one operand beat a cycle; a tile of T beats takes T + 1 + cols cycles
    (``MatrixSchedule.tile_cycles``). Latency: ``HardwareSpec.array_latency_cycles``.

    Members
    -------
    in_valid, in_ready : operand stream; a beat passes in a cycle in which both are 1.
    in_last : this beat ends the tile.
    in_act : rows x lanes levels; in_weight : cols x lanes codes; row, column and lane 0 in the
        least significant bits.
    out_valid, out_ready : result stream, ``cols`` beats a tile, column 0 first, held until taken.
    out_acc : rows signed sums of ``acc_bits`` bits.
    """

    def __init__(self, spec: HardwareSpec, row: Row) -> None:
        self._spec = spec
        self._row = row
        super().__init__(
            {
                "in_valid": In(1),
                "in_ready": Out(1),
                "in_last": In(1),
                "in_act": In(spec.rows * spec.lanes * spec.act.bits),
                "in_weight": In(spec.cols * spec.lanes * spec.weight.bits),
                "out_valid": Out(1),
                "out_ready": In(1),
                "out_acc": Out(spec.rows * spec.acc_bits),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        spec = self._spec
        act = Signal.like(self.in_act, reset_less=True)
        weight = Signal.like(self.in_weight, reset_less=True)
        step = Signal()
        drain = Signal()
        flushing = Signal()  # the operand register holds a tile's last beat
        column = Signal(max(1, (spec.cols - 1).bit_length()))
        last_column = Signal()
        m.d.comb += [
            self.in_ready.eq(~flushing & ~self.out_valid),
            drain.eq(self.out_valid & self.out_ready),
            last_column.eq(column == spec.cols - 1),
        ]
        m.d.sync += [
            step.eq(self.in_valid & self.in_ready),
            flushing.eq(self.in_valid & self.in_ready & self.in_last),
        ]
        with m.If(self.in_valid & self.in_ready):
            m.d.sync += [act.eq(self.in_act), weight.eq(self.in_weight)]
        with m.If(flushing):
            m.d.sync += self.out_valid.eq(1)
        with m.If(drain):
            m.d.sync += column.eq(Mux(last_column, 0, column + 1))
            with m.If(last_column):
                m.d.sync += self.out_valid.eq(0)
        instances(
            m,
            of=self._row,
            module_name=f"{spec.name}_row",
            label="row",
            count=spec.rows,
            step=step,
            drain=drain,
            clear=drain & last_column,
            act=act,
            weight=weight,
            out=self.out_acc,
        )
        return m
