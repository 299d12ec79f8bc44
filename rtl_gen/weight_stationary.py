"""The weight-stationary array: weights stay, activations and partial sums stream.

Partial sums go down the columns, a row a cycle; the activations of row r are therefore delayed by r
cycles (the skew). Beside the PEs of a row goes the sum of its activations, added up on the way
down: for odd weights, it corrects all columns at the bottom.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.utils import ceil_log2

from pact_hw.design import Port
from pact_hw.spec import HardwareSpec, WeightEncoding

from .arithmetic import act_sum, assign, corrected, elements, excess, named, product_sum
from .block import Block, input_port, output_port
from .widths import acc_shape, act_sum_shape, terms_in_array


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
        shape = acc_shape(self._spec)
        psum_in = self.psum_in.as_signed() if shape.signed else self.psum_in
        total = product_sum(m, self._spec, self.act, self.weight)
        psum_next = named(m, "psum_next", psum_in + total, shape)
        with m.If(self.load):
            m.d.sync += self.weight.eq(self.weight_in)
        with m.If(self.advance):
            m.d.sync += self.psum.eq(psum_next)


def _tally_ports(spec: HardwareSpec) -> list[Port]:
    if spec.weight.encoding is not WeightEncoding.ODD:
        return []
    width = act_sum_shape(spec, terms_in_array(spec)).width
    return [
        input_port("tally_in", width, "sum of activations from above"),
        output_port("tally", width, "sum of activations"),
    ]


class Row(Block):
    """A row of PEs that share activations; for odd weights, the sum of these activations."""

    def __init__(self, spec: HardwareSpec) -> None:
        self._spec = spec
        self._pe = ProcessingElement(spec)
        weights = spec.cols * spec.lanes * spec.weight.bits
        psums = spec.cols * acc_shape(spec).width
        super().__init__(
            f"{spec.name}_row",
            [
                input_port("load", 1, "take the weights of the row above"),
                input_port("advance", 1, "partial sums move one row down"),
                input_port("act", spec.lanes * spec.act.bits, "lanes activations"),
                input_port("weight_in", weights, "cols x lanes codes from above"),
                output_port("weight", weights, "cols x lanes codes"),
                input_port("psum_in", psums, "cols partial sums from above"),
                output_port("psum", psums, "cols partial sums"),
                *_tally_ports(spec),
            ],
            [self._pe],
        )

    def _build(self, m: Module) -> None:
        spec = self._spec
        columns = [elements(bus, spec.cols) for bus in (self.weight_in, self.weight, self.psum_in, self.psum)]
        for column, (weight_in, weight, psum_in, psum) in enumerate(zip(*columns, strict=True)):
            self._pe.place(
                m,
                f"pe_{column}",
                load=self.load,
                advance=self.advance,
                act=self.act,
                weight_in=weight_in,
                weight=weight,
                psum_in=psum_in,
                psum=psum,
            )
        if spec.weight.encoding is WeightEncoding.ODD:
            shape = act_sum_shape(spec, terms_in_array(spec))
            tally_next = named(m, "tally_next", self.tally_in + act_sum(m, spec, self.act), shape)
            with m.If(self.advance):
                m.d.sync += self.tally.eq(tally_next)


class WeightStationaryArray(Block):
    """Weight-stationary array: the skew, rows of PEs, the correction, control of load and stream.

    A tile is ``rows`` beats of weights, the bottom row's first, then operand beats until
    ``in_last``, one result each; the next weights are let in when the last result has been taken.
    Timing: ``MatrixSchedule.tile_cycles``.
    """

    resets = True

    def __init__(self, spec: HardwareSpec) -> None:
        self._spec = spec
        self._row = Row(spec)
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
            [self._row],
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

        psum, tally = self._rows(m, load, advance)
        too_large_by = None if tally is None else excess(m, spec, tally)
        sums = zip(elements(psum, spec.cols), elements(self.out_data, spec.cols), strict=True)
        for column, (acc, out) in enumerate(sums):
            assign(m, out, f"sum_{column}", corrected(spec, acc, too_large_by))

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

    def _rows(self, m: Module, load: Signal, advance: Signal) -> tuple[Value, Value | None]:
        """The rows, top to bottom; the bottom row's partial sums and sum of activations."""
        spec = self._spec
        chain: dict[str, Value] = {
            "weight": self.weight_data,
            "psum": Const(0, spec.cols * acc_shape(spec).width),
        }
        if _tally_ports(spec):
            chain["tally"] = Const(0, act_sum_shape(spec, terms_in_array(spec)).width)
        for row, act in enumerate(elements(self.in_act, spec.rows)):
            below: dict[str, Value] = {
                name: Signal(len(value), name=f"{name}_{row}") for name, value in chain.items()
            }
            if row + 1 == spec.rows:
                below["weight"] = Signal.like(self.weight_data, name="unused_weight")
                # Amaranth names only what is mentioned in a statement.
                m.d.comb += Signal.like(self.weight_data, name="unused_weights").eq(below["weight"])
            self._row.place(
                m,
                f"row_{row}",
                load=load,
                advance=advance,
                act=self._skewed(m, row, act, advance),
                **{f"{name}_in": value for name, value in chain.items()},
                **below,
            )
            chain = below
        return chain["psum"], chain.get("tally")

    def _skewed(self, m: Module, row: int, act: Value, advance: Signal) -> Value:
        """The row's activations after the operand register and ``row`` more."""
        registers = Signal((row + 1) * len(act), name=f"act_{row}", reset_less=True)
        with m.If(advance):
            m.d.sync += registers.eq(Cat(act, registers)[: len(registers)])
        return registers[-len(act) :]
