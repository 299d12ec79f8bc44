"""The weight-stationary array: weights stay, activations and partial sums stream.

Partial sums go down the columns, a row a cycle; the activations of row r are therefore delayed by r
cycles (the skew). The sum of activations goes down beside the columns in the same way, and puts
right at the bottom what the codes stand for, once for all columns. With ``pipeline`` activations pass a
register every so many columns on their way along the rows; what the first columns give waits for the last.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.utils import ceil_log2

from pact_hw.spec import HardwareSpec

from . import partial_products
from .arithmetic import act_sum, assign, corrected, elements, excess, named, offset_codes, product_sum
from .block import Block, input_port, output_port
from .delay import Skew, groups
from .structure import is_placed, multiply_add
from .widths import acc_shape, act_sum_shape, code_sum_shape, terms_in_array


class ProcessingElement(Block):
    """Weights, their multipliers, one reduction, one register for the partial sum."""

    def __init__(self, spec: HardwareSpec) -> None:
        self._spec = spec
        width = acc_shape(spec).width
        super().__init__(
            f"{spec.name}_pe",
            [
                input_port("load", 1, "take the weights of the PE above"),
                input_port("advance", 1, "take the partial sum of the PE above, plus the products"),
                input_port("act", spec.lanes * spec.act.bits, "lanes activations"),
                input_port("weight_in", spec.lanes * spec.weight.bits, "lanes weight codes from above"),
                output_port("weight", spec.lanes * spec.weight.bits, "lanes weight codes"),
                input_port("psum_in", width, "partial sum from above"),
                output_port("psum", width, "partial sum over activations times codes"),
            ],
        )

    def _build(self, m: Module) -> None:
        spec = self._spec
        terms = partial_products.terms(spec, self.act, self.weight)
        total = product_sum(m, terms, lambda count: code_sum_shape(spec, count))
        psum_next = named(m, "psum_next", self.psum_in + total, acc_shape(spec))
        with m.If(self.load):
            m.d.sync += self.weight.eq(self.weight_in)
        with m.If(self.advance):
            m.d.sync += self.psum.eq(psum_next)

    def structure(self) -> list[str] | None:
        """As ``Block.structure``: adders placed one by one."""
        if not is_placed(self._spec):
            return None
        lines, total = multiply_add(self._spec, addend="psum_in", width=len(self.psum))
        return [
            *lines,
            "always @(posedge clk) if (load) weight <= weight_in;",
            f"always @(posedge clk) if (advance) psum <= {total};",
        ]


class Column(Block):
    """PEs below each other: weights and partial sums enter at the top, sums leave at the bottom."""

    def __init__(self, spec: HardwareSpec) -> None:
        self._spec = spec
        self._pe = ProcessingElement(spec)
        super().__init__(
            f"{spec.name}_column",
            [
                input_port("load", 1, "weights move one row down"),
                input_port("advance", 1, "partial sums move one row down"),
                input_port("act", spec.rows * spec.lanes * spec.act.bits, "rows x lanes activations, skewed"),
                input_port("weight", spec.lanes * spec.weight.bits, "lanes weight codes for the top row"),
                output_port("psum", acc_shape(spec).width, "sum over activations times codes"),
            ],
            [self._pe],
        )

    def _build(self, m: Module) -> None:
        above_last = self._spec.rows - 1
        act_bits = len(self.act) // self._spec.rows
        weight = Signal(above_last * len(self.weight), name="weights")
        psum = Signal(above_last * len(self.psum), name="psums")
        weight_in = Cat(self.weight, weight)
        psum_in = Cat(Const(0, len(self.psum)), psum)
        if above_last:
            self._pe.place_each(
                m,
                "pe",
                above_last,
                load=self.load,
                advance=self.advance,
                act=self.act[:-act_bits],
                weight_in=weight_in[: len(weight)],
                weight=weight,
                psum_in=psum_in[: len(psum)],
                psum=psum,
            )
        unused_weight = Signal.like(self.weight)
        # Amaranth names only what is mentioned in a statement.
        m.d.comb += Signal.like(self.weight, name="unused_weights").eq(unused_weight)
        self._pe.place(
            m,
            f"pe_{above_last}",
            load=self.load,
            advance=self.advance,
            act=self.act[-act_bits:],
            weight_in=weight_in[len(weight) :],
            weight=unused_weight,
            psum_in=psum_in[len(psum) :],
            psum=self.psum,
        )


class Tally(Block):
    """A row's activations, added to the sum of activations that comes down from above."""

    def __init__(self, spec: HardwareSpec) -> None:
        self._spec = spec
        self._shape = act_sum_shape(spec, terms_in_array(spec))
        super().__init__(
            f"{spec.name}_tally",
            [
                input_port("advance", 1, "sums move one row down"),
                input_port("act", spec.lanes * spec.act.bits, "lanes activations"),
                input_port("tally_in", self._shape.width, "sum of activations from above"),
                output_port("tally", self._shape.width, "sum of activations"),
            ],
        )

    def _build(self, m: Module) -> None:
        tally_next = named(m, "tally_next", self.tally_in + act_sum(m, self._spec, self.act), self._shape)
        with m.If(self.advance):
            m.d.sync += self.tally.eq(tally_next)


