"""SPACE.toml: which designs there are, what is wanted of them, and how they are gone through."""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pact_hw.errors import InputError
from pact_hw.files import read
from pact_hw.spec.canonical import digest

from .axes import AXES, BITS, WIDTHS, Axis, Value
from .checks import table
from .goals import Limit, Method, Objective, limits, method, objectives
from .model import METRICS, model_digest

MOST_POINTS = 1 << 62
"""Designs in a space, at most: their numbers are 64-bit integers."""


@dataclass(frozen=True, kw_only=True)
class Space:
    """A declared space. Design number ``point`` is the mixed-radix number of its places on the axes."""

    name: str
    axes: dict[str, tuple[Value, ...]]
    """Values by axis, the slowest to change first."""
    objectives: tuple[Objective, ...]
    limits: tuple[Limit, ...] = ()
    method: Method = field(default_factory=Method)

    @classmethod
    def load(cls, path: Path) -> Space:
        """The space in a TOML file.

        Raises:
            InputError: the file is missing or no TOML, or a key or value is not allowed.
        """
        given = read(path, lambda: tomllib.loads(path.read_text(encoding="utf-8")))
        try:
            return cls.from_toml(given, name=path.stem)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None

    @classmethod
    def from_toml(cls, given: dict[str, Any], *, name: str = "space") -> Space:
        """The space in the tables of SPACE.toml.

        Raises:
            InputError: names the key, the value, and what is allowed.
        """
        table("the file", given, {"name", "space", "objectives", "limits", "method"})
        name = given.get("name", name)
        if not isinstance(name, str) or not 1 <= len(name) <= 100 or not name.isprintable():
            raise InputError(f"name must be 1 to 100 printable characters, not {name!r}")
        declared = table("[space]", given.get("space", {}), set(AXES))
        axes = {axis.name: axis.values(_given(axis, declared)) for axis in _used(declared)}
        space = cls(
            name=name,
            axes=axes,
            objectives=objectives(given.get("objectives", {})),
            limits=limits(given.get("limits", {})),
            method=method(given.get("method", {})),
        )
        if space.size > MOST_POINTS:
            raise InputError(f"[space] has {space.size:.3g} designs; at most {MOST_POINTS:.3g} are allowed")
        if not space.method.search and space.size > space.method.points:
            raise InputError(
                f"[space] has {space.size:,} designs, more than [method] points = {space.method.points:,}: "
                'raise it, or set [method] kind = "search"'
            )
        return space

    @property
    def shape(self) -> tuple[int, ...]:
        """Values on each axis."""
        return tuple(len(values) for values in self.axes.values())

    @property
    def size(self) -> int:
        """Number of designs."""
        return math.prod(self.shape)

    @property
    def varied(self) -> list[str]:
        """The axes with more than one value."""
        return [name for name, values in self.axes.items() if len(values) > 1]

    @cached_property
    def _tables(self) -> dict[str, npt.NDArray[Any]]:
        return {name: np.array(values) for name, values in self.axes.items()}

    def columns(self, points: npt.NDArray[np.int64]) -> dict[str, npt.NDArray[Any]]:
        """Parameters of the designs with these numbers: a column for each axis, and always both widths."""
        places = np.unravel_index(points, self.shape)
        columns = {
            name: values[place] for (name, values), place in zip(self._tables.items(), places, strict=True)
        }
        if BITS in columns:
            columns |= dict.fromkeys(WIDTHS, columns[BITS])
        return columns

    @property
    def axes_json(self) -> dict[str, list[Value]]:
        """The axes' values, infinities as text."""
        return {name: [_json(value) for value in values] for name, values in self.axes.items()}

    @property
    def limits_json(self) -> dict[str, list[Value]]:
        """Least and most of each limited column, infinities as text."""
        return {limit.metric: [_json(limit.least), _json(limit.most)] for limit in self.limits}

    def _content(self) -> dict[str, Any]:
        """What decides the table of results: the axes, and of a search also its aims and its course."""
        if not self.method.search:
            return {"axes": self.axes_json}
        return {
            "axes": self.axes_json,
            "objectives": {goal.metric: goal.direction for goal in self.objectives},
            "limits": self.limits_json,
            "method": vars(self.method),
        }

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the space and of the models: the same digest is the same table."""
        return digest({"space": self._content(), "model": model_digest(), "metrics": list(METRICS)})


def _used(declared: dict[str, Any]) -> list[Axis]:
    """The axes that a space has: ``bits``, or the two widths that it stands for."""
    both = [name for name in WIDTHS if name in declared]
    if (BITS in declared) == bool(both) or len(both) == 1:
        given = ", ".join(name for name in (BITS, *WIDTHS) if name in declared) or "none of them"
        raise InputError(f"[space] must have {BITS}, or both {WIDTHS[0]} and {WIDTHS[1]}, not {given}")
    without = {BITS} if both else set(WIDTHS)
    return [axis for axis in AXES.values() if axis.name not in without]


def _given(axis: Axis, declared: dict[str, Any]) -> Any:
    value = declared.get(axis.name, axis.default)
    if value is None:
        raise InputError(f"[space] {axis.name} is missing: {axis.meaning}, {axis.allowed}")
    return value


def _json(value: Value) -> Value:
    """``value``, its infinities as text: JSON has none."""
    return value if isinstance(value, str) or math.isfinite(value) else str(value)
