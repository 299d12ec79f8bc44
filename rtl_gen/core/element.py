"""The core's PE: while its sum leaves through a shadow register, it computes the next one."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from pact_hw.spec import CoreSpec
from pact_hw.spec.core import Depthwise

from .. import partial_products
from ..arithmetic import named, product_sum
from ..block import Block, input_port, output_port
from ..structure import is_placed, multiply_add
from ..widths import acc_shape, code_sum_shape


class ShadowedElement(Block):
    """Multipliers, one reduction, one accumulator, and a shadow register through which its sum leaves."""

    def __init__(self, core: CoreSpec) -> None:
        spec = core.array
        self._spec = spec
        self._diagonal = core.depthwise is Depthwise.DIAGONAL
        width = acc_shape(spec).width
        act_bits = partial_products.act_bits(spec)
        acts = [input_port("act", act_bits, "activations, zero when idle")]
        if self._diagonal:
            acts = [
                input_port("row_act", act_bits, "activations, zero when idle, or in favour of its own"),
                input_port("own", spec.act.bits, "its own activation in lane 0, or zero"),
            ]
        super().__init__(
            f"{spec.name}_pe",
            [
                input_port("capture", 1, "the sum goes to the shadow, a new one begins"),
                input_port("step", 1, "take the shadow of the row below"),
                *acts,
                input_port("weight", partial_products.weight_bits(spec), "weight codes, or choices of pairs"),
                input_port("below", width, "the shadow of the row below"),
                output_port("shadow", width, "sum over activations times codes"),
            ],
        )

    def _act(self, m: Module) -> Value:
        """What is multiplied: in pairs lane 0 is also in the sum of lanes 0 and 1."""
        if not self._diagonal:
            return self.act
        bits, width = self._spec.act.bits, len(self.row_act)
        own: Value = self.own
        if partial_products.in_pairs(self._spec):
            own = Cat(own, Const(0, bits), own)
        return named(m, "act", self.row_act | Cat(own, Const(0, width - len(own))), width)

    def _build(self, m: Module) -> None:
        spec = self._spec
        total = product_sum(
            m,
            partial_products.terms(spec, self._act(m), self.weight),
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
        act = []
        if self._diagonal:
            bits, whole = self._spec.act.bits, len(self.row_act)
            own = ["own"]
            if partial_products.in_pairs(self._spec):
                own = ["own", f"{bits}'b0", "own"]
            spare = whole - bits * len(own)
            words = "{" + ", ".join([f"{spare}'b0"] * (spare > 0) + own) + "}"
            act = [f"wire [{whole - 1}:0] act = row_act | {words};"]
        return [
            *act,
            f"reg {span} acc;",
            f"wire {span} feedback = acc & {{{width}{{~capture}}}};",
            *lines,
            f"always @(posedge clk) acc <= {total};",
            "always @(posedge clk) if (capture | step) shadow <= capture ? acc : below;",
        ]
