"""The proof that a requantiser equals its staircase for every accumulator that can occur.

Both the staircase and ``(acc mult + r residual_mult + add) >> shift`` rise (or fall) with the
accumulator. So they are equal everywhere if they agree at both sides of every step: at the step the
level is at least j, just before it is below j. The hardware's side is computed by ``golden``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import InputError
from ..golden import multiply_shift
from ..spec import RequantiserSpec
from .requantiser_search import Constants
from .staircase import Staircase


def _fits(value: int, bits: int) -> bool:
    return -(1 << (bits - 1)) <= value < 1 << (bits - 1)


def _objection(stair: Staircase, spec: RequantiserSpec, channel: dict[str, int]) -> str | None:
    """Why one channel's constants cannot be operands of ``spec``, or cannot be proved; else None."""
    residual_max, limit = stair.steps.shape[0] - 1, stair.steps.shape[1]
    for name, bits in (("mult", spec.mult_bits), ("residual_mult", spec.mult_bits), ("add", spec.add_bits)):
        if not _fits(channel[name], bits):
            return f"{name} {channel[name]} has more than {bits} bits"
    for name, value, most in (
        ("shift", channel["shift"], spec.max_shift),
        ("level", limit, (1 << spec.level_bits) - 1),
        ("residual level", residual_max, (1 << spec.residual_bits) - 1),
    ):
        if not 0 <= value <= most:
            return f"{name} {value} is not from 0 to {most}"
    if channel["mult"] * stair.sign < 0:
        return f"mult {channel['mult']} falls where the levels rise"
    largest = (
        abs(channel["mult"]) * (max(abs(stair.low), abs(stair.high)) + 1)
        + abs(channel["residual_mult"]) * residual_max
        + abs(channel["add"])
    )
    return None if largest < 1 << 63 else "the sum does not fit 64 bits"


def prove(layer: str, constants: Constants, stairs: Sequence[Staircase], spec: RequantiserSpec) -> int:
    """The number of thresholds checked, all of them met.

    Raises:
        InputError: the requantiser differs from the staircase somewhere, or is wider than ``spec``;
            the layer, channel, level and residual level are named.
    """
    for i, stair in enumerate(stairs):
        channel = {name: int(values[i]) for name, values in vars(constants).items()}
        if objection := _objection(stair, spec, channel):
            raise InputError(f"layer {layer!r}, channel {i}: {objection}")
        residual_levels, limit = stair.steps.shape
        operands = {
            **{name: values[i] for name, values in vars(constants).items()},
            "residual": np.arange(residual_levels)[:, None],
            "limit": limit,
        }
        level = np.arange(1, limit + 1)
        late = stair.reached & (multiply_shift(stair.sign * stair.steps, **operands) < level)
        early = stair.missed & (multiply_shift(stair.sign * (stair.steps - 1), **operands) >= level)
        if (wrong := np.argwhere(late | early)).size:
            r, j = wrong[0]
            raise InputError(
                f"layer {layer!r}, channel {i}: the requantiser misses the step to level {j + 1} "
                f"at accumulator {stair.sign * stair.steps[r, j]} with residual level {r}"
            )
    return sum(stair.steps.size for stair in stairs)
