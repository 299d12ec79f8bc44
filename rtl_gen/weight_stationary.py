"""The weight-stationary array: weights stay, activations and partial sums stream.

``NAME_pe`` holds ``lanes`` weight codes and one partial-sum register; ``NAME_col`` is ``rows`` of them.
Partial sums go down a column, a row a cycle; the activations of row r are therefore delayed by r
cycles (the skew). Where weights are odd, a column of activation sums, ``NAME_tally``, goes down
beside the columns of PEs, and one correction at the bottom serves all of them.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from pact_hw.spec import HardwareSpec, WeightEncoding

from .arithmetic import correction, lanes_of, product_sum, tree
from .structure import instances


def _tally_bits(spec: HardwareSpec) -> int:
    return (spec.rows * spec.lanes * spec.act.max).bit_length()


class ProcessingElement(wiring.Component):
    """``lanes`` weights, their sum of products, one partial-sum register.

    Members
    -------
    load : takes the weights of ``weight_in`` (the PE above).
    step : takes ``psum_in`` plus this cycle's sum of products.
    """

    def __init__(self, spec: HardwareSpec) -> None:
        self._spec = spec
        super().__init__(
            {
                "load": In(1),
                "step": In(1),
                "act": In(spec.lanes * spec.act.bits),
                "weight_in": In(spec.lanes * spec.weight.bits),
                "weight": Out(spec.lanes * spec.weight.bits),
                "psum_in": In(spec.acc_bits),
                "psum": Out(spec.acc_bits),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        spec = self._spec
        products = product_sum(self.act, self.weight, act_bits=spec.act.bits, weight=spec.weight)
        if spec.weight.encoding is WeightEncoding.ODD:
            products = products << 1
        with m.If(self.load):
            m.d.sync += self.weight.eq(self.weight_in)
        with m.If(self.step):
            m.d.sync += self.psum.eq((self.psum_in.as_signed() + products)[: spec.acc_bits])
        return m


class Tally(wiring.Component):
    """A row's share of the sum of activations, passed down like a partial sum."""

    def __init__(self, spec: HardwareSpec) -> None:
        self._spec = spec
        super().__init__(
            {
                "step": In(1),
                "act": In(spec.lanes * spec.act.bits),
                "tally_in": In(_tally_bits(spec)),
                "tally": Out(_tally_bits(spec)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        sum_of_acts = tree(lanes_of(self.act, self._spec.act.bits))
        with m.If(self.step):
            m.d.sync += self.tally.eq((self.tally_in + sum_of_acts)[: len(self.tally)])
        return m


class Delay(wiring.Component):
    """One row's operands, ``cycles`` steps later: a register, or two delays of half as many."""

    def __init__(self, spec: HardwareSpec, *, half: Delay | None) -> None:
        self._half = half
        self.cycles = 2 * half.cycles if half else 1
        self.module_name = f"{spec.name}_delay_{self.cycles}"
        bits = spec.lanes * spec.act.bits
        super().__init__({"step": In(1), "value": In(bits), "delayed": Out(bits)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        if self._half is None:
            register = Signal.like(self.value, reset_less=True)
            with m.If(self.step):
                m.d.sync += register.eq(self.value)
            m.d.comb += self.delayed.eq(register)
            return m
        between = Signal.like(self.value)
        instances(
            m,
            of=self._half,
            module_name=self._half.module_name,
            label="delay",
            count=2,
            step=self.step,
            value=Cat(self.value, between),
            delayed=Cat(between, self.delayed),
        )
        return m


def delays(spec: HardwareSpec) -> list[Delay]:
    """Delays of 1, 2, 4 ... cycles, as many as ``rows`` rows need."""
    built: list[Delay] = []
    while 1 << len(built) < spec.rows:
        built.append(Delay(spec, half=built[-1] if built else None))
    return built


class Column(wiring.Component):
    """``rows`` PEs, one below the other.

    Members
    -------
    load : every PE takes the weights of the one above; the top one takes ``weight``.
    act : every row's operands (skewed), row 0 in the least significant bits.
    psum_in, psum : enters at the top, leaves at the bottom.
    """

    def __init__(self, spec: HardwareSpec, pe: ProcessingElement) -> None:
        self._spec = spec
        self._pe = pe
        super().__init__(
            {
                "load": In(1),
                "step": In(1),
                "act": In(spec.rows * spec.lanes * spec.act.bits),
                "weight": In(spec.lanes * spec.weight.bits),
                "psum_in": In(spec.acc_bits),
                "psum": Out(spec.acc_bits),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        spec = self._spec
        weights = Signal(spec.rows * len(self.weight))
        psums = Signal(spec.rows * spec.acc_bits)
        instances(
            m,
            of=self._pe,
            module_name=f"{spec.name}_pe",
            label="pe",
            count=spec.rows,
            load=self.load,
            step=self.step,
            act=self.act,
            weight_in=Cat(self.weight, weights[: -len(self.weight)]),
            weight=weights,
            psum_in=Cat(self.psum_in, psums[: -spec.acc_bits]),
            psum=psums,
        )
        m.d.comb += self.psum.eq(psums[-spec.acc_bits :])
        return m


class Array(wiring.Component):
    """The skew, ``cols`` columns, the correction, and the control of load and stream.

    Throughput: one beat a cycle; a result leaves ``HardwareSpec.array_latency_cycles`` after its
    operands came. Weights are let in when no result is under way.

    Members
    -------
    in_valid, in_ready : operand stream. Beats are used in order.
    in_load : 1: this beat is weights, for the top row, and every row's go one row down, so that
        ``rows`` beats, the bottom row's first, fill the array. 0: this beat is activations.
    in_weight : cols x lanes codes, used when ``in_load`` is 1.
    in_act : rows x lanes levels; in_psum : cols signed partial sums (0 for the first), used when
        ``in_load`` is 0. Row, column and lane 0 are in the least significant bits.
    out_valid, out_ready : result stream, held until taken: ``in_psum`` plus the sums of products.
    out_acc : cols signed sums of ``acc_bits`` bits.
    """

    def __init__(self, spec: HardwareSpec, column: Column, tally: Tally | None, delays: list[Delay]) -> None:
        self._spec = spec
        self._delays = delays
        self._column = column
        self._tally = tally
        super().__init__(
            {
                "in_valid": In(1),
                "in_ready": Out(1),
                "in_load": In(1),
                "in_act": In(spec.rows * spec.lanes * spec.act.bits),
                "in_weight": In(spec.cols * spec.lanes * spec.weight.bits),
                "in_psum": In(spec.cols * spec.acc_bits),
                "out_valid": Out(1),
                "out_ready": In(1),
                "out_acc": Out(spec.cols * spec.acc_bits),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        spec = self._spec
        # One bit for the operand register and one for each row: where results are under way.
        busy = Signal(spec.rows + 1)
        step = Signal()
        take = Signal()
        load = Signal()
        m.d.comb += [
            self.out_valid.eq(busy[-1]),
            step.eq(~self.out_valid | self.out_ready),
            self.in_ready.eq(Mux(self.in_load, ~busy.any(), step)),
            take.eq(self.in_valid & self.in_ready & ~self.in_load),
            load.eq(self.in_valid & self.in_ready & self.in_load),
        ]
        act = self._skewed(m, step=step)
        psum_in = Signal.like(self.in_psum, reset_less=True)
        with m.If(step):
            m.d.sync += [busy.eq(Cat(take, busy[:-1])), psum_in.eq(self.in_psum)]
        psum = Signal.like(self.in_psum)
        instances(
            m,
            of=self._column,
            module_name=f"{spec.name}_col",
            label="col",
            count=spec.cols,
            load=load,
            step=step,
            act=act,
            weight=self.in_weight,
            psum_in=psum_in,
            psum=psum,
        )
        excess = self._excess(m, step=step, act=act)
        for column in range(spec.cols):
            slot = slice(column * spec.acc_bits, (column + 1) * spec.acc_bits)
            m.d.comb += self.out_acc[slot].eq((psum[slot].as_signed() - excess)[: spec.acc_bits])
        return m

    def _excess(self, m: Module, *, step: Signal, act: Value) -> Value:
        """What the sums at the bottom are too large by: the same for every column."""
        if self._tally is None:
            return Const(0, 1)
        bits = _tally_bits(self._spec)
        tallies = Signal(self._spec.rows * bits)
        instances(
            m,
            of=self._tally,
            module_name=f"{self._spec.name}_tally",
            label="tally",
            count=self._spec.rows,
            step=step,
            act=act,
            tally_in=Cat(Const(0, bits), tallies[:-bits]),
            tally=tallies,
        )
        return correction(tallies[-bits:], self._spec.weight)

    def _skewed(self, m: Module, *, step: Signal) -> Value:
        """Every row's activations, row r delayed by 1 + r cycles."""
        operands = Signal.like(self.in_act, reset_less=True)
        with m.If(step):
            m.d.sync += operands.eq(self.in_act)
        rows = []
        for row, value in enumerate(lanes_of(operands, self._spec.lanes * self._spec.act.bits)):
            for delay in self._delays:
                if row & delay.cycles:
                    delayed = Signal(len(value), name=f"act_{row}_{delay.cycles}")
                    label = f"skew_{row}_{delay.cycles}"
                    instances(
                        m,
                        of=delay,
                        module_name=delay.module_name,
                        label=label,
                        count=1,
                        step=step,
                        value=value,
                        delayed=delayed,
                    )
                    value = delayed
            rows.append(value)
        return Cat(rows)
