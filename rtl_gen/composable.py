"""The composable output-stationary array: operand widths are chosen for each tile, at run time.

The array of ``output_stationary`` with other operands (``composition``), another PE, and a correction
that follows the mode.
"""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, Value, unsigned

from pact_hw.spec import HardwareSpec, WeightEncoding

from .arithmetic import elements, named, tree
from .block import input_port, output_port
from .composable_structure import structure
from .composition import OperandWords, bricks, combined, joining, key, levels, scaled
from .element import Element
from .output_stationary import OutputStationaryArray, Row
from .structure import is_placed
from .widths import acc_shape, act_sum_shape


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
                input_port("shift", 1, "take the right neighbour's accumulator"),
                input_port("joined", levels(spec), "from the narrowest on: are operands joined in pairs?"),
                input_port("act", words, "words of the lanes, for the bricks, zero when idle"),
                input_port("weight", words, "words of the lanes, for the bricks"),
                input_port("acc_in", width, "the right neighbour's accumulator"),
                output_port("acc", width, "sum over activations times codes"),
            ],
        )

    def _build(self, m: Module) -> None:
        spec, chunk = self._spec, self._spec.narrowest_bits
        most = ((1 << chunk) - 1) ** 2
        products: dict[tuple[int, ...], list[Value]] = {}
        for lane, i, j, act_at, weight_at in bricks(spec):
            product = self.act[act_at : act_at + chunk] * self.weight[weight_at : weight_at + chunk]
            brick = named(m, f"brick_{lane}_{i}_{j}", product, unsigned(most.bit_length()))
            products.setdefault(key(spec, i, j), []).append(brick)
        sums = {}
        for at, terms in products.items():
            name = "_".join(["bricks", *map(str, at)])
            total = tree(m, name, terms, lambda count: unsigned((count * most).bit_length()))
            sums[at] = total, len(terms) * most
        total, _ = combined(m, "total", sums, self.joined, chunk)
        feedback = named(m, "feedback", Mux(self.shift, self.acc_in, self.acc), acc_shape(spec))
        m.d.sync += self.acc.eq(named(m, "acc_next", feedback + total, acc_shape(spec)))

    def structure(self) -> list[str] | None:
        """As ``Block.structure``: adders placed one by one."""
        return structure(self._spec, acc_shape(self._spec).width) if is_placed(self._spec) else None


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
        """Every word of a wide operand counts: twice as much for each level that is joined."""
        spec, chunk = self._spec, self._spec.narrowest_bits
        most = (1 << chunk) - 1
        chunks: dict[tuple[int, ...], list[Value]] = {}
        for number, value in enumerate(elements(act, len(act) // chunk)):
            chunks.setdefault(key(spec, number % spec.operand_words), []).append(value)
        sums = {}
        for at, terms in chunks.items():
            name = "_".join(["chunks", *map(str, at)])
            total = tree(m, name, terms, lambda count: unsigned((count * most).bit_length()))
            sums[at] = total, len(terms) * most
        total, _ = combined(m, "act_sums", sums, self.joined, chunk)
        # n**2 operands of a lane are together not more than the widest one can be.
        shape = act_sum_shape(spec, spec.lanes)
        return scaled(m, "act_sum", total, self.joined, lambda _level: -1, shape)

    def _excess(self, m: Module, total: Value) -> Value:
        """``arithmetic.excess`` for the weights of the mode."""
        spec, chunk = self._spec, self._spec.narrowest_bits
        odd = spec.weight.encoding is WeightEncoding.ODD
        bits = chunk if odd else chunk - 1
        shape = unsigned(len(total) + (spec.weight.bits if odd else spec.weight.bits - 1))
        value = scaled(m, "levels", total << bits, self.joined, lambda level: chunk << level, shape)
        return named(m, "excess", value - total, shape) if odd else value


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


def output_stationary_array(spec: HardwareSpec, *, module_name: str | None = None) -> OutputStationaryArray:
    """The output-stationary array of ``spec``, fixed or composable."""
    kind = ComposableArray if spec.modes else OutputStationaryArray
    return kind(spec, module_name=module_name)
