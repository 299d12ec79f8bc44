"""Number formats of activations and weights, and the exact width of their sums."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

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


class ActEncoding(enum.Enum):
    """Which levels a ``bits``-wide activation has. 0 always stands for 0."""

    UNSIGNED = "unsigned"
    """``0 .. 2**bits - 1``: what PACT gives (equation 2)."""
    SYMMETRIC = "symmetric"
    """``-(2**(bits - 1) - 1) .. 2**(bits - 1) - 1``: what is behind no PACT (image, residual stream)."""
    SIGNED = "signed"
    """``-2**(bits - 1) .. 2**(bits - 1) - 1``: two's complement, whole."""


@dataclass(frozen=True, kw_only=True)
class ActFormat:
    """Activation levels, by default PACT's unsigned ones."""

    bits: int
    encoding: ActEncoding = ActEncoding.UNSIGNED

    def __post_init__(self) -> None:
        check_int("act_bits", self.bits, 1, MAX_BITS)
        if not isinstance(self.encoding, ActEncoding):
            raise InputError(f"act_encoding must be an ActEncoding, not {self.encoding!r}")
        if self.encoding is not ActEncoding.UNSIGNED and self.bits < 2:
            raise InputError(f"act_bits must be at least 2 for {self.encoding.value} levels, not {self.bits}")

    @property
    def unsigned(self) -> bool:
        """Whether there are no levels below 0."""
        return self.encoding is ActEncoding.UNSIGNED

    @property
    def min(self) -> int:
        """The lowest level."""
        return {
            ActEncoding.UNSIGNED: 0,
            ActEncoding.SYMMETRIC: 1 - (1 << (self.bits - 1)),
            ActEncoding.SIGNED: -(1 << (self.bits - 1)),
        }[self.encoding]

    @property
    def max(self) -> int:
        """The highest level."""
        return (1 << (self.bits if self.unsigned else self.bits - 1)) - 1

    def __str__(self) -> str:
        return f"{self.encoding.value} {self.bits} bits"

    def to_json(self) -> dict[str, Any]:
        """Plain JSON members."""
        return {"bits": self.bits, "encoding": self.encoding.value}

    @classmethod
    def from_json(cls, members: Any) -> ActFormat:
        """The format that ``to_json`` wrote."""
        return cls(bits=members["bits"], encoding=ActEncoding(members["encoding"]))


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
    products = [a * w for a in (act.min, act.max) for w in (weight.min, weight.max)]
    return reduction * min(products), reduction * max(products)
