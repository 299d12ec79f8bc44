"""Sums of products over the lanes of a processing element, and the correction of their codes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from amaranth.hdl import Cat, Const, Module, Shape, Signal, Value, unsigned

from pact_hw.spec import HardwareSpec, WeightEncoding

from .widths import beat_act_sum_shape


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


def delayed(m: Module, name: str, value: Value, cycles: int) -> Value:
    """``value``, ``cycles`` registers later."""
    for cycle in range(1, cycles + 1):
        value = registered(m, f"{name}_{cycle}", value)
    return value


def registered(m: Module, name: str, value: Value) -> Signal:
    """A register ``name``, without a reset: ``value`` a cycle later."""
    register = Signal(len(value), name=name, reset_less=True)
    m.d.sync += register.eq(value)
    return register


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
    """The sum of one row's activations of a beat, ``act``: ``lanes`` levels, or bits of them."""
    return tree(m, "act_sum", elements(act, spec.lanes), lambda terms: beat_act_sum_shape(spec, terms))


def product_sum(
    m: Module, terms: Sequence[tuple[Value, Value]], shape: Callable[[int], Shape], *, in_pairs: bool = False
) -> Value:
    """The sum of the products of ``terms``, exact, every factor unsigned.

    ``shape(n)`` is the shape of a sum over n lanes. One-bit factors are ANDs, not multipliers.
    Of two lanes in pair form, which have three terms, no more is wanted than that their sum fits.
    """

    def product(a: Value, w: Value) -> Value:
        if len(w) == 1:
            return a & w.replicate(len(a))
        if len(a) == 1:
            return w & a.replicate(len(w))
        return a * w

    def product_shape(a: Value, w: Value) -> Shape:
        longest = ((1 << len(a)) - 1) * ((1 << len(w)) - 1)
        return unsigned(longest.bit_length())

    products = [
        named(m, f"product_{number}", product(a, w), product_shape(a, w))
        for number, (a, w) in enumerate(terms)
    ]
    if not in_pairs:
        return tree(m, "sum", products, shape)
    pairs = []
    for pair, (a, b, both) in enumerate(zip(products[::3], products[1::3], products[2::3], strict=True)):
        either = named(m, f"pair_{pair}_either", a + b, shape(2))
        pairs.append(named(m, f"pair_{pair}", either + both, shape(2)))
    return tree(m, "sum", pairs, lambda pairs: shape(2 * pairs))


def offset_codes(spec: HardwareSpec, codes: Value) -> Value:
    """The unsigned codes that PEs multiply by: two's complement has its highest bits inverted."""
    if spec.weight.encoding is WeightEncoding.ODD:
        return codes
    bits = spec.weight.bits
    return Cat(*(Cat(code[:-1], ~code[-1]) for code in elements(codes, len(codes) // bits)))


def excess(m: Module, spec: HardwareSpec, total: Value) -> Value:
    """What a sum over codes is too large by; ``total`` is the sum of its activations a.

    ODD: the weight of code q is ``2 q - (2**bits - 1)``, so that a sum of products is
    ``2 sum(a q) - (2**bits - 1) sum(a)``. Two's complement, by ``offset_codes``: it is
    ``q - 2**(bits - 1)``, so that a sum is ``sum(a q) - 2**(bits - 1) sum(a)``.
    """
    if spec.weight.encoding is WeightEncoding.TWOS_COMPLEMENT:
        return total << (spec.weight.bits - 1)
    shape = Shape(len(total) + spec.weight.bits)
    return named(m, "excess", (total << spec.weight.bits) - total, shape)


def corrected(spec: HardwareSpec, acc: Value, too_large_by: Value) -> Value:
    """The exact sum of products; its lowest ``acc_bits`` bits hold it in two's complement.

    ``acc`` is a sum over codes, and ``too_large_by`` its ``excess``.
    """
    if spec.weight.encoding is WeightEncoding.ODD:
        acc = Cat(Const(0, 1), acc)
    return Cat(acc, Const(0, max(0, spec.acc_bits - len(acc)))) - too_large_by
