"""Each layer's requantiser: by multiplication where that is exact, else as the rules say."""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from ...errors import InputError
from ...golden.matmul import Int64
from ...spec import ActFormat, RequantiserKind, RequantiserSpec, signed_bits
from .affine import Affine
from .proof import channel_constants, prove, prove_thresholds, violations
from .search import Constants, search
from .staircase import Rounding, Staircase, full_staircase, staircase

WIDEST = RequantiserSpec(mult_bits=56, add_bits=62, max_shift=60, level_bits=16, residual_bits=16)
"""The limits of the search where none are given; the network then says what it needs."""

_BLOCK_STEPS = 1 << 22
"""Thresholds that are held at once."""
_MAX_TABLE = 1 << 24
"""Thresholds of one layer that are kept as its requantiser."""


class Fallback(enum.Enum):
    """What becomes of a layer for which no multiplication and shift within the widths is exact."""

    THRESHOLDS = "thresholds"
    """Its staircase is kept as thresholds, which are exact."""
    REFUSE = "refuse"
    """The conversion ends, and names it."""
    HALF_UP = "half-up"
    """An approximation: exact ties are rounded up; what needs more than that is refused."""
    NEAREST = "nearest"
    """An approximation: the constants nearest to the exact ones that fit the widths."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The widths of the requantiser's operands, and what happens beyond them."""

    widths: RequantiserSpec = WIDEST
    fallback: Fallback = Fallback.THRESHOLDS


@dataclass(kw_only=True)
class Requantiser:
    """One layer's, and what its proof found."""

    kind: RequantiserKind
    tensors: dict[str, Int64]
    proof: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Channels:
    """What the requantiser of one layer must compute, channel by channel."""

    layer: str
    affines: Sequence[Affine]
    intervals: Sequence[tuple[int, int]]
    out: ActFormat
    residual: ActFormat | None = None

    def stair(self, i: int, rounding: Rounding = Rounding.HALF_EVEN) -> Staircase:
        """Channel ``i``'s staircase."""
        try:
            return staircase(
                self.affines[i], self.intervals[i], out=self.out, residual=self.residual, rounding=rounding
            )
        except InputError as error:
            raise InputError(f"layer {self.layer!r}: {error}") from None

    def table(self) -> list[Staircase]:
        """Every channel with a row of steps for each residual level, none of them carried."""
        levels = [0] if self.residual is None else range(self.residual.min, self.residual.max + 1)
        count = len(self.affines) * len(levels) * (self.out.max - self.out.min)
        if count > _MAX_TABLE:
            raise InputError(
                f"layer {self.layer!r}: no exact multiplication and shift, and {count} thresholds are too "
                f"many (at most {_MAX_TABLE})"
            )
        return [
            full_staircase(affine, interval, out=self.out, residual=self.residual)
            for affine, interval in zip(self.affines, self.intervals, strict=True)
        ]


def requantiser(channels: Channels, rules: Rules) -> Requantiser:
    """The requantiser of one layer.

    Raises:
        InputError: none is exact within the widths and the fallback does not help; the layer is named.
    """
    constants, failed, checked = _solve(channels, rules.widths, Rounding.HALF_EVEN)
    proof = {"thresholds_checked": checked}
    if not failed:
        return _multiply_shift(channels, constants, proof)
    proof["fallback_channels"] = failed  # type: ignore[assignment]
    if rules.fallback is Fallback.THRESHOLDS:
        stairs = channels.table()
        tensors = {
            "thresholds": np.stack([stair.steps for stair in stairs]),
            "sign": np.array([stair.sign for stair in stairs], dtype=np.int64),
        }
        proof["thresholds_checked"] = prove_thresholds(channels.layer, stairs)
        return Requantiser(kind=RequantiserKind.THRESHOLD, tensors=tensors, proof=_common(channels, proof))
    if rules.fallback is Fallback.HALF_UP:
        constants, failed, proof["thresholds_checked"] = _solve(channels, rules.widths, Rounding.HALF_UP)
    elif rules.fallback is Fallback.NEAREST:
        constants, failed = _nearest(channels, constants, failed, rules.widths), []
    if failed or rules.fallback is Fallback.REFUSE:
        widths = rules.widths
        raise InputError(
            f"layer {channels.layer!r}, channel {failed[0]}: no exact requantiser with multipliers of "
            f"{widths.mult_bits} bits, an addend of {widths.add_bits} and a shift up to {widths.max_shift}; "
            f"allow one of {', '.join(f.value for f in Fallback if f is not Fallback.REFUSE)}"
        )
    proof["approximation"] = {  # type: ignore[assignment]
        "by": rules.fallback.value,
        "thresholds_missed": sum(
            len(violations(channels.stair(i), channel_constants(constants, i)))
            for i in range(len(channels.affines))
        ),
    }
    return _multiply_shift(channels, constants, proof)


