"""The paper's figure, its points and ours on the same axes."""

from __future__ import annotations

from matplotlib.figure import Figure

from .style import (
    GREY,
    INK,
    LIBRARY_STYLES,
    STYLES,
    Rows,
    column,
    log_values,
    note,
    percent,
    pick,
    precision_axis,
)


def fig6b(rows: Rows) -> Figure:
    """Relative MAC area against precision: the paper's points, ours synthesised, and the model's lines."""
    figure = Figure(figsize=(8.2, 4.0), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    paper = pick(rows, source="paper")
    libraries = dict.fromkeys(source.partition(",")[0] for source in column(rows, "source"))
    names = [name for name in libraries if name != "paper"]
    for axes, lanes in zip(panels, sorted({row["lanes"] for row in rows}), strict=True):
        for name, (colour, mark) in zip(names, LIBRARY_STYLES, strict=False):
            model = pick(rows, source=f"{name}, model", lanes=lanes)
            found = pick(rows, source=f"{name}, synthesised", lanes=lanes)
            bits = column(model, "bits")
            axes.plot(bits, column(model, "relative_area"), color=colour, linewidth=1.0)
            axes.plot(
                bits, column(found, "relative_area"), color=colour, marker=mark, linestyle="none", label=name
            )
        axes.plot(
            column(paper, "bits"),
            column(paper, "relative_area"),
            color=INK,
            marker="D",
            markersize=8,
            markerfacecolor="none",
            linestyle="none",
            label="PACT Fig. 6(b), 14 nm",
        )
        precision_axis(axes)
        log_values(axes, [1, 2, 5, 10, 20, 50])
        axes.set_title(f"Our PE: {lanes} lane{'s' if lanes > 1 else ''}")
    panels[0].set_ylabel("area per MAC (2-bit MAC = 1)")
    panels[0].legend(frameon=False, fontsize=8, loc="upper right")
    panels[0].text(0.03, 0.06, "marks: synthesis; lines: model", transform=panels[0].transAxes, fontsize=8)
    return figure


def fig6c(rows: Rows) -> Figure:
    """Images per second against precision, a panel for each bandwidth."""
    figure = Figure(figsize=(8.4, 3.7), layout="constrained")
    panels = figure.subplots(1, 3, sharey=True)
    for axes, (bandwidth, (colour, mark, name)) in zip(panels, STYLES.items(), strict=True):
        chosen = pick(rows, bandwidth_gb_per_s=bandwidth)
        bits = column(chosen, "bits")
        axes.plot(bits, column(chosen, "paper_linear"), color=GREY, linestyle=(0, (4, 3)), linewidth=1.1)
        axes.plot(bits, column(chosen, "model"), color=colour, marker=mark, markersize=4)
        axes.plot(
            bits,
            column(chosen, "paper"),
            color=INK,
            linestyle="none",
            marker="o",
            markersize=10,
            markerfacecolor="none",
        )
        for row in chosen:
            note(axes, percent(row["error"]), (row["bits"], row["model"]), (6, -13), colour, fontsize=8)
        precision_axis(axes)
        log_values(axes, [500, 1000, 2000, 4000, 8000])
        axes.set_ylim(400, 10000)
        axes.set_title("bandwidth unlimited" if bandwidth is None else name, color=colour)
    first = panels[0]
    first.set_ylabel("ResNet-50 images per second")
    for y, text, colour in (
        (0.23, "rings: paper, Fig. 6(c)", INK),
        (0.17, "line: model, and its error", STYLES[None][0]),
        (0.11, "dashed: 16-bit point times peak", GREY),
    ):
        first.text(0.99, y, text, transform=first.transAxes, ha="right", fontsize=8, color=colour)
    return figure
