"""Two objectives against each other: the front, and some of the designs behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from ..plots.style import GREY, INK
from ..tables import Value
from .goals import MEANINGS, Objective

FRONT_COLOUR = "#0072B2"

Rows = Sequence[Mapping[str, Value]]


def trade_off(sample: Rows, front: Rows, *, across: Objective, up: Objective) -> Figure:
    """All designs (a sample) in grey, the front in blue; an arrow says which way is better."""
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.subplots()
    for rows, style, label in (
        (sample, {"s": 6, "color": GREY, "alpha": 0.35, "linewidths": 0}, "designs (a sample)"),
        (front, {"s": 22, "color": FRONT_COLOUR, "linewidths": 0}, "Pareto front"),
    ):
        x, y = ([_number(row[goal.metric]) for row in rows] for goal in (across, up))
        axes.scatter(x, y, label=f"{label}: {len(rows):,}", **style)  # type: ignore[arg-type]
    for axis, goal in (("x", across), ("y", up)):
        _scale(axes, axis, [_number(row[goal.metric]) for row in sample], goal)
    # Above the axes: a front may pass through any corner.
    axes.legend(
        frameon=False,
        fontsize=8,
        labelcolor=INK,
        ncols=2,
        loc="lower left",
        bbox_to_anchor=(-0.02, 1),
        borderpad=0,
    )
    return figure


def _number(value: Value) -> float:
    """``value``, for drawing: what is unlimited or unknown is not drawn."""
    return float(value) if isinstance(value, int | float) and np.isfinite(value) else float("nan")


def _scale(axes: Axes, axis: str, values: list[float], goal: Objective) -> None:
    """A logarithmic axis where values span more than a decade, and a label that says what is better."""
    known = [value for value in values if np.isfinite(value)]
    better = {"maximise": "more is better", "minimise": "less is better"}[goal.direction]
    getattr(axes, f"set_{axis}label")(f"{MEANINGS[goal.metric]}: {better}")
    if known and min(known) > 0 and max(known) > 10 * min(known):
        getattr(axes, f"set_{axis}scale")("log")
        getattr(axes, f"{axis}axis").set_minor_locator(NullLocator())
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
