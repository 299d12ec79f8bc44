"""The paper's figure, its points and ours on the same axes."""

from __future__ import annotations

from matplotlib.figure import Figure

from .style import GREY, INK, STYLES, Rows, column, log_values, note, percent, pick, precision_axis


def fig6b(rows: Rows) -> Figure:
    """Relative MAC area against precision."""
    figure = Figure(figsize=(5.2, 3.8), layout="constrained")
    axes = figure.subplots()
    lines = (
        ("model_16_lanes", "#D55E00", "s", "our array, 16 lanes a PE (model)"),
        ("paper", INK, "D", "PACT Fig. 6(b), 14 nm"),
        ("model_1_lane", "#0072B2", "o", "our array, 1 lane a PE (model)"),
    )
    bits = column(rows, "bits")
    for name, colour, mark, label in lines:
        hollow = "white" if name == "paper" else colour
        axes.plot(bits, column(rows, name), color=colour, marker=mark, markerfacecolor=hollow, label=label)
        note(axes, f"{rows[0][name]:.1f}x", (16, rows[0][name]), (-7, 0), colour, ha="right")
    axes.legend(frameon=False, labelcolor=[colour for _, colour, _, _ in lines], loc="upper right")
    precision_axis(axes)
    axes.set_xlim(28, 1.7)
    log_values(axes, [1, 2, 5, 10, 20, 50])
    axes.set_ylabel("area per MAC (2-bit MAC = 1)")
    axes.set_title("Area of a multiply-accumulate by precision")
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
