"""The core's array: sums leave it by rows, while the next ones are computed.

Output stationary as ``rtl_gen.output_stationary``, but each PE has a shadow register: ``capture`` moves
all sums there at once and begins new ones; then ``step`` moves the shadows up by a row. So the array
never waits for its sums to leave, unless they take longer than the next pass.

Depthwise (``Depthwise.DIAGONAL``): in lane 0 each column has an activation of its own, all others are 0.
Its sum would be needed in each PE to correct for codes. So a negative weight is its magnitude there, times
the complement of the activation; what that is too much is known beforehand (``spec.program``).
"""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from pact_hw.design import Port
from pact_hw.spec import CoreSpec, HardwareSpec, WeightEncoding
from pact_hw.spec.core import Depthwise
from pact_hw.spec.core_widths import mode_bits

from .. import partial_products
from ..act_total import ActivationTotal
from ..arithmetic import elements, named, offset_codes
from ..block import Block, input_port, output_port
from ..composition import OperandWords, joining, levels
from ..widths import acc_shape, act_sum_shape
from .composable import ComposableShadowedElement, ComposableTotal
from .element import ShadowedElement

LATENCY_CYCLES = 2
"""From accepting operands to the cycle in which ``capture`` takes their sum: operand register, sum."""


class ShadowedRow(Block):
    """A row of PEs that share activations, and the sum of these, which the codes' meaning asks for."""

    def __init__(self, core: CoreSpec) -> None:
        spec = core.array
        self._spec = spec
        self._diagonal = core.depthwise is Depthwise.DIAGONAL
        self._pe = ComposableShadowedElement(core) if spec.modes else ShadowedElement(core)
        self._total = ComposableTotal(core) if spec.modes else ActivationTotal(spec)
        self._words = OperandWords(spec, "act") if spec.modes else None
        words = spec.operand_words
        width = acc_shape(spec).width
        total_bits = act_sum_shape(spec, spec.max_reduction).width
        super().__init__(
            f"{spec.name}_row",
            [
                input_port("accept", 1, "a beat is accepted: register its activations, else zero"),
                input_port("capture", 1, "sums go to the shadows"),
                input_port("step", 1, "shadows move up by a row"),
                input_port("act", spec.lanes * words * spec.act.bits, "lanes activations"),
                *(_own_ports(spec, 1) if self._diagonal else []),
                *([_joined_port(spec)] if spec.modes else []),
                input_port(
                    "weight",
                    spec.cols * words * partial_products.weight_bits(spec),
                    "registered, of the cols PEs",
                ),
                input_port("below", spec.cols * width, "the shadows of the row below"),
                input_port("total_below", total_bits, "its sum of activations"),
                output_port("shadow", spec.cols * width, "cols sums over codes"),
                output_port("total", total_bits, "the sum of their activations"),
            ],
            [self._pe, self._total, *([self._words] if self._words else [])],
        )

    def _build(self, m: Module) -> None:
        spec = self._spec
        act = Signal(len(self.act), name="act_q")
        accept: Value = self.accept
        offered: Value = self.act
        joined = {}
        if self._words:
            joined = {"joined": self.joined}
            offered = Signal(len(self.act), name="act_words")
            self._words.place(m, "arrangement", joins=self.joined, operands=self.act, words=offered)
        own = {}
        if self._diagonal:
            accept = named(m, "accept_row", accept & ~self.diagonal, 1)
            own = {"own": self._own(m)}
        accepted = named(m, "act_accepted", Mux(accept, offered, 0), len(act))
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
            **{"row_act" if self._diagonal else "act": operands},
            **own,
            **joined,
            weight=self.weight,
            below=self.below,
            shadow=self.shadow,
        )
        shape = act_sum_shape(spec, spec.max_reduction)
        growing = Signal(shape, name="act_total")
        self._total.place(m, "act_totals", clear=self.capture, act=act, total=growing, **joined)
        with m.If(self.capture | self.step):
            m.d.sync += self.total.eq(Mux(self.capture, growing, self.total_below))

    def _own(self, m: Module) -> Value:
        """Each PE's own activation, or its complement; zero where there is none."""
        own = Signal(len(self.own), name="own_q")
        m.d.sync += own.eq(Mux(self.accept & self.diagonal, self.own, 0))
        levels = zip(elements(own, self._spec.cols), self.sign, strict=True)
        return Cat(*(level ^ sign.replicate(len(level)) for level, sign in levels))


