"""The composable output-stationary array: operand widths are chosen for each tile, at run time.

The array of ``output_stationary`` with other operands (``composition``), another PE, and a correction
that follows the mode.
"""

from __future__ import annotations

from amaranth.hdl import Module, Signal, Value

from pact_hw.spec import HardwareSpec

from .arithmetic import named
from .block import input_port, output_port
from .composable_structure import structure
from .composition import OperandWords, beat_total, brick_sum, excess_in_mode, joining, levels
from .element import Element, acc_in_ports, feedback_text, shift_port
from .output_stationary import OutputStationaryArray
from .row import Row
from .structure import is_placed
from .widths import acc_shape


class ComposableElement(Element):
    """Bricks, a sum for each shift, one reduction, one accumulator; idle while the activations are zero.

    As the PE of a fixed array; sums of bricks are shifted as ``joined`` says.
    """

    def __init__(self, spec: HardwareSpec) -> None:
        self._spec = spec
        width = acc_shape(spec).width
        words = spec.lanes * spec.operand_words * spec.act.bits
        super().__init__(
            f"{spec.name}_pe",
            [
                shift_port(spec),
                input_port("joined", levels(spec), "from the narrowest on: are operands joined in pairs?"),
                input_port("act", words, "words of the lanes, for the bricks, zero when idle"),
                input_port("weight", words, "words of the lanes, for the bricks"),
                *acc_in_ports(spec, width),
                output_port("acc", width, "sum over activations times codes"),
            ],
        )

    def _build(self, m: Module) -> None:
        spec = self._spec
        total = brick_sum(m, spec, self.act, self.weight, self.joined)
        feedback = named(m, "feedback", self._feedback(spec, self.acc), acc_shape(spec))
        m.d.sync += self.acc.eq(named(m, "acc_next", feedback + total, acc_shape(spec)))

    def structure(self) -> list[str] | None:
        """As ``Block.structure``: adders placed one by one."""
        if not is_placed(self._spec):
            return None
        width = acc_shape(self._spec).width
        return structure(self._spec, width, feedback_text(self._spec, width))


class ComposableRow(Row):
    """A row of PEs that share activations; what the codes stand for is put right once per row."""

    def __init__(self, spec: HardwareSpec) -> None:
        self._words = OperandWords(spec, "act")
        joins = "from the narrowest on: are operands joined in pairs?"
        super().__init__(
            spec,
            ComposableElement(spec),
            [
                input_port("joins", levels(spec), f"offered operands, {joins}"),
                input_port("joined", levels(spec), f"registered operands, {joins}"),
            ],
            [self._words],
        )

    def _offered(self, m: Module) -> Value:
        words = Signal(len(self.act), name="act_words")
        self._words.place(m, "arrangement", joins=self.joins, operands=self.act, words=words)
        return words

    def _pe_mode(self) -> dict[str, Value]:
        return {"joined": self.joined}

    def _beat_sum(self, m: Module, act: Value) -> Value:
        return beat_total(m, self._spec, act, self.joined)

    def _excess(self, m: Module, total: Value) -> Value:
        return excess_in_mode(m, self._spec, total, self.joined)


class ComposableArray(OutputStationaryArray):
    """Composable output-stationary array: operand registers, rows of PEs, control of fill and drain.

    One operand beat a cycle; a tile takes ``MatrixSchedule.tile_cycles`` of the array in its mode.
    After a reset the array shifts zeros in for ``cols`` cycles before it is ready.
    """

    def __init__(self, spec: HardwareSpec, *, module_name: str | None = None) -> None:
        self._words = OperandWords(spec, "weight")
        super().__init__(spec, module_name=module_name, row=ComposableRow(spec), parts=[self._words])

    def _joins(self, m: Module) -> Value:
        return joining(m, self._spec, self.in_mode)

    def _codes(self, m: Module, joins: Value) -> Value:
        words = Signal(len(self.in_weight), name="weight_words")
        self._words.place_each(
            m, "arrangement", self._spec.cols, joins=joins, operands=self.in_weight, words=words
        )
        return words

    def _row_mode(self, m: Module, accept: Value, joins: Value) -> dict[str, Value]:
        joined = Signal(len(joins), name="joined", reset_less=True)
        with m.If(accept):
            m.d.sync += joined.eq(joins)
        return {"joins": joins, "joined": joined}
