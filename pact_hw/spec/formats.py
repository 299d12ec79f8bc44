"""Number formats of activations and weights, and the exact width of their sums."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from ..errors import InputError

MAX_BITS = 16


def check_int(name: str, value: object, low: int, high: int) -> int:
    """``value`` if it is an integer in ``[low, high]``.

    Raises:
        InputError: with the name, the value and what is allowed.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise InputError(f"{name} must be an integer from {low} to {high}, not {value!r}")
    return value


def signed_bits(low: int, high: int) -> int:
    """Bits of the narrowest two's-complement number that holds every value in ``[low, high]``."""
    return 1 + max(low.bit_length() if low >= 0 else (-low - 1).bit_length(), max(high, 0).bit_length())


class WeightEncoding(enum.Enum):
    """What a weight's ``bits``-wide code means."""

    ODD = "odd"
    """Code q, unsigned, stands for ``2 q - (2**bits - 1)``: the odd levels of DoReFa and SAWB."""
    TWOS_COMPLEMENT = "twos-complement"
    """Code q, read as two's complement, stands for itself."""


@dataclass(frozen=True, kw_only=True)
class ActFormat:
    """Unsigned activation levels ``0 .. 2**bits - 1`` (PACT, equation 2)."""

    bits: int

    def __post_init__(self) -> None:
        check_int("act_bits", self.bits, 1, MAX_BITS)

    @property
    def max(self) -> int:
        """The highest level."""
        return (1 << self.bits) - 1


@dataclass(frozen=True, kw_only=True)
class WeightFormat:
    """Weight codes of ``bits`` bits and the values they stand for."""

    bits: int
    encoding: WeightEncoding = WeightEncoding.ODD

    def __post_init__(self) -> None:
        check_int("weight_bits", self.bits, 1, MAX_BITS)
        if not isinstance(self.encoding, WeightEncoding):
            raise InputError(f"weight_encoding must be a WeightEncoding, not {self.encoding!r}")

    @property
    def levels(self) -> int:
        """``2**bits - 1``: the number of steps between the lowest and the highest code."""
        return (1 << self.bits) - 1

    @property
    def min(self) -> int:
        """The lowest value (not code)."""
        return -self.levels if self.encoding is WeightEncoding.ODD else -(1 << (self.bits - 1))

    @property
    def max(self) -> int:
        """The highest value (not code)."""
        return self.levels if self.encoding is WeightEncoding.ODD else (1 << (self.bits - 1)) - 1


def accumulator_range(act: ActFormat, weight: WeightFormat, reduction: int) -> tuple[int, int]:
    """The lowest and the highest sum of ``reduction`` products that the formats allow."""
    return reduction * act.max * weight.min, reduction * act.max * weight.max
