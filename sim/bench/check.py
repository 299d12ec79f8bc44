"""The comparison: every value that left the array, with what the reference says."""

from __future__ import annotations

from typing import Any

import numpy as np

from .packing import unpack
from .traffic import Traffic


def compare(traffic: Traffic, data: list[str], last: list[str]) -> dict[str, Any]:
    """Values compared, mismatches, and the first mismatch (``where``, ``expected``, ``got``) or None.

    ``data`` and ``last`` are the output beats that came, at most as many as expected. A value that
    did not come counts as a mismatch (the caller says why), and so does a wrong ``out_last``.
    """
    expected = traffic.expected[: len(data)]
    missing = traffic.expected.size - expected.size
    if not data:
        return {"values_compared": 0, "mismatches": missing, "first_mismatch": None}
    got = unpack(data, traffic.value_bits, signed=traffic.signed)
    wrong = got != expected
    got_last = np.array(last) == "1"
    wrong_last = got_last != traffic.last[: len(data)]
    first = None
    if wrong.any() or wrong_last.any():
        beat = int(np.argmax(wrong.any(axis=1) | wrong_last))
        if wrong[beat].any():
            element = int(np.argmax(wrong[beat]))
            first = {
                "where": traffic.where(beat, element),
                "expected": int(expected[beat, element]),
                "got": int(got[beat, element]),
            }
        else:
            first = {
                "where": f"out_last of output beat {beat}",
                "expected": int(traffic.last[beat]),
                "got": int(got_last[beat]),
            }
    return {
        "values_compared": expected.size,
        "mismatches": int(wrong.sum()) + int(wrong_last.sum()) + missing,
        "first_mismatch": first,
    }
