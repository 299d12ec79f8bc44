"""The output-stationary array: each PE accumulates one output.

A tile is a run of operand beats that ends with ``in_last``; then the accumulators shift out along
the rows, column 0 first, while zeros shift in from the far end: after ``cols`` results every
accumulator is zero, ready for the next tile. The same shift clears them after a reset, so neither a
PE's clear, nor its enable, nor its reset costs a gate. A wide drain gives all sums at once, and its one
shift makes all accumulators zero.

With ``pipeline`` operands pass a register every so many PEs, along the rows and down the columns. So that
they meet, those of further rows and columns enter later (``delay.Skew``); the shift waits for the last.
"""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Cat, Const, Module, Mux, ResetSignal, Signal, Value
from amaranth.utils import ceil_log2

from pact_hw.design import Port
from pact_hw.spec import Drain, HardwareSpec, MacKind

from . import partial_products
from .arithmetic import named, offset_codes, registered
from .block import Block, input_port, output_port
from .delay import Skew, groups
from .element import ProcessingElement
from .row import Row


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
        decodes = partial_products.in_pairs(spec) and not partial_products.is_serial(spec)
        self._choices = partial_products.Choices(spec) if decodes else None
        self._skews = {
            name: Skew(spec, f"{spec.name}_{name}", count=count, width=width, stalls=False)
            for name, count, width in (
                ("act", spec.rows, spec.operand_words * spec.lanes * spec.beat_act_bits),
                ("weight", spec.cols, spec.operand_words * spec.lanes * spec.weight.bits),
            )
            if len(groups(spec, count)) > 1
        }
        wide = spec.drain is Drain.WIDE
        sums, beats = ("rows x cols sums", "") if wide else ("rows sums", "; beat j is column j")
        super().__init__(
            module_name or spec.name,
            [
                *operand_ports(spec),
                output_port("out_valid", 1, "results are offered, and held until taken"),
                input_port("out_ready", 1, "results are taken"),
                output_port(
                    "out_data",
                    spec.values_per_beat * spec.acc_bits,
                    f"{sums}, {spec.acc_bits} bits each, two's complement{beats}",
                ),
                output_port("out_last", 1, "last beat of the tile"),
            ],
            [*([self._choices] if self._choices else []), *parts, *self._skews.values(), self._row],
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
        joins = self._joins(m)
        self._count_columns(m, shift, last_column)
        row_control = {"shift": shift, "clear": last_shift, **({"advance": taken} if staged else {})}
        self._place_rows(m, accept, joins, row_control)

    def _place_rows(self, m: Module, accept: Value, joins: Value, control: dict[str, Value]) -> None:
        spec = self._spec
        acts, codes = (
            self._skewed(m, name, value)
            for name, value in (("act", self.in_act), ("weight", self._codes(m, joins)))
        )
        row_groups = groups(spec, spec.rows)
        accepts: list[Value] = [accept]
        for number in range(1, max(len(row_groups), len(groups(spec, spec.cols)))):
            accepts.append(registered(m, f"accept_{number}", accepts[-1]))
        weights = self._weights(m, accepts, codes)
        mode = self._row_mode(m, accept, joins)
        act_bits, sum_bits = len(acts) // spec.rows, len(self.out_data) // spec.rows
        for number, group in enumerate(row_groups):
            if number:
                weights = registered(m, f"weights_{number}", weights)
                mode = {name: registered(m, f"{name}_{number}", value) for name, value in mode.items()}
            self._row.place_each(
                m,
                "row",
                len(group),
                number_from=group.start,
                accept=accepts[number],
                act=acts[group.start * act_bits : group.stop * act_bits],
                weight=self._decoded(m, number, weights),
                sum=self.out_data[group.start * sum_bits : group.stop * sum_bits],
                **control,
                **mode,
            )

    def _skewed(self, m: Module, name: str, value: Value) -> Value:
        """``value``, operands of rows or columns, as late as they are to reach the first of their PEs."""
        if name not in self._skews:
            return value
        skewed = Signal(len(value), name=f"{name}_skewed")
        self._skews[name].place(m, f"{name}_skew", value=value, skewed=skewed)
        return skewed

    def _settled(self, m: Module) -> Value:
        """After a reset: all registers on the way to the accumulators are zero."""
        cycles = self._spec.tree_stages + self._spec.broadcast_cycles
        if not cycles:
            return Const(1, 1)
        settling = Signal(cycles, reset_less=True)
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

    def _weights(self, m: Module, accepts: Sequence[Value], codes: Value) -> Value:
        """What is registered for the PEs.

        ``codes``: weights that are offered; ``accepts``: whether those of each group of columns are taken.
        """
        bits = len(codes) // self._spec.cols
        weight = Signal(len(codes), name="weight_q", reset_less=True)
        for accept, group in zip(accepts, groups(self._spec, self._spec.cols), strict=False):
            # Zeros, not old or unknown values, while there is no beat: cheaper than an enable.
            own = slice(group.start * bits, group.stop * bits)
            m.d.sync += weight[own].eq(Mux(accept, codes[own], 0))
        return weight

    def _decoded(self, m: Module, group: int, weights: Value) -> Value:
        """The weights of the PEs of a group of rows, which share a register."""
        if self._choices is None:
            return weights
        number = f"_{group}" if group else ""
        choices = Signal(self._spec.cols * partial_products.weight_bits(self._spec), name=f"choices{number}")
        self._choices.place(m, f"decoder{number}", weight=weights, choices=choices)
        return choices

    def _row_mode(self, m: Module, accept: Value, joins: Value) -> dict[str, Value]:
        """What else rows are connected to."""
        return {}

    def _count_columns(self, m: Module, shift: Signal, last_column: Signal) -> None:
        """Drives ``last_column``: column ``cols - 1`` is at the output."""
        cols = self._spec.drain_cycles
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
    if spec.mac_kind is MacKind.BIT_SERIAL:
        act = f"bits of levels, of {spec.act.bits} bits at most, the highest first"
        mode = [input_port("in_next_plane", 1, "first beat of the next lower bit of the levels")]
    if spec.mac_kind is MacKind.COMPOSABLE:
        act = weight = f"{words} words, {spec.act.bits} bits each"
        widths = ", ".join(f"{mode}: {bits}" for mode, bits in enumerate(spec.modes))
        mode = [input_port("in_mode", ceil_log2(len(spec.modes)), f"bits of the tile's operands; {widths}")]
    return [
        input_port("in_valid", 1, "operands are offered"),
        output_port("in_ready", 1, "operands are taken"),
        input_port("in_act", spec.rows * spec.lanes * words * spec.beat_act_bits, f"rows x lanes {act}"),
        input_port(
            "in_weight",
            spec.cols * spec.lanes * words * spec.weight.bits,
            f"cols x lanes {weight}, {spec.weight.encoding.value}",
        ),
        input_port("in_last", 1, "last beat of the tile"),
        *mode,
    ]
