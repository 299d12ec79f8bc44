"""Sums of products over the lanes of a processing element, and the correction of odd weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from amaranth.hdl import Cat, Const, Module, Shape, Signal, Value

from pact_hw.spec import HardwareSpec, WeightEncoding

from .widths import act_sum_shape, code_sum_shape


def elements(bus: Value, count: int) -> list[Value]:
    """``bus`` cut into ``count`` equal slices, element 0 from the least significant end."""
    width = len(bus) // count
    return [bus[index * width : (index + 1) * width] for index in range(count)]


def assign(m: Module, target: Value, name: str, value: Value) -> None:
    """Make ``target`` ``value``, which is known to fit.

    Amaranth's sums are a bit wider than their operands. Where the bits beyond ``target`` carry
    nothing, they are given a name that says so, and the Verilog shows every bit of every result.
    """
    spare = len(value) - len(target)
    m.d.comb += (Cat(target, Signal(spare, name=f"unused_{name}")) if spare > 0 else target).eq(value)


def named(m: Module, name: str, value: Value, shape: Shape | int) -> Signal:
    """A signal ``name`` of ``shape`` that is ``value``, which is known to fit."""
    signal = Signal(shape, name=name)
    assign(m, signal, name, value)
    return signal


def tree(m: Module, name: str, terms: Sequence[Value], shape: Callable[[int], Shape]) -> Value:
    """The sum of ``terms`` as a balanced tree of signals ``name_FIRST_LAST``.

    ``shape(n)`` is the shape of a sum of n terms.
    """
    spans: list[tuple[int, int, Value]] = [(lane, lane, term) for lane, term in enumerate(terms)]
    while len(spans) > 1:
        above: list[tuple[int, int, Value]] = []
        for (first, _, low), (_, last, high) in zip(spans[::2], spans[1::2], strict=False):
            total = named(m, f"{name}_{first}_{last}", low + high, shape(last - first + 1))
            above.append((first, last, total))
        spans = above + spans[len(above) * 2 :]
    return spans[0][2]


def act_sum(m: Module, spec: HardwareSpec, act: Value) -> Value:
    """The sum of one row's activations, ``act``: ``lanes`` levels."""
    return tree(m, "act_sum", elements(act, spec.lanes), lambda terms: act_sum_shape(spec, terms))


def product_sum(m: Module, spec: HardwareSpec, act: Value, code: Value) -> Value:
    """Sum over the lanes of activation times weight code, exact; shape ``code_sum_shape(lanes)``.

    ``act`` and ``code`` are ``lanes`` levels and codes. One-bit operands are ANDs, not multipliers.
    """
    one_bit = spec.weight.bits == 1
    is_signed = spec.weight.encoding is WeightEncoding.TWOS_COMPLEMENT
    acts = elements(act, spec.lanes)
    codes = elements(code, spec.lanes)
    if is_signed and not one_bit:
        codes = [value.as_signed() for value in codes]

    def shape(terms: int) -> Shape:
        return act_sum_shape(spec, terms) if one_bit else code_sum_shape(spec, terms)

    def product(a: Value, w: Value) -> Value:
        if one_bit:
            return a & w.replicate(len(a))
        if spec.act.bits == 1:
            return w & a.replicate(len(w))
        return a * w

    products = [
        named(m, f"product_{lane}", product(a, w), shape(1))
        for lane, (a, w) in enumerate(zip(acts, codes, strict=True))
    ]
    total = tree(m, "sum", products, shape)
    # A one-bit two's-complement weight is 0 or -1: one negation serves all lanes.
    if one_bit and is_signed:
        return named(m, "negated_sum", -total, code_sum_shape(spec, spec.lanes))
    return total


def excess(m: Module, spec: HardwareSpec, total: Value) -> Value:
    """``(2**bits - 1) * total``: what twice a sum over odd codes is too large by.

    The weight of code q is ``2 q - (2**bits - 1)`` (``WeightEncoding.ODD``), so a sum of
    activations a times weights is ``2 sum(a q) - (2**bits - 1) sum(a)``; ``total`` is ``sum(a)``.
    """
    shape = Shape(len(total) + spec.weight.bits)
    return named(m, "excess", (total << spec.weight.bits) - total, shape)


def corrected(spec: HardwareSpec, acc: Value, too_large_by: Value | None) -> Value:
    """The exact sum of products; its lowest ``acc_bits`` bits hold it in two's complement.

    ``acc`` is a sum over codes; ``too_large_by`` is ``excess`` for odd weights, else None.
    """
    if too_large_by is None:
        return Cat(acc, acc[-1].replicate(spec.acc_bits - len(acc)))
    doubled = Cat(Const(0, 1), acc)
    return Cat(doubled, Const(0, spec.acc_bits - len(doubled))) - too_large_by
