"""How a training went: the loss, and every clip against the steps (the paper's Fig. 2)."""

from __future__ import annotations

from itertools import cycle

from matplotlib import colormaps
from matplotlib.figure import Figure

from .style import INK, Rows, column


def training(rows: Rows) -> Figure:
    """``rows`` are the lines of a training's log: ``step``, ``loss`` and ``alpha`` by activation."""
    figure = Figure(figsize=(9.0, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    steps = column(rows, "step")
    left.plot(steps, column(rows, "loss"), color=INK)
    left.set_title("Loss")
    names = list(rows[0]["alpha"])
    colours = colormaps["viridis"].resampled(max(len(names), 2))
    for index, (name, dashes) in enumerate(zip(names, cycle(("-", "--", ":")))):
        values = [row["alpha"][name] for row in rows]
        right.plot(steps, values, color=colours(index), linestyle=dashes, linewidth=1.1, label=name)
    right.set_title("Clips (alpha), first activation dark, last light")
    right.legend(fontsize=5.5, ncols=2, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    for axes in (left, right):
        axes.set_xlabel("step")
        axes.set_ylim(bottom=0)
    return figure
