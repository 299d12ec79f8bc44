"""A row of an output-stationary array."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from pact_hw.design import Port
from pact_hw.spec import Drain, HardwareSpec, MacKind

from . import partial_products
from .act_total import ActivationTotal
from .arithmetic import act_sum, assign, excess, named, registered
from .block import Block, input_port, output_port
from .correction import (
    ColumnSum,
    exact_sum,
    excess_bits,
    registered_excess,
    sum_at_once,
    upper_difference,
)
from .delay import groups
from .element import Element
from .widths import act_sum_shape


class Row(Block):
    """A row of PEs that share activations; what the codes stand for is put right once per row."""

    def __init__(
        self, spec: HardwareSpec, pe: Element, mode: Sequence[Port] = (), parts: Sequence[Block] = ()
    ) -> None:
        self._spec = spec
        self._pe = pe
        self._total = None if spec.mac_kind is MacKind.COMPOSABLE else ActivationTotal(spec)
        wide = spec.drain is Drain.WIDE
        self._upper = upper_difference(spec)
        self._column_sum = None
        if wide:
            self._column_sum = ColumnSum(spec, acc_bits=len(pe.acc), carries=pe.carries, upper=self._upper)
        sums = f"{'cols' if wide else 'column 0'}: exact sum, two's complement"
        moves = "accumulators begin anew" if wide else "accumulators move one column to the left"
        super().__init__(
            f"{spec.name}_row",
            [
                input_port("accept", 1, "a beat is accepted: register its activations, else zero"),
                input_port("shift", 1, moves),
                input_port("clear", 1, "forget the sum of activations; with the last shift"),
                *([input_port("advance", 1, "take column 0's sum")] if spec.tree_stages else []),
                *mode,
                input_port("act", spec.operand_words * spec.lanes * spec.beat_act_bits, "lanes activations"),
                input_port(
                    "weight",
                    spec.operand_words * spec.cols * partial_products.weight_bits(spec),
                    "registered weights of the cols PEs",
                ),
                output_port("sum", spec.values_per_beat // spec.rows * spec.acc_bits, sums),
            ],
            [pe, *filter(None, (self._total, self._upper, self._column_sum)), *parts],
        )

    def _build(self, m: Module) -> None:
        spec = self._spec
        act = Signal(len(self.act), name="act_q")
        accepted = named(m, "act_accepted", Mux(self.accept, self._offered(m), 0), len(act))
        m.d.sync += act.eq(accepted)
        operands = self._operands(m, act, accepted)
        width = len(self._pe.acc)
        accs = Signal(spec.cols * width, name="acc")
        self._place_elements(m, operands, accs)
        total = self._act_total(m, act)
        if not (spec.tree_stages or self._column_sum or spec.mac_kind is MacKind.COMPOSABLE):
            assign(m, self.sum, "sum", sum_at_once(m, spec, accs[:width], self._pe.carries, total))
            return
        if spec.tree_stages:
            too_large_by = registered_excess(m, spec, total, self._upper)
        else:
            too_large_by = self._excess(m, total)
        advance = {"advance": self.advance} if spec.tree_stages else {}
        if self._column_sum:
            too_large_by = too_large_by[: excess_bits(spec)]  # a shift by nothing makes a value wider
            self._column_sum.place_each(
                m, "column_sum", spec.cols, acc=accs, excess=too_large_by, sum=self.sum, **advance
            )
            return
        found = exact_sum(m, spec, accs[:width], self._pe.carries, too_large_by, self._upper)
        if not spec.tree_stages:
            assign(m, self.sum, "sum", found)
            return
        with m.If(self.advance):
            m.d.sync += self.sum.eq(found)

    def _operands(self, m: Module, act: Value, accepted: Value) -> Value:
        """What is registered for the PEs; ``act``: registered activations, ``accepted``: the next ones."""
        spec = self._spec
        if not partial_products.in_pairs(spec):
            return act
        # With stages there is no time for an addition after it is known whether the beat is accepted.
        staged = spec.tree_stages > 0
        sums = partial_products.pair_sums(m, spec, self._offered(m) if staged else accepted)
        if staged:
            sums = named(m, "pair_sums_accepted", Mux(self.accept, sums, 0), len(sums))
        pair_sums = Signal(len(sums), name="pair_sums_q")
        m.d.sync += pair_sums.eq(sums)
        return partial_products.with_pair_sums(spec, act, pair_sums)

    def _decoded(self, m: Module, group: int, operands: Value) -> Value:
        """The operands of the PEs of a group of columns, which share a register."""
        return operands

    def _place_elements(self, m: Module, operands: Value, accs: Signal) -> None:
        spec, width = self._spec, len(self._pe.acc)
        shifts = spec.drain is Drain.SHIFT
        from_the_right = Cat(accs[width:], Const(0, width))
        weights, mode = len(self.weight) // spec.cols, self._pe_mode()
        for number, group in enumerate(groups(spec, spec.cols)):
            if number:
                operands = registered(m, f"operands_{number}", operands)
                mode = {name: registered(m, f"{name}_{number}", value) for name, value in mode.items()}
            bits = slice(group.start * width, group.stop * width)
            self._pe.place_each(
                m,
                "pe",
                len(group),
                number_from=group.start,
                shift=self.shift,
                act=self._decoded(m, number, operands),
                weight=self.weight[group.start * weights : group.stop * weights],
                acc=accs[bits],
                **({"acc_in": from_the_right[bits]} if shifts else {}),
                **mode,
            )

    def _offered(self, m: Module) -> Value:
        """The activations that may be registered."""
        return self.act

    def _pe_mode(self) -> dict[str, Value]:
        """What else PEs, and the sum of activations, are connected to."""
        return {}

    def _act_total(self, m: Module, act: Value) -> Value:
        """The sum of the tile's activations."""
        shape = act_sum_shape(self._spec, self._spec.max_reduction)
        total = Signal(shape, name="act_total")
        if self._total:
            mode = self._pe_mode()
            self._total.place(m, "tile_total", clear=self.clear, act=act, total=total, **mode)
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
