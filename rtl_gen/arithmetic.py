"""Sums of products over the lanes of a processing element."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Value

from pact_hw.spec import WeightEncoding, WeightFormat


def tree(terms: Sequence[Value]) -> Value:
    """The sum of ``terms`` as a balanced tree: log2(n) more bits, never n - 1."""
    level = list(terms)
    while len(level) > 1:
        pairs = [a + b for a, b in zip(level[::2], level[1::2], strict=False)]
        level = pairs + level[len(pairs) * 2 :]
    return level[0]


def lanes_of(bus: Value, bits: int) -> list[Value]:
    """``bus`` cut into ``bits``-wide unsigned slices, lane 0 from the least significant end."""
    return [bus[start : start + bits] for start in range(0, len(bus), bits)]


def product_sum(act: Value, codes: Value, *, act_bits: int, weight: WeightFormat) -> Value:
    """Sum over the lanes of activation level times weight *code*, exact.

    Odd codes are multiplied as the unsigned numbers that they are (``correction`` makes the rest of
    ``2 q - (2**bits - 1)``, once per row); two's-complement codes as signed numbers.
    """
    signed = weight.encoding is WeightEncoding.TWOS_COMPLEMENT
    codes_by_lane = [code.as_signed() if signed else code for code in lanes_of(codes, weight.bits)]
    return tree([a * w for a, w in zip(lanes_of(act, act_bits), codes_by_lane, strict=True)])


def correction(act_sum: Value, weight: WeightFormat) -> Value:
    """``(2**bits - 1) * act_sum``: what an odd-coded sum of ``2 a q`` is too large by."""
    return (act_sum << weight.bits) - act_sum
