"""The output-stationary array: each PE accumulates one output.

A tile is a run of operand beats that ends with ``in_last``; then the accumulators shift out along
the rows, column 0 first, while zeros shift in from the far end: after ``cols`` results every
accumulator is zero, ready for the next tile. The same shift clears them after a reset, so neither a
PE's clear, nor its enable, nor its reset costs a gate.
"""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Cat, Const, Module, Mux, ResetSignal, Signal, Value
from amaranth.utils import ceil_log2

from pact_hw.design import Port
from pact_hw.spec import HardwareSpec

from . import partial_products
from .act_total import ActivationTotal
from .arithmetic import (
    act_sum,
    assign,
    corrected,
    excess,
    named,
    offset_codes,
)
from .block import Block, input_port, output_port
from .carry_save import value
from .correction import corrected_fast, registered_excess, upper_difference
from .element import Element, ProcessingElement
from .widths import act_sum_shape


class Row(Block):
    """A row of PEs that share activations; what the codes stand for is put right once per row."""

    def __init__(
        self, spec: HardwareSpec, pe: Element, mode: Sequence[Port] = (), parts: Sequence[Block] = ()
    ) -> None:
        self._spec = spec
        self._pe = pe
        self._total = None if mode else ActivationTotal(spec)
        self._upper = upper_difference(spec)
        super().__init__(
            f"{spec.name}_row",
            [
                input_port("accept", 1, "a beat is accepted: register its activations, else zero"),
                input_port("shift", 1, "accumulators move one column to the left"),
                input_port("clear", 1, "forget the sum of activations; with the last shift"),
                *([input_port("advance", 1, "take column 0's sum")] if spec.tree_stages else []),
                *mode,
                input_port("act", spec.operand_words * spec.lanes * spec.act.bits, "lanes activations"),
                input_port(
                    "weight",
                    spec.operand_words * spec.cols * partial_products.weight_bits(spec),
                    "registered weights of the cols PEs",
                ),
                output_port("sum", spec.acc_bits, "column 0: exact sum, two's complement"),
            ],
            [pe, *filter(None, (self._total, self._upper)), *parts],
        )

    def _build(self, m: Module) -> None:
        spec = self._spec
        act = Signal(len(self.act), name="act_q")
        accepted = named(m, "act_accepted", Mux(self.accept, self._offered(m), 0), len(act))
        m.d.sync += act.eq(accepted)
        operands: Value = act
        if partial_products.in_pairs(spec):
            # With stages there is no time for an addition after it is known whether the beat is accepted.
            staged = spec.tree_stages > 0
            sums = partial_products.pair_sums(m, spec, self._offered(m) if staged else accepted)
            if staged:
                sums = named(m, "pair_sums_accepted", Mux(self.accept, sums, 0), len(sums))
            pair_sums = Signal(len(sums), name="pair_sums_q")
            m.d.sync += pair_sums.eq(sums)
            operands = partial_products.with_pair_sums(spec, act, pair_sums)
        width = len(self._pe.acc)
        accs = Signal(spec.cols * width, name="acc")
        self._pe.place_each(
            m,
            "pe",
            spec.cols,
            shift=self.shift,
            act=operands,
            weight=self.weight,
            acc_in=Cat(accs[width:], Const(0, width)),
            acc=accs,
            **self._pe_mode(),
        )
        total = self._act_total(m, act)
        acc = value(m, "acc_sum", accs[:width], self._pe.carries)
        if not spec.tree_stages:
            assign(m, self.sum, "sum", corrected(spec, acc, self._excess(m, total)))
            return
        too_large_by = registered_excess(m, spec, total, self._upper)
        column_sum = corrected_fast(m, spec, acc, too_large_by, self._upper)
        with m.If(self.advance):
            m.d.sync += self.sum.eq(column_sum)

    def _offered(self, m: Module) -> Value:
        """The activations that may be registered."""
        return self.act

    def _pe_mode(self) -> dict[str, Value]:
        """What else PEs are connected to."""
        return {}

    def _act_total(self, m: Module, act: Value) -> Value:
        """The sum of the tile's activations."""
        shape = act_sum_shape(self._spec, self._spec.max_reduction)
        total = Signal(shape, name="act_total")
        if self._total:
            self._total.place(m, "tile_total", clear=self.clear, act=act, total=total)
            return total
        kept = named(m, "act_total_kept", Mux(self.clear, 0, total), shape)
        m.d.sync += total.eq(named(m, "act_total_next", kept + self._beat_sum(m, act), shape))
        return total

    def _beat_sum(self, m: Module, act: Value) -> Value:
        """The sum of registered activations."""
        return act_sum(m, self._spec, act)

    def _excess(self, m: Module, total: Value) -> Value:
        """What sums over codes are too large by."""
        return excess(m, self._spec, total)


