"""Requantiser constants of a product: of a multiplication, or thresholds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pact_hw.golden import multiply_shift
from pact_hw.golden.requantise import thresholds as reached
from pact_hw.spec import RequantiserKind, RequantiserSpec

Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Scale:
    """Constants of a multiplication, one per output channel (``limit``: one for all).

    ``level = clip((acc mult + residual residual_mult + add) >> shift, 0, limit)``.
    """

    mult: Int64
    """(N,)"""
    add: Int64
    """(N,)"""
    shift: Int64
    """(N,)"""
    residual_mult: Int64
    """(N,); zeros where there is no residual."""
    limit: int

    kind = RequantiserKind.MULTIPLY_SHIFT

    @property
    def columns(self) -> dict[str, Int64]:
        """The members with one value per output channel, by name."""
        return {
            "mult": self.mult,
            "add": self.add,
            "shift": self.shift,
            "residual_mult": self.residual_mult,
        }

    def channels(self, chosen: slice) -> Scale:
        """The constants of some of the output channels."""
        return Scale(**{name: values[chosen] for name, values in self.columns.items()}, limit=self.limit)

    def padded(self, count: int) -> Scale:
        """With ``count`` more channels, of zeros."""
        more = {name: np.pad(values, (0, count)) for name, values in self.columns.items()}
        return Scale(**more, limit=self.limit)

    def levels(self, acc: Int64, residual: Int64 | None) -> Int64:
        """What the reference gives for sums M x N and residual levels M x N."""
        return multiply_shift(acc, **self.columns, limit=self.limit, residual=residual)


@dataclass(frozen=True, kw_only=True, eq=False)
class Thresholds:
    """``level = #{t: acc sign >= t}``, with the thresholds of the channel and the residual level."""

    thresholds: Int64
    """(N, R, steps), ascending along the steps; R residual levels, 1 where there is no residual."""
    sign: Int64
    """(N,); 1 or -1."""

    kind = RequantiserKind.THRESHOLD

    @property
    def columns(self) -> dict[str, Int64]:
        """The members by name; the first dimension is the output channel."""
        return {"thresholds": self.thresholds, "sign": self.sign}

    def channels(self, chosen: slice) -> Thresholds:
        """The thresholds of some of the output channels."""
        return Thresholds(**{name: values[chosen] for name, values in self.columns.items()})

    def padded(self, count: int) -> Thresholds:
        """With ``count`` more channels, of thresholds 0."""
        return Thresholds(
            thresholds=np.pad(self.thresholds, ((0, count), (0, 0), (0, 0))),
            sign=np.pad(self.sign, (0, count), constant_values=1),
        )

    def levels(self, acc: Int64, residual: Int64 | None) -> Int64:
        """What the reference gives for sums M x N and residual levels M x N."""
        return reached(acc, thresholds=self.thresholds, sign=self.sign, row=residual)

    def words(self, requantiser: RequantiserSpec, acc_bits: int) -> Int64:
        """What the hardware compares with (``RequantiserSpec``): N x (residual levels x thresholds)."""
        channels, sets, steps = self.thresholds.shape
        lowest, highest = -(1 << (acc_bits - 1)), (1 << (acc_bits - 1)) - 1
        up = (self.sign > 0)[:, None, None]
        words = np.where(up, highest, lowest) + np.zeros(
            (channels, requantiser.threshold_sets, requantiser.steps), dtype=np.int64
        )
        given = np.clip(self.thresholds, lowest, highest)
        words[:, :sets, :steps] = np.where(up, given, words[:, :sets, :steps])
        downwards = np.clip(1 - self.thresholds[..., ::-1], lowest, highest)
        unused = requantiser.steps - steps
        words[:, :sets, unused:] = np.where(up, words[:, :sets, unused:], downwards)
        return words.reshape(channels, -1)