def _own_ports(spec: HardwareSpec, rows: int) -> list[Port]:
    """What a row (or all) gets for depthwise convolutions."""
    return [
        input_port("diagonal", 1, "columns read activations of their own"),
        input_port("own", rows * spec.cols * spec.act.bits, "one of each column"),
        *([input_port("sign", spec.cols, "registered: take the complement")] if rows == 1 else []),
    ]


def _joined_port(spec: HardwareSpec) -> Port:
    return input_port("joined", levels(spec), "from the narrowest on: are operands joined in pairs?")


class ShadowedArray(Block):
    """Rows of PEs behind their operand registers; row 0's sums are offered, those below step up."""

    def __init__(self, core: CoreSpec) -> None:
        spec = core.array
        self._spec = spec
        self._diagonal = core.depthwise is Depthwise.DIAGONAL
        self._row = ShadowedRow(core)
        self._choices = partial_products.Choices(spec) if partial_products.in_pairs(spec) else None
        self._words = OperandWords(spec, "weight") if spec.modes else None
        words = spec.operand_words
        super().__init__(
            f"{spec.name}_array",
            [
                input_port("accept", 1, "a beat of operands"),
                input_port("capture", 1, f"{LATENCY_CYCLES} cycles after a pass's last beat"),
                input_port("step", 1, "the sums move up by a row"),
                input_port("act", spec.rows * spec.lanes * words * spec.act.bits, "rows x lanes levels"),
                *(_own_ports(spec, spec.rows) if self._diagonal else []),
                *([input_port("mode", mode_bits(core), "of the operation")] if spec.modes else []),
                input_port("weight", spec.cols * spec.lanes * words * spec.weight.bits, "cols x lanes codes"),
                output_port("sums", spec.cols * acc_shape(spec).width, "row 0: cols sums over codes"),
                output_port(
                    "total", act_sum_shape(spec, spec.max_reduction).width, "row 0: sum of activations"
                ),
            ],
            [*filter(None, (self._choices, self._words)), self._row],
        )

    def _build(self, m: Module) -> None:
        spec = self._spec
        weight = Signal(len(self.weight), name="weight_q")
        joined = {}
        if self._words:
            joined = {"joined": joining(m, spec, self.mode)}
            codes: Value = Signal(len(self.weight), name="weight_words")
            self._words.place_each(
                m, "arrangement", spec.cols, joins=joined["joined"], operands=self.weight, words=codes
            )
        else:
            codes = offset_codes(spec, self.weight)
        own = {}
        if self._diagonal:
            sign = Signal(spec.cols)
            columns = elements(self.weight, spec.cols)
            signs = Cat(*(column[spec.weight.bits - 1] for column in columns))
            m.d.sync += sign.eq(Mux(self.accept & self.diagonal, signs, 0))
            magnitudes = Cat(
                *(
                    Cat(_magnitude(m, spec, number, column[: spec.weight.bits]), column[spec.weight.bits :])
                    for number, column in enumerate(columns)
                )
            )
            codes = Mux(self.diagonal, magnitudes, codes)
            own = {"diagonal": self.diagonal, "own": self.own, "sign": sign}
        m.d.sync += weight.eq(codes)
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
            **own,
            **joined,
            weight=weight,
            below=Cat(shadows[len(self.sums) :], Const(0, len(self.sums))),
            total_below=Cat(totals[len(self.total) :], Const(0, len(self.total))),
            shadow=shadows,
            total=totals,
        )
        m.d.comb += [self.sums.eq(shadows[: len(self.sums)]), self.total.eq(totals[: len(self.total)])]


def _magnitude(m: Module, spec: HardwareSpec, column: int, code: Value) -> Value:
    """What a column's PEs multiply their own activations, or the complements of these, by."""
    if spec.weight.encoding is WeightEncoding.ODD:  # the code is sign and magnitude
        return Cat(Const(1, 1), code[:-1])
    negated = named(m, f"negated_{column}", -code, len(code))
    return Mux(code[-1], negated, code)
