"""The requantiser: from an exact accumulator to the next layer's activation level."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from ..errors import InputError
from .formats import MAX_BITS, check_int


class RequantiserKind(enum.Enum):
    """How the staircase accumulator -> level is realised in hardware."""

    MULTIPLY_SHIFT = "multiply-shift"
    """``clip((acc * mult + residual * residual_mult + add) >> shift, lowest, highest level)``."""
    THRESHOLD = "threshold"
    """The lowest level plus the number of thresholds that the accumulator (times a sign) reaches."""


MAX_THRESHOLD_BITS = 1 << 14
"""Most bits of thresholds that hardware takes at once: all those of a channel."""


@dataclass(frozen=True, kw_only=True)
class RequantiserSpec:
    """Widths of the requantiser's operands; the constants themselves belong to the network.

    ``level = clip((acc * mult + residual * residual_mult + add) >> shift, 0, limit)`` with an
    arithmetic (flooring) shift, every operand exact. ``mult``, ``residual_mult`` and ``add`` are
    signed, ``shift``, ``limit`` and ``residual`` unsigned.

    THRESHOLD uses ``level_bits`` and ``residual_bits`` only. In hardware a channel's thresholds are
    ``2**level_bits - 1`` for each residual level, ascending, in two's complement of the accumulator's
    width: ``level = #{t: acc >= t}``, and with ``negative`` all of its bits inverted. Sign 1 and
    thresholds t are these, then highest numbers, which no accumulator reaches; sign -1 and t are lowest
    numbers, which all reach, then ``1 - t`` from the last t to the first.
    """

    mult_bits: int = 24
    add_bits: int = 48
    max_shift: int = 40
    level_bits: int = 8
    residual_bits: int = 8
    """0: there is no residual operand."""
    kind: RequantiserKind = RequantiserKind.MULTIPLY_SHIFT

    def __post_init__(self) -> None:
        check_int("mult_bits", self.mult_bits, 2, 56)
        check_int("add_bits", self.add_bits, 2, 62)
        check_int("max_shift", self.max_shift, 0, 60)
        check_int("level_bits", self.level_bits, 1, MAX_BITS)
        check_int("residual_bits", self.residual_bits, 0, MAX_BITS)
        if not isinstance(self.kind, RequantiserKind):
            raise InputError(f"requantiser kind must be a RequantiserKind, not {self.kind!r}")

    @property
    def steps(self) -> int:
        """Thresholds of a channel, for each residual level."""
        return (1 << self.level_bits) - 1

    @property
    def threshold_sets(self) -> int:
        """How many residual levels have thresholds of their own."""
        return 1 << self.residual_bits

    def threshold_bits(self, acc_bits: int) -> int:
        """Bits of a channel's thresholds."""
        return self.threshold_sets * self.steps * acc_bits

    @property
    def latency_cycles(self) -> int:
        """Registers between a sum and its level: product, sum, saturation; or the level alone."""
        return 3 if self.kind is RequantiserKind.MULTIPLY_SHIFT else 1

    @property
    def shift_bits(self) -> int:
        """Bits of the ``shift`` operand."""
        return max(1, self.max_shift.bit_length())
