"""The proof that a requantiser equals its staircase for every accumulator that can occur.

Both the staircase and ``(acc mult + r residual_mult + add) >> shift`` rise (or fall) with the
accumulator. So they are equal everywhere if they agree at both sides of every step: at the step the
level is at least that of the step, just before it is below. The hardware's side is computed by
``golden``. For a carried residual ``residual_mult`` must be ``k 2**shift``: then r adds k levels
behind the shift, exactly, as it does in the staircase.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...errors import InputError
from ...golden import multiply_shift
from ...spec import RequantiserSpec
from .search import Constants
from .staircase import Staircase


def _fits(value: int, bits: int) -> bool:
    return -(1 << (bits - 1)) <= value < 1 << (bits - 1)


def _objection(stair: Staircase, spec: RequantiserSpec, channel: dict[str, int]) -> str | None:
    """Why one channel's constants cannot be operands of ``spec``, or cannot be proved; else None."""
    for name, bits in (("mult", spec.mult_bits), ("residual_mult", spec.mult_bits), ("add", spec.add_bits)):
        if not _fits(channel[name], bits):
            return f"{name} {channel[name]} has more than {bits} bits"
    if not 0 <= channel["shift"] <= spec.max_shift:
        return f"shift {channel['shift']} is not from 0 to {spec.max_shift}"
    if channel["mult"] * stair.sign < 0:
        return f"mult {channel['mult']} falls where the levels rise"
    if stair.carried is not None and channel["residual_mult"] != stair.carried << channel["shift"]:
        return f"residual_mult {channel['residual_mult']} does not carry the residual's levels"
    largest = (
        abs(channel["mult"]) * (max(abs(stair.low), abs(stair.high)) + 1)
        + abs(channel["residual_mult"]) * max(abs(stair.residual_min), abs(stair.residual_max))
        + abs(channel["add"])
    )
    return None if largest < 1 << 63 else "the sum does not fit 64 bits"


def violations(stair: Staircase, channel: dict[str, int]) -> np.ndarray:
    """Where the requantiser misses a step: (row, column) of each, n x 2."""
    operands = {name: np.int64(value) for name, value in channel.items()}
    residual = stair.residuals[:, None]

    def at(acc: np.ndarray) -> np.ndarray:
        return multiply_shift(acc, **operands, residual=residual, low=stair.first, limit=stair.last)  # type: ignore[arg-type]

    late = stair.reached & (at(stair.sign * stair.steps) < stair.levels)
    early = stair.missed & (at(stair.sign * (stair.steps - 1)) >= stair.levels)
    return np.argwhere(late | early)


def channel_constants(constants: Constants, i: int) -> dict[str, int]:
    """Those of channel ``i``."""
    return {name: int(values[i]) for name, values in vars(constants).items()}


def prove(layer: str, constants: Constants, stairs: Sequence[Staircase], spec: RequantiserSpec) -> int:
    """The number of thresholds checked, all of them met.

    Raises:
        InputError: the requantiser differs from the staircase somewhere, or is wider than ``spec``;
            the layer, channel, level and residual level are named.
    """
    for i, stair in enumerate(stairs):
        channel = channel_constants(constants, i)
        if objection := _objection(stair, spec, channel):
            raise InputError(f"layer {layer!r}, channel {i}: {objection}")
        if len(wrong := violations(stair, channel)):
            r, j = wrong[0]
            raise InputError(
                f"layer {layer!r}, channel {i}: the requantiser misses the step to level {stair.levels[j]} "
                f"at accumulator {stair.sign * stair.steps[r, j]} with residual level {stair.residuals[r]}"
            )
    return sum(stair.steps.size for stair in stairs)


def prove_thresholds(layer: str, stairs: Sequence[Staircase]) -> int:
    """The same for steps that are themselves the requantiser: they must rise, with levels for all rows."""
    for i, stair in enumerate(stairs):
        if stair.carried is not None or (np.diff(stair.steps, axis=1) < 0).any():
            raise InputError(f"layer {layer!r}, channel {i}: thresholds that do not rise, or lack rows")
    return sum(stair.steps.size for stair in stairs)
