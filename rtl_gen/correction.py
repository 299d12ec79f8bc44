"""The correction of a row's codes; with stages in half a nanosecond: long differences in two halves."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from pact_hw.spec import HardwareSpec, WeightEncoding

from .arithmetic import assign, corrected, delayed, excess, named
from .block import Block, input_port, output_port
from .carry_save import value, words

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
    return UpperDifference(spec) if _in_halves(spec) else None


def _in_halves(spec: HardwareSpec) -> bool:
    return spec.tree_stages > 0 and spec.acc_bits > SLOW_BITS


def excess_bits(spec: HardwareSpec) -> int:
    """Bits of what a row's sums are too large by."""
    total_bits = (spec.max_reduction * spec.act.max).bit_length()
    if spec.weight.encoding is not WeightEncoding.ODD:
        return total_bits + spec.weight.bits - 1
    return spec.acc_bits if _in_halves(spec) else total_bits + spec.weight.bits


def exact_sum(
    m: Module,
    spec: HardwareSpec,
    acc: Value,
    carries: Sequence[int],
    too_large_by: Value,
    upper: UpperDifference | None,
) -> Value:
    """What a PE's accumulator, with its ``carries``, stands for; its lowest ``acc_bits`` bits are exact."""
    acc = value(m, "acc_sum", acc, carries)
    if spec.tree_stages:
        return corrected_fast(m, spec, acc, too_large_by, upper)
    return corrected(spec, acc, too_large_by)


def sum_at_once(m: Module, spec: HardwareSpec, acc: Value, carries: Sequence[int], total: Value) -> Value:
    """As ``exact_sum`` without stages, but from the sum of activations ``total``, with one carry chain."""
    found, *others = words(acc, carries)
    bits = spec.weight.bits
    if spec.weight.encoding is WeightEncoding.ODD:
        found, *others = [Cat(Const(0, 1), word) for word in (found, *others)]
        others.append(total)
    else:
        bits -= 1
    for number, word in enumerate(others):
        more = found + word
        found = named(m, f"added_{number}", more, more.shape())
    difference = found - (total << bits)
    # A wider sum gets copies of the sign of a signal, not of itself.
    wider = spec.acc_bits > len(difference)
    return named(m, "difference", difference, difference.shape()) if wider else difference


class ColumnSum(Block):
    """The exact sum of one column of a row: where all leave at once, each has its own."""

    def __init__(
        self, spec: HardwareSpec, *, acc_bits: int, carries: Sequence[int], upper: UpperDifference | None
    ) -> None:
        self._spec, self._carries, self._upper = spec, carries, upper
        staged = spec.tree_stages > 0
        super().__init__(
            f"{spec.name}_column_sum",
            [
                *([input_port("advance", 1, "take the sum")] if staged else []),
                input_port("acc", acc_bits, "a PE's sum over codes"),
                input_port("excess", excess_bits(spec), "what the row's sums are too large by"),
                output_port("sum", spec.acc_bits, "exact sum, two's complement"),
            ],
            [self._upper] if self._upper else [],
            clocked=staged,
        )

    def _build(self, m: Module) -> None:
        found = exact_sum(m, self._spec, self.acc, self._carries, self.excess, self._upper)
        if not self._spec.tree_stages:
            assign(m, self.sum, "sum", found)
            return
        with m.If(self.advance):
            m.d.sync += self.sum.eq(found)


def registered_excess(m: Module, spec: HardwareSpec, total: Value, upper: UpperDifference | None) -> Value:
    """``arithmetic.excess`` a cycle later, which ``acc_bits`` bits hold; the halves of a long one at once."""
    if spec.weight.encoding is not WeightEncoding.ODD:
        return excess(m, spec, delayed(m, "act_total_q", total, 1))
    if upper is None:
        return delayed(m, "excess_q", excess(m, spec, total), 1)
    halves = _difference(m, spec, "excess", total << spec.weight.bits, total, upper)
    return delayed(m, "excess_q", halves, 1)


def corrected_fast(
    m: Module, spec: HardwareSpec, acc: Value, too_large_by: Value, upper: UpperDifference | None
) -> Value:
    """``arithmetic.corrected`` modulo 2**acc_bits, the halves of a long one at once."""
    if upper is None:
        return named(m, "exact", corrected(spec, acc, too_large_by), spec.acc_bits)
    if spec.weight.encoding is WeightEncoding.ODD:
        acc = Cat(Const(0, 1), acc)
    return _difference(m, spec, "sum", acc, too_large_by, upper)


def _difference(
    m: Module, spec: HardwareSpec, name: str, a: Value, b: Value, upper: UpperDifference
) -> Value:
    """``a - b`` modulo 2**acc_bits."""
    a, b = (Cat(word, Const(0, spec.acc_bits))[: spec.acc_bits] for word in (a, b))
    half = spec.acc_bits - upper.width
    lower = named(m, f"{name}_lower", a[:half] - b[:half], half + 1)  # its highest bit: a borrow
    difference, less_1 = (Signal(upper.width, name=f"{name}_upper{end}") for end in ("", "_less_1"))
    upper.place(m, f"{name}_difference", a=a[half:], b=b[half:], difference=difference, less_1=less_1)
    chosen = named(m, f"{name}_upper_chosen", Mux(lower[half], less_1, difference), upper.width)
    return Cat(lower[:half], chosen)
