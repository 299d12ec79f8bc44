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
    residual: npt.NDArray[np.integer] | None = None,
    residual_mult: Int64 | None = None,
) -> Int64:
    """``clip((acc mult + residual residual_mult + add) >> shift, 0, limit)``.

    ``acc`` and ``residual`` are ... x N; ``mult``, ``add``, ``shift`` and ``residual_mult`` have
    one value per channel (N). ``>>`` floors.
    """
    total = acc * mult + add
    if residual is not None and residual_mult is not None:
        total = total + np.asarray(residual, dtype=np.int64) * residual_mult
    level: Int64 = np.clip(total >> shift, 0, limit)
    return level
