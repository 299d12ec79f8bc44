"""The requantiser, as its specification says it (``pact_hw.spec.RequantiserSpec``)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .matmul import Int64


def multiply_shift(
    acc: Int64,
    *,
    mult: Int64,
    add: Int64,
    shift: Int64,
    limit: int,
    low: int | Int64 = 0,
    residual: npt.NDArray[np.integer] | None = None,
    residual_mult: Int64 | None = None,
) -> Int64:
    """``clip((acc mult + residual residual_mult + add) >> shift, low, limit)``.

    ``acc`` and ``residual`` are ... x N; ``mult``, ``add``, ``shift`` and ``residual_mult`` have
    one value per channel (N). ``>>`` floors.
    """
    total = acc * mult + add
    if residual is not None and residual_mult is not None:
        total = total + np.asarray(residual, dtype=np.int64) * residual_mult
    level: Int64 = np.clip(total >> shift, low, limit)
    return level


def thresholds(
    acc: Int64, *, thresholds: Int64, sign: Int64, low: int = 0, row: Int64 | None = None
) -> Int64:
    """``low`` plus the number of thresholds that ``acc sign`` reaches; ``acc`` is M x N.

    ``thresholds`` is N x R x steps, ascending along the steps; ``row`` (M x N) says which of the R
    to use: the residual operand, counted from its lowest level.
    """
    signed = np.asarray(acc * sign)
    level = np.empty_like(signed)
    for n, channel in enumerate(thresholds):
        chosen = channel[0 if row is None else row[:, n]]  # steps, or M x steps
        level[:, n] = low + (signed[:, n, None] >= chosen).sum(axis=1)
    return level
