"""The core's array where operands are composable: the PE and the row (``rtl_gen.composition``)."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal

from pact_hw.spec import CoreSpec

from ..arithmetic import named
from ..block import Block, input_port, output_port
from ..composable_structure import structure
from ..composition import beat_total, brick_sum, levels
from ..structure import is_placed
from ..widths import acc_shape, act_sum_shape


class ComposableShadowedElement(Block):
    """Bricks, one reduction, one accumulator, and a shadow register through which its sum leaves."""

    def __init__(self, core: CoreSpec) -> None:
        spec = core.array
        self._spec = spec
        width = acc_shape(spec).width
        words = spec.lanes * spec.operand_words * spec.act.bits
        super().__init__(
            f"{spec.name}_pe",
            [
                input_port("capture", 1, "the sum goes to the shadow, a new one begins"),
                input_port("step", 1, "take the shadow of the row below"),
                input_port("joined", levels(spec), "from the narrowest on: are operands joined in pairs?"),
                input_port("act", words, "words of the lanes, for the bricks, zero when idle"),
                input_port("weight", words, "words of the lanes, for the bricks"),
                input_port("below", width, "the shadow of the row below"),
                output_port("shadow", width, "sum over activations times codes"),
            ],
        )

    def _build(self, m: Module) -> None:
        shape = acc_shape(self._spec)
        total = brick_sum(m, self._spec, self.act, self.weight, self.joined)
        acc = Signal(shape)
        feedback = named(m, "feedback", Mux(self.capture, 0, acc), shape)
        m.d.sync += acc.eq(named(m, "acc_next", feedback + total, shape))
        with m.If(self.capture | self.step):
            m.d.sync += self.shadow.eq(Mux(self.capture, acc, self.below))

    def structure(self) -> list[str] | None:
        """As ``Block.structure``: adders placed one by one."""
        if not is_placed(self._spec):
            return None
        width = len(self.shadow)
        return [
            f"reg [{width - 1}:0] acc;",
            *structure(self._spec, width, f"acc & {{{width}{{~capture}}}}"),
            "always @(posedge clk) if (capture | step) shadow <= capture ? acc : below;",
        ]


class ComposableTotal(Block):
    """The sum of a row's activations since the last clear."""

    def __init__(self, core: CoreSpec) -> None:
        spec = core.array
        self._spec = spec
        self._shape = act_sum_shape(spec, spec.max_reduction)
        super().__init__(
            f"{spec.name}_act_total",
            [
                input_port("clear", 1, "forget the sum; this cycle's activations still count"),
                input_port("joined", levels(spec), "from the narrowest on: are operands joined in pairs?"),
                input_port("act", spec.lanes * spec.operand_words * spec.act.bits, "words, zero when idle"),
                output_port("total", self._shape.width, "sum of activations"),
            ],
        )

    def _build(self, m: Module) -> None:
        beat = beat_total(m, self._spec, self.act, self.joined)
        kept = named(m, "kept", Mux(self.clear, 0, self.total), self._shape)
        m.d.sync += self.total.eq(named(m, "total_next", kept + beat, self._shape))
