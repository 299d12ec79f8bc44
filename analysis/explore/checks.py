"""Strict reading of TOML tables: each refusal is one line with the key, the value and what is allowed."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

from pact_hw.errors import InputError


def table(where: str, given: Any, allowed: Collection[str]) -> dict[str, Any]:
    """``given`` itself, a table whose keys are all among ``allowed``."""
    if not isinstance(given, dict):
        raise InputError(f"{where} must be a table, not {given!r}")
    for key in given:
        if key not in allowed:
            raise InputError(f"{where}: {key!r} is not known here, only {', '.join(sorted(allowed))}")
    return given


def choice(where: str, given: Any, allowed: Collection[str]) -> str:
    """``given`` itself, a string among ``allowed``."""
    if not isinstance(given, str) or given not in allowed:
        raise InputError(f"{where} must be {' or '.join(map(repr, allowed))}, not {given!r}")
    return given


def whole(where: str, given: Any, low: int, high: int) -> int:
    """``given`` itself, an integer from ``low`` to ``high``."""
    if not isinstance(given, int) or isinstance(given, bool) or not low <= given <= high:
        raise InputError(f"{where} must be an integer from {low:,} to {high:,}, not {given!r}")
    return given


def finite(where: str, given: Any) -> float:
    """``given`` as a float, a finite number."""
    if not isinstance(given, int | float) or isinstance(given, bool) or not math.isfinite(given):
        raise InputError(f"{where} must be a finite number, not {given!r}")
    return float(given)
