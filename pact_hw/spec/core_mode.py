"""How a core's array can be set: of a composable one, in each of its modes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from .hardware import HardwareSpec


@dataclass(frozen=True, kw_only=True)
class CoreMode:
    """What activations and weights are in an operation whose field ``mode`` is ``index``.

    A core with a fixed array has one mode. A tensor lies in the activation buffer in codes of one mode's
    width; a matrix operation multiplies in the mode of the tensor that it reads.
    """

    index: int
    """What the fields of an operation say."""
    bits: int
    """Of an activation's code."""
    weight_bits: int
    lanes: int
    """Products that a PE adds up in a beat."""
    word_channels: int
    """Codes in a word of the activation buffer."""
    beat_parts: int
    """Lane groups that a beat reads: operands in a word of the widest width."""
    level_parts: int
    """Column groups that ``cols`` codes take."""
    operand_words: int
    """Words of the widest width that a lane's operand port has."""

    @cached_property
    def lane_order(self) -> tuple[int, ...]:
        """Of each code of a word: ``beat * lanes + lane``, where it is multiplied.

        Word ``(block * lanes + lane) * n + used * n/k + offset`` of the widest width, with its k codes, goes
        to the port's word ``used * n/k`` of the lane, in beat ``block * n/k + ...`` of the lane group that
        ``spec.program`` gives for ``offset``.
        """
        k, n = self.beat_parts, self.operand_words
        wide_lanes, groups = self.lanes // k**2, n // k
        order = []
        for code in range(self.word_channels):
            word, place = divmod(code, k)
            block, word = divmod(word, wide_lanes * n)
            lane, word = divmod(word, n)
            used, offset = divmod(word, groups)
            beat = block * groups + reversed_bits(offset, groups)
            order.append(beat * self.lanes + lane * k * k + used * k + place)
        return tuple(order)

    def beats(self, codes: int) -> int:
        """Beats that read the first ``codes`` codes of a pixel."""
        words, rest = divmod(codes, self.word_channels)
        last = max(self.lane_order[:rest], default=-1) // self.lanes + 1
        return words * (self.word_channels // self.lanes) + last


def reversed_bits(value: int, count: int) -> int:
    """``value``, one of ``count`` (a power of two), with its bits in reverse."""
    bits = count.bit_length() - 1
    return sum((value >> bit & 1) << (bits - 1 - bit) for bit in range(bits))


def core_modes(array: HardwareSpec) -> tuple[CoreMode, ...]:
    """The modes of a core around ``array``, widest first."""
    n = array.operand_words
    word_bits = max(array.lanes * n, array.cols) * array.act.bits
    found = []
    for index, bits in enumerate(array.modes or (array.act.bits,)):
        view = array.in_mode(bits) if array.modes else array
        found.append(
            CoreMode(
                index=index,
                bits=bits,
                weight_bits=view.weight.bits,
                lanes=view.lanes,
                word_channels=word_bits // bits,
                beat_parts=1 << index,
                level_parts=n >> index,
                operand_words=n,
            )
        )
    return tuple(found)
