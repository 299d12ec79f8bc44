"""The matrix product that an array computes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..spec import WeightEncoding, WeightFormat

Int64 = npt.NDArray[np.int64]


def decode_weights(codes: npt.NDArray[np.integer], weight: WeightFormat) -> Int64:
    """The values that unsigned weight ``codes`` (any shape) stand for."""
    q = np.asarray(codes, dtype=np.int64)
    if weight.encoding is WeightEncoding.ODD:
        return 2 * q - weight.levels
    return np.where(q > weight.max, q - (1 << weight.bits), q)


def matmul(act: npt.NDArray[np.integer], codes: npt.NDArray[np.integer], weight: WeightFormat) -> Int64:
    """``act`` (M x K levels) times the values of ``codes`` (K x N): exact M x N sums."""
    return np.asarray(act, dtype=np.int64) @ decode_weights(codes, weight)
