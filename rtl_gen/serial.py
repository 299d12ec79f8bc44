"""The bit-serial output-stationary array: activations come a bit a beat, highest bits first.

A tile is as many bit-planes as its activations have bits, each a run of operand beats over the whole
reduction. Where a further plane begins (``in_next_plane``), all sums count twice. So the width of
activations is how many planes come, and no hardware knows it; an accumulator pays a choice a bit.

Weights are the words that are added, gated by bits of activations (``partial_products``).
"""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from pact_hw.spec import Drain, HardwareSpec

from . import partial_products
from .arithmetic import named, product_sum
from .block import Block, input_port, output_port
from .delay import groups
from .doubling import chosen, doubled
from .element import Element, acc_in_ports, shift_port
from .output_stationary import OutputStationaryArray
from .row import Row
from .structure import accumulated, is_placed, word_bits
from .widths import acc_shape, beat_sum_shape

TWICE = input_port("twice", 1, "what is summed so far counts twice; not in a shift")


class SerialElement(Element):
    """Gates, one reduction, one accumulator; idle while the activations are zero.

    As the PE of a fixed array; the next accumulator may be twice this one, plus the sum of products.
    """

    def __init__(self, spec: HardwareSpec) -> None:
        self._spec = spec
        width = acc_shape(spec).width
        acts, weights = "a bit of lanes activations", "lanes weight codes"
        if partial_products.in_pairs(spec):
            acts = "of each two lanes a word each: only a, only b, both"
            weights = "weight codes a, b and a + b of each two lanes"
        super().__init__(
            f"{spec.name}_pe",
            [
                shift_port(spec),
                TWICE,
                input_port("act", partial_products.act_bits(spec), f"{acts}, zero when idle"),
                input_port("weight", partial_products.weight_bits(spec), weights),
                *acc_in_ports(spec, width),
                output_port("acc", width, "sum over activations times codes"),
            ],
        )

    def _build(self, m: Module) -> None:
        spec, shape = self._spec, acc_shape(self._spec)
        total = product_sum(
            m,
            partial_products.terms(spec, self.act, self.weight),
            lambda lanes: beat_sum_shape(spec, lanes),
            in_pairs=partial_products.in_pairs(spec),
        )
        shifted = Cat(Const(0, 1), self.acc)[: len(self.acc)]
        kept = named(m, "kept", Mux(self.twice, shifted, self.acc), shape)
        feedback = named(m, "feedback", self._feedback(spec, kept), shape)
        m.d.sync += self.acc.eq(named(m, "acc_next", feedback + total, shape))

    def structure(self) -> list[str] | None:
        """As ``Block.structure``: adders placed one by one."""
        if not is_placed(self._spec):
            return None
        width = len(self.acc)
        choices = {"twice": doubled("acc", width), "keep": "acc"}
        if self._spec.drain is Drain.SHIFT:
            choices["shift"] = "acc_in"
        lines, columns = partial_products.product_bits(self._spec, width)
        return [
            "wire keep = ~(shift | twice);",
            f"wire [{width - 1}:0] feedback = {chosen(width, choices)};",
            *lines,
            *accumulated(self._spec, columns, word_bits("feedback", width), "acc"),
        ]


class SerialRow(Row):
    """A row of PEs that share bits of activations; what codes stand for is put right once per row."""

    def __init__(self, spec: HardwareSpec) -> None:
        self._choice = partial_products.Choice(spec) if partial_products.in_pairs(spec) else None
        super().__init__(spec, SerialElement(spec), [TWICE], [self._choice] if self._choice else [])

    def _operands(self, m: Module, act: Value, accepted: Value) -> Value:
        return act

    def _decoded(self, m: Module, group: int, operands: Value) -> Value:
        if self._choice is None:
            return operands
        choices = Signal(partial_products.act_bits(self._spec), name=f"choices_{group}")
        self._choice.place(m, f"decoder_{group}", act=operands, choice=choices)
        return choices

    def _pe_mode(self) -> dict[str, Value]:
        return {"twice": self.twice}


class ColumnWeights(Block):
    """A column's registered weights: codes, and the sums of each two."""

    def __init__(self, spec: HardwareSpec) -> None:
        self._spec = spec
        words = "weight codes"
        if partial_products.in_pairs(spec):
            words = "of each two lanes codes a, b and a + b"
        super().__init__(
            f"{spec.name}_column_weights",
            [
                input_port("accept", 1, "a beat is accepted: register its weights, else zero"),
                input_port("codes", spec.lanes * spec.weight.bits, "lanes weight codes"),
                output_port("weight", partial_products.weight_bits(spec), words),
            ],
        )

    def _build(self, m: Module) -> None:
        codes = named(m, "codes_accepted", Mux(self.accept, self.codes, 0), len(self.codes))
        words: Value = codes
        if partial_products.in_pairs(self._spec):
            sums = partial_products.pair_sums(m, self._spec, codes)
            words = partial_products.with_pair_sums(self._spec, codes, sums)
        m.d.sync += self.weight.eq(words)


class SerialArray(OutputStationaryArray):
    """Bit-serial output-stationary array: operand registers, rows of PEs, control of fill and drain.

    One operand beat a cycle, of one bit of each activation; a tile takes ``MatrixSchedule.tile_cycles``
    of activations as wide as it has planes. After a reset the array shifts zeros in for ``cols`` cycles
    before it is ready.
    """

    def __init__(self, spec: HardwareSpec, *, module_name: str | None = None) -> None:
        self._weights_of_column = ColumnWeights(spec)
        super().__init__(spec, module_name=module_name, row=SerialRow(spec), parts=[self._weights_of_column])

    def _weights(self, m: Module, accepts: Sequence[Value], codes: Value) -> Value:
        bits = len(codes) // self._spec.cols
        words = partial_products.weight_bits(self._spec)
        weights = Signal(self._spec.cols * words, name="weights")
        for accept, group in zip(accepts, groups(self._spec, self._spec.cols), strict=False):
            self._weights_of_column.place_each(
                m,
                "column_weights",
                len(group),
                number_from=group.start,
                accept=accept,
                codes=codes[group.start * bits : group.stop * bits],
                weight=weights[group.start * words : group.stop * words],
            )
        return weights

    def _decoded(self, m: Module, group: int, weights: Value) -> Value:
        return weights

    def _row_mode(self, m: Module, accept: Value, joins: Value) -> dict[str, Value]:
        twice = Signal(name="twice", reset_less=True)
        m.d.sync += twice.eq(named(m, "twice_accepted", accept & self.in_next_plane, 1))
        return {"twice": twice}
