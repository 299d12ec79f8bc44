"""The correction of a row's codes in half a nanosecond: long differences in two halves."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from pact_hw.spec import HardwareSpec, WeightEncoding

from .arithmetic import corrected, delayed, excess, named
from .block import Block, input_port, output_port

SLOW_BITS = 24
"""A longer difference takes more than half a nanosecond in ASAP7."""


class UpperDifference(Block):
    """The upper half of a difference, for both borrows; a module, lest synthesis share one subtractor."""

    def __init__(self, spec: HardwareSpec) -> None:
        self.width = spec.acc_bits - spec.acc_bits // 2
        super().__init__(
            f"{spec.name}_upper_difference",
            [
                input_port("a", self.width, "upper half of the minuend"),
                input_port("b", self.width, "upper half of the subtrahend"),
                output_port("difference", self.width, "a - b"),
                output_port("less_1", self.width, "a - b - 1"),
            ],
            clocked=False,
        )

    def _build(self, m: Module) -> None:
        not_b = named(m, "not_b", ~self.b, self.width)
        m.d.comb += [
            self.difference.eq(named(m, "exact", self.a - self.b, self.width)),
            self.less_1.eq(named(m, "exact_less_1", self.a + not_b, self.width)),
        ]


def upper_difference(spec: HardwareSpec) -> UpperDifference | None:
    """What ``registered_excess`` and ``corrected_fast`` need, if anything."""
    return UpperDifference(spec) if spec.tree_stages and spec.acc_bits > SLOW_BITS else None


def registered_excess(m: Module, spec: HardwareSpec, total: Value, upper: UpperDifference | None) -> Value:
    """``arithmetic.excess`` a cycle later, which ``acc_bits`` bits hold; the halves of a long one at once."""
    if spec.weight.encoding is not WeightEncoding.ODD:
        return excess(m, spec, delayed(m, "act_total_q", total, 1))
    if upper is None:
        return delayed(m, "excess_q", excess(m, spec, total), 1)
    halves = _in_halves(m, spec, "excess", total << spec.weight.bits, total, upper)
    return delayed(m, "excess_q", halves, 1)


def corrected_fast(
    m: Module, spec: HardwareSpec, acc: Value, too_large_by: Value, upper: UpperDifference | None
) -> Value:
    """``arithmetic.corrected`` modulo 2**acc_bits, the halves of a long one at once."""
    if upper is None:
        return named(m, "exact", corrected(spec, acc, too_large_by), spec.acc_bits)
    if spec.weight.encoding is WeightEncoding.ODD:
        acc = Cat(Const(0, 1), acc)
    return _in_halves(m, spec, "sum", acc, too_large_by, upper)


def _in_halves(m: Module, spec: HardwareSpec, name: str, a: Value, b: Value, upper: UpperDifference) -> Value:
    """``a - b`` modulo 2**acc_bits."""
    a, b = (Cat(value, Const(0, spec.acc_bits))[: spec.acc_bits] for value in (a, b))
    half = spec.acc_bits - upper.width
    lower = named(m, f"{name}_lower", a[:half] - b[:half], half + 1)  # its highest bit: a borrow
    difference, less_1 = (Signal(upper.width, name=f"{name}_upper{end}") for end in ("", "_less_1"))
    upper.place(m, f"{name}_difference", a=a[half:], b=b[half:], difference=difference, less_1=less_1)
    chosen = named(m, f"{name}_upper_chosen", Mux(lower[half], less_1, difference), upper.width)
    return Cat(lower[:half], chosen)
