"""What a space can vary: each axis with its unit, its range and what it is when nobody says."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from pact_hw.errors import InputError
from pact_hw.spec import Dataflow
from pact_hw.spec.core import Depthwise

from ..area import DEFAULT_LIBRARY, libraries
from ..core_runs import CORE_NETWORKS
from ..workloads import NETWORKS
from .core_designs import ARRAYS, CHIPS
from .model import MAC_KINDS

Value = str | int | float

BITS, WIDTHS = "bits", ("act_bits", "weight_bits")
"""A space has the first axis or the two others."""
MOST_VALUES = 100_000
"""Values on one axis, at most."""


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One parameter of a design: a name out of ``choices``, or a number from ``low`` to ``high``."""

    name: str
    meaning: str
    default: Value | None = None
    """None: SPACE.toml must say."""
    choices: tuple[str, ...] = ()
    low: float = 1
    high: float = 0
    whole: bool = True
    infinite: bool = False
    """Whether ``inf`` (unlimited) is a value."""

    @property
    def allowed(self) -> str:
        """What a value may be, for people."""
        if self.choices:
            return " or ".join(f'"{choice}"' for choice in self.choices)
        kind = "an integer" if self.whole else "a number"
        unlimited = " or inf" if self.infinite else ""
        return f"{kind} from {self.low:g} to {self.high:g}{unlimited}"

    def check(self, value: Any) -> Value:
        """``value`` itself, as int or float as the axis has it.

        Raises:
            InputError: it is not allowed here.
        """
        if self.choices:
            if value in self.choices:
                return str(value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            if self.infinite and value == math.inf:
                return math.inf
            if self.low <= value <= self.high and (not self.whole or value == int(value)):
                return int(value) if self.whole else float(value)
        raise InputError(f"[space] {self.name} must be {self.allowed}, not {value!r}")

    def values(self, given: Any) -> tuple[Value, ...]:
        """The values that SPACE.toml declares: one, a list, or a range; numbers in ascending order.

        Raises:
            InputError: a value is not allowed or comes twice, or a range is none.
        """
        if isinstance(given, dict):
            found = _range(self, given)
        else:
            found = [self.check(value) for value in (given if isinstance(given, list) else [given])]
        if not 1 <= len(found) <= MOST_VALUES:
            raise InputError(f"[space] {self.name} must have 1 to {MOST_VALUES} values, not {len(found)}")
        if len(set(found)) < len(found):
            twice = next(value for value in found if found.count(value) > 1)
            raise InputError(f"[space] {self.name} must name each value once, not {twice!r} again")
        return tuple(found if self.choices else sorted(found))


def _range(axis: Axis, given: dict[str, Any]) -> list[Value]:
    """The numbers of ``{from, to, step}`` or ``{from, to, factor}``, both ends included if hit."""
    by = "factor" if "factor" in given else "step"
    if axis.choices or set(given) != {"from", "to", by}:
        raise InputError(
            f"[space] {axis.name} must be a value, a list"
            + ("" if axis.choices else ", {from, to, step} or {from, to, factor}")
            + f", not a table of {sorted(given)}"
        )
    first, last = axis.check(given["from"]), axis.check(given["to"])
    stride = given[by]
    low = 1 if by == "factor" else 0
    if isinstance(stride, bool) or not isinstance(stride, int | float) or not low < stride < math.inf:
        raise InputError(f"[space] {axis.name}: {by} must be a number above {low}, not {stride!r}")
    assert not isinstance(first, str)
    assert not isinstance(last, str)
    if not first <= last < math.inf:
        raise InputError(f"[space] {axis.name}: to must be finite and at least from, not {last!r}")
    found: list[Value] = []
    while len(found) <= MOST_VALUES:
        # Each value from the first one, so that rounding does not add up.
        value = first * stride ** len(found) if by == "factor" else first + stride * len(found)
        if value > last * (1 + 1e-12):
            break
        found.append(axis.check(min(value, last)))
    return found


AXES: dict[str, Axis] = {
    axis.name: axis
    for axis in (
        Axis(
            name="chip",
            meaning="an ideal chip of arrays, or one generated core",
            choices=CHIPS,
            default=ARRAYS,
        ),
        Axis(
            name="network",
            meaning="what runs on the chip",
            choices=tuple(dict.fromkeys([*NETWORKS, *CORE_NETWORKS])),
        ),
        Axis(
            name="dataflow",
            meaning="which operand stays in the processing elements",
            choices=tuple(flow.value for flow in Dataflow),
            default=Dataflow.OUTPUT_STATIONARY.value,
        ),
        Axis(
            name="mac_kind",
            meaning="how a processing element multiplies",
            choices=MAC_KINDS,
            default=MAC_KINDS[0],
        ),
        Axis(
            name="library",
            meaning="cell library of the area model",
            choices=libraries(),
            default=DEFAULT_LIBRARY,
        ),
        Axis(name=BITS, meaning="precision of activations and weights alike (bits)", high=16),
        Axis(name=WIDTHS[0], meaning="precision of activations (bits)", high=16),
        Axis(name=WIDTHS[1], meaning="precision of weights (bits)", high=16),
        Axis(name="rows", meaning="rows of processing elements in a core", high=1024, default=8),
        Axis(name="cols", meaning="columns of processing elements in a core", high=1024, default=8),
        Axis(name="lanes", meaning="multipliers in a processing element", high=1024, default=8),
        Axis(name="cores", meaning="cores on the chip", high=4096, default=1),
        Axis(name="memory_mb", meaning="on-chip memory (MB)", low=0, high=1e5, whole=False, default=16.0),
        Axis(
            name="bandwidth_gb_per_s",
            meaning="off-chip bandwidth (GB/s)",
            low=1e-3,
            high=1e6,
            whole=False,
            infinite=True,
            default=math.inf,
        ),
        Axis(name="clock_ghz", meaning="clock (GHz)", low=1e-3, high=100, whole=False, default=1.0),
        Axis(name="batch", meaning="images in a batch", high=65536, default=1),
        Axis(name="edge_bits", meaning="least precision of first and last layer", low=0, high=16, default=8),
        Axis(
            name="requantisers",
            meaning="requantisers of a core, a divisor of cols; 0: as many as cols",
            low=0,
            high=1024,
            default=0,
        ),
        Axis(
            name="depthwise",
            meaning="how a core runs depthwise convolutions",
            choices=tuple(way.value for way in Depthwise),
            default=Depthwise.NONE.value,
        ),
        Axis(
            name="bus_bits",
            meaning="width of a core's bus, a power of two (bits)",
            low=32,
            high=512,
            default=64,
        ),
    )
}
"""Every axis, the slowest to change first: designs of one network and one array lie together."""
