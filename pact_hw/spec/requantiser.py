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


@dataclass(frozen=True, kw_only=True)
class RequantiserSpec:
    """Widths of the requantiser's operands; the constants themselves belong to the network.

    ``level = clip((acc * mult + residual * residual_mult + add) >> shift, 0, limit)`` with an
    arithmetic (flooring) shift, every operand exact. ``mult``, ``residual_mult`` and ``add`` are
    signed, ``shift``, ``limit`` and ``residual`` unsigned.
    """

    mult_bits: int = 24
    add_bits: int = 48
    max_shift: int = 40
    level_bits: int = 8
    residual_bits: int = 8
    kind: RequantiserKind = RequantiserKind.MULTIPLY_SHIFT

    def __post_init__(self) -> None:
        check_int("mult_bits", self.mult_bits, 2, 56)
        check_int("add_bits", self.add_bits, 2, 62)
        check_int("max_shift", self.max_shift, 0, 60)
        check_int("level_bits", self.level_bits, 1, MAX_BITS)
        check_int("residual_bits", self.residual_bits, 1, MAX_BITS)
        if not isinstance(self.kind, RequantiserKind):
            raise InputError(f"requantiser kind must be a RequantiserKind, not {self.kind!r}")
        if self.kind is not RequantiserKind.MULTIPLY_SHIFT:
            raise InputError(f"a requantiser in hardware multiplies and shifts, not {self.kind.value}")

    @property
    def shift_bits(self) -> int:
        """Bits of the ``shift`` operand."""
        return max(1, self.max_shift.bit_length())
