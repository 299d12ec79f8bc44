"""The logits' bias, so that the order of any two classes is exactly that of the real logits.

The real logit of class i is ``s (acc_i + b_i)`` with a bias b_i in units of the accumulator; the
integer one is ``acc_i 2**t + round(b_i 2**t)``. The smallest t is found with which class i is before
class j in both, whatever the accumulators are.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from ...errors import InputError
from ...golden.matmul import Int64

_MAX_SHIFT = 40


def bias_constants(biases: Sequence[Fraction]) -> tuple[int, Int64]:
    """``t`` and the rounded biases ``round(b 2**t)``.

    Raises:
        InputError: no t up to 40 keeps every order: two biases differ by nearly, but not exactly, a
            whole number of accumulator units.
    """
    for shift in range(_MAX_SHIFT + 1):
        add = [round(b * (1 << shift)) for b in biases]
        if _keeps_order(biases, add, shift):
            return shift, np.array(add, dtype=np.int64)
    raise InputError(f"the logits' biases need more than {_MAX_SHIFT} fractional bits to keep their order")


def _keeps_order(biases: Sequence[Fraction], add: Sequence[int], shift: int) -> bool:
    """Whether ``D + b_i - b_j`` and ``D 2**shift + add_i - add_j`` have one sign for every integer D.

    So it is if the biases' fractional parts are in the order of the rounded ones, with the same
    equalities, and these lie less than ``2**shift`` apart.
    """
    parts = sorted(
        (b - math.floor(b), a - (math.floor(b) << shift)) for b, a in zip(biases, add, strict=True)
    )
    for (exact, rounded), (after, rounded_after) in itertools.pairwise(parts):
        if (exact == after) != (rounded == rounded_after):
            return False
    return parts[-1][1] - parts[0][1] < 1 << shift