class WeightStationaryArray(Block):
    """Weight-stationary array: the skew, columns of PEs, the correction, control of load and stream.

    A tile is ``rows`` beats of weights, the bottom row's first, then operand beats until
    ``in_last``, one result each; the next weights are let in when the last result has been taken.
    Timing: ``MatrixSchedule.tile_cycles``.
    """

    resets = True

    def __init__(self, spec: HardwareSpec) -> None:
        self._spec = spec
        self._column = Column(spec)
        self._tally = Tally(spec)
        self._skew = Skew(spec, spec.name, count=spec.rows, width=spec.lanes * spec.act.bits, stalls=True)
        code = f"{spec.weight.bits} bits each, {spec.weight.encoding.value}"
        super().__init__(
            spec.name,
            [
                input_port("weight_valid", 1, "a row of weights is offered"),
                output_port("weight_ready", 1, "the weights are taken"),
                input_port(
                    "weight_data", spec.cols * spec.lanes * spec.weight.bits, f"cols x lanes codes, {code}"
                ),
                input_port("in_valid", 1, "operands are offered"),
                output_port("in_ready", 1, "operands are taken"),
                input_port(
                    "in_act",
                    spec.rows * spec.lanes * spec.act.bits,
                    f"rows x lanes levels, {spec.act.bits} bits each",
                ),
                input_port("in_last", 1, "last beat of the tile"),
                output_port("out_valid", 1, "results are offered, and held until taken"),
                input_port("out_ready", 1, "results are taken"),
                output_port(
                    "out_data",
                    spec.cols * spec.acc_bits,
                    f"cols sums, {spec.acc_bits} bits each, two's complement; beat j is operand beat j",
                ),
                output_port("out_last", 1, "last beat of the tile"),
            ],
            [self._column, self._tally, self._skew],
            set_by_reset="weight_ready",
        )

    def _build(self, m: Module) -> None:
        spec = self._spec
        loading = self.weight_ready
        streaming = Signal()
        stages = spec.array_latency_cycles
        busy = Signal(stages)  # the operand register and each row: is an operand beat's sum there?
        last = Signal(stages, reset_less=True)

        advance = Signal()
        load = Signal()
        accept = Signal()
        loaded = self._loaded(m, load)
        done = Signal()
        m.d.comb += [
            self.in_ready.eq(streaming & advance),
            self.out_valid.eq(busy[-1]),
            self.out_last.eq(last[-1]),
            advance.eq(~self.out_valid | self.out_ready),
            load.eq(self.weight_valid & loading),
            accept.eq(self.in_valid & streaming),
            done.eq(self.out_valid & self.out_ready & self.out_last),
        ]
        m.d.sync += [
            loading.eq(done | (loading & ~loaded)),
            streaming.eq(loaded | (streaming & ~(accept & advance & self.in_last))),
        ]
        with m.If(advance):
            m.d.sync += [busy.eq(Cat(accept, busy[:-1])), last.eq(Cat(self.in_last, last[:-1]))]

        act = Signal.like(self.in_act, name="act_skewed")
        self._skew.place(m, "skew", advance=advance, value=self.in_act, skewed=act)
        psum = Signal(spec.cols * acc_shape(spec).width)
        self._place_columns(m, load=load, advance=advance, act=act, psum=psum)
        too_large_by = self._excess(m, act, advance)
        sums = zip(elements(psum, spec.cols), elements(self.out_data, spec.cols), strict=True)
        for column, (acc, out) in enumerate(sums):
            assign(m, out, f"sum_{column}", corrected(spec, acc, too_large_by))

    def _place_columns(self, m: Module, *, load: Value, advance: Value, act: Value, psum: Signal) -> None:
        """The columns; ``psum`` is what leaves them, at the same time from all."""
        spec = self._spec
        codes = offset_codes(spec, self.weight_data)
        code_bits, psum_bits = len(codes) // spec.cols, len(psum) // spec.cols
        for number, group in enumerate(groups(spec, spec.cols)):
            if number:
                act = self._late(m, f"act_{number}", act, 1, advance)
            found = psum[group.start * psum_bits : group.stop * psum_bits]
            early = spec.broadcast_cycles - number
            bottom = Signal(len(found), name=f"psum_{number}") if early else found
            self._column.place_each(
                m,
                "column",
                len(group),
                number_from=group.start,
                load=load,
                advance=advance,
                act=act,
                weight=codes[group.start * code_bits : group.stop * code_bits],
                psum=bottom,
            )
            if early:
                m.d.comb += found.eq(self._late(m, f"psum_{number}", bottom, early, advance))

    @staticmethod
    def _late(m: Module, name: str, value: Value, steps: int, advance: Value) -> Value:
        """``value``, so many steps later."""
        for step in range(1, steps + 1):
            register = Signal(len(value), name=f"{name}_late_{step}", reset_less=True)
            with m.If(advance):
                m.d.sync += register.eq(value)
            value = register
        return value

    def _excess(self, m: Module, act: Value, advance: Signal) -> Value:
        """What the sums at the bottom are too large by: the same for every column."""
        rows, width = self._spec.rows, act_sum_shape(self._spec, terms_in_array(self._spec)).width
        tallies = Signal(rows * width, name="tallies")
        above = Cat(Const(0, width), tallies[:-width])
        self._tally.place_each(m, "tally", rows, advance=advance, act=act, tally_in=above, tally=tallies)
        total = self._late(m, "tally", tallies[-width:], self._spec.broadcast_cycles, advance)
        return excess(m, self._spec, total)

    def _loaded(self, m: Module, load: Signal) -> Value:
        """Whether the last of ``rows`` beats of weights is being loaded."""
        rows = self._spec.rows
        if rows == 1:
            return load
        row = Signal(ceil_log2(rows))
        last_row = named(m, "last_row", row == rows - 1, 1)
        row_plus_1 = named(m, "row_plus_1", row + 1, len(row))
        row_next = named(m, "row_next", Mux(last_row, 0, row_plus_1), len(row))
        with m.If(load):
            m.d.sync += row.eq(row_next)
        return named(m, "loaded", load & last_row, 1)
