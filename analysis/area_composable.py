"""The counts that a composable array's area is a sum of (``rtl_gen.composition`` says what it is made of).

n x n *bricks* a lane multiply chunks of both operands; bricks of the same shift are summed over all lanes,
and where operands are joined, these sums are shifted. So the price beside a fixed array of the same widths
is the multiplexers of shifted sums, a carry-propagating adder for each, and the words' arrangement.
"""

from __future__ import annotations

from collections import Counter
from itertools import product

from pact_hw.spec import HardwareSpec, WeightEncoding

Key = tuple[int, ...]
"""As ``rtl_gen.composition.Key``: by level, the highest first, how many chunks' places."""


def shifted_sums(spec: HardwareSpec) -> list[tuple[int, int]]:
    """Of every sum that a PE shifts where operands are joined: its bits, and by how many at most."""
    chunk, levels = spec.narrowest_bits, len(spec.modes) - 1
    most: dict[Key, int] = Counter()
    for key in product((0, 1, 1, 2), repeat=levels):
        most[key] += spec.lanes * ((1 << chunk) - 1) ** 2
    found = []
    for level in range(levels):
        merged: dict[Key, int] = Counter()
        for key, sum_most in most.items():
            shift = key[-1] * chunk << level
            merged[key[:-1]] += sum_most << shift
            if shift:
                found.append((sum_most.bit_length(), shift))
        most = merged
    return found


def composable_pe(spec: HardwareSpec, acc_bits: int) -> dict[str, float]:
    """Of a PE with an accumulator of ``acc_bits``."""
    shifted = shifted_sums(spec)
    return {
        "brick bits": spec.lanes * spec.act.bits * spec.weight.bits,
        "shifted sum bits": sum(bits for bits, _ in shifted),
        "shifted bits": sum(bits + shift for bits, shift in shifted),
        "composable accumulator bits": acc_bits,
        "composable columns": spec.act.bits + spec.weight.bits - 1,
        "composable one": 1,
    }


def composable_row(spec: HardwareSpec, total_bits: int) -> dict[str, float]:
    """Of a row whose sums of activations have ``total_bits``."""
    word_bits = spec.lanes * spec.act.bits
    scaled = (total_bits + spec.weight.bits) * (len(spec.modes) - 1)
    return {
        "composable operand bits": word_bits * spec.operand_words,
        "arranged bits": word_bits * (spec.operand_words - 1),
        "composable total bits": total_bits,
        "composable corrected bits": spec.acc_bits,
        "scaled bits": scaled,
        "composable excess bits": scaled * (spec.weight.encoding is WeightEncoding.ODD),
        "composable one": 1,
    }


def composable_control(spec: HardwareSpec) -> dict[str, float]:
    """Of what is there once: the registered weights of all columns and their arrangement, and control."""
    word_bits = spec.cols * spec.lanes * spec.weight.bits
    return {
        "composable weight bits": word_bits * spec.operand_words,
        "arranged weight bits": word_bits * (spec.operand_words - 1),
        "counter bits": (spec.cols - 1).bit_length(),
        "composable": 1.0,
    }