class OutputStationaryArray(Block):
    """Output-stationary array: operand registers, rows of PEs, control of fill and drain.

    One operand beat a cycle; a tile takes ``MatrixSchedule.tile_cycles``. After a reset the array
    shifts zeros in for ``cols`` cycles before it is ready.
    """

    resets = True

    def __init__(
        self,
        spec: HardwareSpec,
        *,
        module_name: str | None = None,
        row: Row | None = None,
        parts: Sequence[Block] = (),
    ) -> None:
        self._spec = spec
        self._row = row or Row(spec, ProcessingElement(spec))
        self._choices = partial_products.Choices(spec) if partial_products.in_pairs(spec) else None
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
            [*([self._choices] if self._choices else []), *parts, self._row],
        )

    def _build(self, m: Module) -> None:
        spec = self._spec
        staged = spec.tree_stages > 0
        filling = self.in_ready
        # A tile's last beat is on its way to the accumulators, a bit for each register.
        flushing = Signal(spec.array_latency_cycles - spec.result_latency_cycles - 1)
        draining = Signal(name="draining") if staged else self.out_valid
        last_column = Signal(name="last_column") if staged else self.out_last
        clearing = Signal(init=1)  # zeros shift in, after a reset

        accept = Signal()
        accept_last = Signal()
        taken = self._taken(m, draining, last_column)
        shift = Signal()
        last_shift = Signal()
        m.d.comb += [
            # Not in a reset, so that the PEs see zeros as soon as they shift.
            accept.eq(self.in_valid & filling & ~ResetSignal()),
            accept_last.eq(accept & self.in_last),
            shift.eq((clearing & self._settled(m)) | (draining & taken)),
            last_shift.eq(shift & last_column),
        ]
        m.d.sync += [
            filling.eq(last_shift | (filling & ~accept_last)),
            flushing.eq(Cat(accept_last, flushing[:-1])),
            draining.eq(flushing[-1] | (draining & ~last_shift)),
            clearing.eq(clearing & ~last_shift),
        ]
        # Zeros, not old or unknown values, while there is no beat: cheaper than an enable.
        joins = self._joins(m)
        weight = Signal(len(self.in_weight), name="weight_q", reset_less=True)
        m.d.sync += weight.eq(Mux(accept, self._codes(m, joins), 0))
        if self._choices:
            choices = Signal(spec.cols * partial_products.weight_bits(spec))
            self._choices.place(m, "decoder", weight=weight, choices=choices)
            weight = choices
        self._count_columns(m, shift, last_column)
        self._row.place_each(
            m,
            "row",
            spec.rows,
            accept=accept,
            shift=shift,
            clear=last_shift,
            act=self.in_act,
            weight=weight,
            sum=self.out_data,
            **self._row_mode(m, accept, joins),
            **({"advance": taken} if staged else {}),
        )

    def _settled(self, m: Module) -> Value:
        """After a reset: all registers in the trees are zero."""
        if not self._spec.tree_stages:
            return Const(1, 1)
        settling = Signal(self._spec.tree_stages, reset_less=True)
        m.d.sync += settling.eq(Cat(settling[1:], ResetSignal()))
        return ~settling.any()

    def _taken(self, m: Module, draining: Signal, last_column: Signal) -> Value:
        """Whether a column's sums are taken: into the registers that the outputs are, if there are any."""
        if not self._spec.tree_stages:
            return self.out_ready
        advance = named(m, "advance", ~self.out_valid | self.out_ready, 1)
        with m.If(advance):
            m.d.sync += [self.out_valid.eq(draining), self.out_last.eq(last_column)]
        return advance

    def _joins(self, m: Module) -> Value:
        """How the offered operands are to be read (``composition``)."""
        return Const(0, 0)

    def _codes(self, m: Module, joins: Value) -> Value:
        """The unsigned codes that may be registered."""
        return offset_codes(self._spec, self.in_weight)

    def _row_mode(self, m: Module, accept: Value, joins: Value) -> dict[str, Value]:
        """What else rows are connected to."""
        return {}

    def _count_columns(self, m: Module, shift: Signal, last_column: Signal) -> None:
        """Drives ``last_column``: column ``cols - 1`` is at the output."""
        cols = self._spec.cols
        if cols == 1:
            m.d.comb += last_column.eq(1)
            return
        column = Signal(ceil_log2(cols))
        column_plus_1 = named(m, "column_plus_1", column + 1, len(column))
        m.d.comb += last_column.eq(column == cols - 1)
        following = named(m, "column_next", Mux(last_column, 0, column_plus_1), len(column))
        with m.If(shift):
            m.d.sync += column.eq(following)


def operand_ports(spec: HardwareSpec) -> list[Port]:
    """The operand stream."""
    words = spec.operand_words
    act, weight = f"levels, {spec.act.bits} bits each", f"codes, {spec.weight.bits} bits each"
    mode = []
    if spec.modes:
        act = weight = f"{words} words, {spec.act.bits} bits each"
        widths = ", ".join(f"{mode}: {bits}" for mode, bits in enumerate(spec.modes))
        mode = [input_port("in_mode", ceil_log2(len(spec.modes)), f"bits of the tile's operands; {widths}")]
    return [
        input_port("in_valid", 1, "operands are offered"),
        output_port("in_ready", 1, "operands are taken"),
        input_port("in_act", spec.rows * spec.lanes * words * spec.act.bits, f"rows x lanes {act}"),
        input_port(
            "in_weight",
            spec.cols * spec.lanes * words * spec.weight.bits,
            f"cols x lanes {weight}, {spec.weight.encoding.value}",
        ),
        input_port("in_last", 1, "last beat of the tile"),
        *mode,
    ]
