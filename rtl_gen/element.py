"""The processing element: lanes of products, one sum, one accumulator."""

from __future__ import annotations

from amaranth.hdl import Const, Module, Mux, Signal, Value

from pact_hw.design import Port
from pact_hw.spec import Drain, HardwareSpec

from . import partial_products
from .arithmetic import delayed, named, product_sum
from .block import Block, input_port, output_port
from .carry_save import value
from .structure import is_placed, multiply_accumulate
from .widths import acc_shape, code_sum_shape


class Element(Block):
    """A processing element of an output-stationary array."""

    acc: Signal
    carries: tuple[int, ...] = ()
    """What ``acc`` keeps for the next cycle (``carry_save``)."""

    def _feedback(self, spec: HardwareSpec, kept: Value) -> Value:
        """What products are added to: ``kept``, or in a shift what comes instead."""
        return Mux(self.shift, self.acc_in if spec.drain is Drain.SHIFT else Const(0, len(self.acc)), kept)


def shift_port(spec: HardwareSpec) -> Port:
    """What makes sums leave; the activations are zero then."""
    meaning = "take the right neighbour's accumulator" if spec.drain is Drain.SHIFT else "begin a new sum"
    return input_port("shift", 1, meaning)


def acc_in_ports(spec: HardwareSpec, width: int) -> list[Port]:
    """Where sums come from, if they leave by a shift."""
    if spec.drain is not Drain.SHIFT:
        return []
    return [input_port("acc_in", width, "the right neighbour's accumulator")]


def feedback_text(spec: HardwareSpec, width: int) -> str:
    """``Element._feedback`` of ``acc`` as Verilog."""
    return "shift ? acc_in : acc" if spec.drain is Drain.SHIFT else f"acc & {{{width}{{~shift}}}}"


class ProcessingElement(Element):
    """Multipliers, one reduction, one accumulator; idle while the activations are zero.

    The next accumulator is ``acc_in`` in a shift, else ``acc``, plus the sum of products: the choice is
    made where there is time for it, and in a shift the activations are zero.
    """

    def __init__(self, spec: HardwareSpec) -> None:
        self._spec = spec
        self._lines: list[str] | None
        self._lines, self.carries = multiply_accumulate(spec) if is_placed(spec) else (None, ())
        width = acc_shape(spec).width + len(self.carries)
        held = "sum over activations times codes"
        if self.carries:
            held += f"; its last bits: carries to add in columns {', '.join(map(str, self.carries))}"
        acts, weights = "lanes activations", "lanes weight codes"
        if partial_products.in_pairs(spec):
            acts = "activations a, b and a + b of each two lanes"
            weights = "of each two lanes a word each: only a, only b, both"
        super().__init__(
            f"{spec.name}_pe",
            [
                shift_port(spec),
                input_port("act", partial_products.act_bits(spec), f"{acts}, zero when idle"),
                input_port("weight", partial_products.weight_bits(spec), weights),
                *acc_in_ports(spec, width),
                output_port("acc", width, held),
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
        total = delayed(m, "total", total, spec.tree_stages)
        feedback = named(m, "feedback", self._feedback(spec, self.acc), len(self.acc))
        feedback = value(m, "feedback_sum", feedback, self.carries)
        register = Signal(acc_shape(spec), name="acc_q") if self.carries else self.acc
        m.d.sync += register.eq(named(m, "acc_next", feedback + total, acc_shape(spec)))
        if self.carries:
            m.d.comb += self.acc.eq(register)  # no carries: simulators add at once

    def structure(self) -> list[str] | None:
        """As ``Block.structure``: adders placed one by one."""
        if self._lines is None:
            return None
        width = len(self.acc)
        return [f"wire [{width - 1}:0] feedback = {feedback_text(self._spec, width)};", *self._lines]