def _solve(
    channels: Channels, widths: RequantiserSpec, rounding: Rounding
) -> tuple[Constants, list[int], int]:
    """Constants, the channels without, and the thresholds that were proved for the others."""
    found, failed, checked = [], [], 0
    count, start = len(channels.affines), 0
    while start < count:
        stairs = [channels.stair(start, rounding)]
        block = min(count - start, max(1, _BLOCK_STEPS // stairs[0].steps.size))
        stairs += [channels.stair(start + i, rounding) for i in range(1, block)]
        constants, without = search(channels.affines[start : start + block], stairs, widths)
        good = [i for i in range(block) if i not in without]
        chosen = Constants(**{name: values[good] for name, values in vars(constants).items()})
        checked += prove(channels.layer, chosen, [stairs[i] for i in good], widths)
        found.append(constants)
        failed += [start + i for i in without]
        start += block
    joined = {name: np.concatenate([getattr(c, name) for c in found]) for name in vars(found[0])}
    return Constants(**joined), failed, checked


def _nearest(
    channels: Channels, constants: Constants, failed: Sequence[int], widths: RequantiserSpec
) -> Constants:
    """The exact ones, and for ``failed`` channels the nearest that fit ``widths``."""
    merged = {name: values.copy() for name, values in vars(constants).items()}
    for i in failed:
        affine = channels.affines[i]
        reach = max(map(abs, channels.intervals[i])) + 1
        for shift in range(widths.max_shift, -1, -1):
            exact = (affine.scale, affine.offset + Fraction(1, 2), affine.residual_scale)
            m, c, m2 = (math.floor(value * (1 << shift) + Fraction(1, 2)) for value in exact)
            fits = all(abs(v) < 1 << (widths.mult_bits - 1) for v in (m, m2))
            if fits and abs(c) < 1 << (widths.add_bits - 1) and abs(m) * reach < 1 << 60:
                break
        else:
            raise InputError(
                f"layer {channels.layer!r}, channel {i}: its scale {float(affine.scale):g} and offset "
                f"{float(affine.offset):g} do not fit multipliers of {widths.mult_bits} bits and an addend "
                f"of {widths.add_bits}"
            )
        for name, value in (("mult", m), ("add", c), ("shift", shift), ("residual_mult", m2)):
            merged[name][i] = value
    return Constants(**merged)


def _common(channels: Channels, proof: dict[str, Any]) -> dict[str, Any]:
    return {
        "channels": len(channels.affines),
        **proof,
        "lowest_accumulator": min(low for low, _ in channels.intervals),
        "highest_accumulator": max(high for _, high in channels.intervals),
    }


def _multiply_shift(channels: Channels, constants: Constants, proof: dict[str, Any]) -> Requantiser:
    names = ("mult", "add", "shift", *(("residual_mult",) if channels.residual else ()))
    tensors = {name: getattr(constants, name) for name in names}
    widths = {
        "widest_mult_bits": _bits(constants.mult, constants.residual_mult),
        "widest_add_bits": _bits(constants.add),
        "widest_shift": int(constants.shift.max()),
    }
    proof = {**_common(channels, proof), **widths}
    return Requantiser(kind=RequantiserKind.MULTIPLY_SHIFT, tensors=tensors, proof=proof)


def _bits(*values: Int64) -> int:
    return max(signed_bits(int(v.min()), int(v.max())) for v in values)
