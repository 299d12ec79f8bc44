"""The core's array: sums leave it by rows, while the next ones are computed.

Output stationary as ``rtl_gen.output_stationary``, but each PE has a shadow register: ``capture`` moves
all sums there at once and begins new ones; then ``step`` moves the shadows up by a row. So the array
never waits for its sums to leave, unless they take longer than the next pass.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from pact_hw.spec import HardwareSpec

from .. import partial_products
from ..arithmetic import act_sum, named, offset_codes, product_sum
from ..block import Block, input_port, output_port
from ..structure import is_placed, multiply_add
from ..widths import acc_shape, act_sum_shape, code_sum_shape

LATENCY_CYCLES = 2
"""From accepting operands to the cycle in which ``capture`` takes their sum: operand register, sum."""


class ShadowedElement(Block):
    """Multipliers, one reduction, one accumulator, and a shadow register through which its sum leaves."""

    def __init__(self, spec: HardwareSpec) -> None:
        self._spec = spec
        width = acc_shape(spec).width
        super().__init__(
            f"{spec.name}_pe",
            [
                input_port("capture", 1, "the sum goes to the shadow, a new one begins"),
                input_port("step", 1, "take the shadow of the row below"),
                input_port("act", partial_products.act_bits(spec), "activations, zero when idle"),
                input_port("weight", partial_products.weight_bits(spec), "weight codes, or choices of pairs"),
                input_port("below", width, "the shadow of the row below"),
                output_port("shadow", width, "sum over activations times codes"),
            ],
        )

    def _build(self, m: Module) -> None:
        spec = self._spec
        total = product_sum(
            m,
            partial_products.terms(spec, self.act, self.weight),
            lambda lanes: code_sum_shape(spec, lanes),
            in_pairs=partial_products.in_pairs(spec),
        )
        acc = Signal(acc_shape(spec))
        feedback = named(m, "feedback", Mux(self.capture, 0, acc), acc_shape(spec))
        m.d.sync += acc.eq(named(m, "acc_next", feedback + total, acc_shape(spec)))
        with m.If(self.capture | self.step):
            m.d.sync += self.shadow.eq(Mux(self.capture, acc, self.below))

    def structure(self) -> list[str] | None:
        """As ``Block.structure``: adders placed one by one."""
        if not is_placed(self._spec):
            return None
        width = len(self.shadow)
        span = f"[{width - 1}:0]"
        lines, total = multiply_add(self._spec, addend="feedback", width=width)
        return [
            f"reg {span} acc;",
            f"wire {span} feedback = acc & {{{width}{{~capture}}}};",
            *lines,
            f"always @(posedge clk) acc <= {total};",
            "always @(posedge clk) if (capture | step) shadow <= capture ? acc : below;",
        ]


class ShadowedRow(Block):
    """A row of PEs that share activations, and the sum of these, which the codes' meaning asks for."""

    def __init__(self, spec: HardwareSpec) -> None:
        self._spec = spec
        self._pe = ShadowedElement(spec)
        width = acc_shape(spec).width
        total_bits = act_sum_shape(spec, spec.max_reduction).width
        super().__init__(
            f"{spec.name}_row",
            [
                input_port("accept", 1, "a beat is accepted: register its activations, else zero"),
                input_port("capture", 1, "sums go to the shadows"),
                input_port("step", 1, "shadows move up by a row"),
                input_port("act", spec.lanes * spec.act.bits, "lanes activations"),
                input_port(
                    "weight", spec.cols * partial_products.weight_bits(spec), "registered, of the cols PEs"
                ),
                input_port("below", spec.cols * width, "the shadows of the row below"),
                input_port("total_below", total_bits, "its sum of activations"),
                output_port("shadow", spec.cols * width, "cols sums over codes"),
                output_port("total", total_bits, "the sum of their activations"),
            ],
            [self._pe],
        )

    def _build(self, m: Module) -> None:
        spec = self._spec
        act = Signal(len(self.act), name="act_q")
        accepted = named(m, "act_accepted", Mux(self.accept, self.act, 0), len(act))
        m.d.sync += act.eq(accepted)
        operands: Value = act
        if partial_products.in_pairs(spec):
            sums = partial_products.pair_sums(m, spec, accepted)
            pair_sums = Signal(len(sums), name="pair_sums_q")
            m.d.sync += pair_sums.eq(sums)
            operands = partial_products.with_pair_sums(spec, act, pair_sums)
        self._pe.place_each(
            m,
            "pe",
            spec.cols,
            capture=self.capture,
            step=self.step,
            act=operands,
            weight=self.weight,
            below=self.below,
            shadow=self.shadow,
        )
        shape = act_sum_shape(spec, spec.max_reduction)
        growing = Signal(shape, name="act_total")
        kept = named(m, "act_total_kept", Mux(self.capture, 0, growing), shape)
        m.d.sync += growing.eq(named(m, "act_total_next", kept + act_sum(m, spec, act), shape))
        with m.If(self.capture | self.step):
            m.d.sync += self.total.eq(Mux(self.capture, growing, self.total_below))


class ShadowedArray(Block):
    """Rows of PEs behind their operand registers; row 0's sums are offered, those below step up."""

    def __init__(self, spec: HardwareSpec) -> None:
        self._spec = spec
        self._row = ShadowedRow(spec)
        self._choices = partial_products.Choices(spec) if partial_products.in_pairs(spec) else None
        super().__init__(
            f"{spec.name}_array",
            [
                input_port("accept", 1, "a beat of operands"),
                input_port("capture", 1, f"{LATENCY_CYCLES} cycles after a pass's last beat"),
                input_port("step", 1, "the sums move up by a row"),
                input_port("act", spec.rows * spec.lanes * spec.act.bits, "rows x lanes levels"),
                input_port("weight", spec.cols * spec.lanes * spec.weight.bits, "cols x lanes codes"),
                output_port("sums", spec.cols * acc_shape(spec).width, "row 0: cols sums over codes"),
                output_port(
                    "total", act_sum_shape(spec, spec.max_reduction).width, "row 0: sum of activations"
                ),
            ],
            [*([self._choices] if self._choices else []), self._row],
        )

    def _build(self, m: Module) -> None:
        spec = self._spec
        weight = Signal(len(self.weight), name="weight_q")
        m.d.sync += weight.eq(offset_codes(spec, self.weight))
        if self._choices:
            choices = Signal(spec.cols * partial_products.weight_bits(spec))
            self._choices.place(m, "decoder", weight=weight, choices=choices)
            weight = choices
        shadows = Signal(spec.rows * len(self.sums), name="shadows")
        totals = Signal(spec.rows * len(self.total), name="totals")
        self._row.place_each(
            m,
            "row",
            spec.rows,
            accept=self.accept,
            capture=self.capture,
            step=self.step,
            act=self.act,
            weight=weight,
            below=Cat(shadows[len(self.sums) :], Const(0, len(self.sums))),
            total_below=Cat(totals[len(self.total) :], Const(0, len(self.total))),
            shadow=shadows,
            total=totals,
        )
        m.d.comb += [self.sums.eq(shadows[: len(self.sums)]), self.total.eq(totals[: len(self.total)])]
