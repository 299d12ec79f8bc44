"""Area, performance and energy with our own arrays."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from .style import INK, NAMES, STYLES, Rows, column, log_values, note, pick, precision_axis, stacked


def area_performance(rows: Rows) -> Figure:
    """Throughput against area, and at equal area."""
    figure = Figure(figsize=(8.4, 4.0), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    spread = {None: 9, 64.0: -2, 32.0: -13}  # the three lines end close together
    for bandwidth, (colour, mark, name) in STYLES.items():
        ours = pick(rows, bandwidth_gb_per_s=bandwidth, cores_chosen_by="paper's cores")
        area = [row["area_ge"] / 1e6 for row in ours]
        left.plot(area, column(ours, "images_per_s"), color=colour, marker=mark)
        note(left, name, (area[0], ours[0]["images_per_s"]), (8, 0), colour)
        if bandwidth is None:
            for x, row in zip(area, ours, strict=True):
                text = f"{row['bits']} bits, {row['cores']} cores"
                note(left, text, (x, row["images_per_s"]), (7, 11), INK, fontsize=8)
        equal = pick(rows, bandwidth_gb_per_s=bandwidth, cores_chosen_by="iso-area")
        right.plot(column(equal, "bits"), column(equal, "images_per_s"), color=colour, marker=mark)
        note(right, name, (2, equal[-1]["images_per_s"]), (9, spread[bandwidth]), colour)
        right.plot(
            column(equal, "bits"),
            column(equal, "paper"),
            color=colour,
            marker=mark,
            markerfacecolor="white",
            linestyle=(0, (1, 2)),
            linewidth=1.0,
        )
    left.set_xscale("log")
    left.set_xlim(0.5, 9)
    left.set_xticks([0.5, 1, 2, 5], ["0.5", "1", "2", "5"])
    left.xaxis.set_minor_locator(NullLocator())
    left.set_xlabel("area of all MAC arrays (million NAND2 equivalents)")
    left.set_ylabel("ResNet-50 images per second")
    left.set_title("The paper's cores: smaller and faster")
    for axes in (left, right):
        log_values(axes, [500, 1000, 2000, 5000, 10000, 20000])
    precision_axis(right)
    right.set_xlim(20, 0.95)
    right.set_title("Equal area: that of four 16-bit cores")
    counts = pick(rows, bandwidth_gb_per_s=None, cores_chosen_by="iso-area")
    right.set_xticks([16, 8, 4, 2], [f"{row['bits']}\n({row['cores']} cores)" for row in counts])
    right.text(0.03, 0.93, "filled: model, our arrays", transform=right.transAxes, fontsize=8)
    right.text(0.03, 0.87, "hollow: paper (cores doubled)", transform=right.transAxes, fontsize=8)
    return figure


def energy(rows: Rows) -> Figure:
    """Millijoules per image by what they are spent on, a panel for each network."""
    shown = [name for name in NAMES if name != "resnet50-v1.5"]
    process = rows[0]["process"]
    figure = Figure(figsize=(8.6, 3.6), layout="constrained")
    panels = figure.subplots(1, len(shown))
    kinds = {
        "mac_mj": ("#0072B2", "MACs"),
        "partial_sum_mj": ("#009E73", "partial sums"),
        "on_chip_mj": ("#E69F00", "on-chip memory"),
        "dram_mj": ("#D55E00", "DRAM"),
    }
    for axes, name in zip(panels, shown, strict=True):
        chosen = pick(rows, network=name, process=process)
        stacked(axes, chosen, kinds, "bits")
        for index, row in enumerate(chosen):
            axes.text(
                index,
                row["total_mj"] * 1.01,
                f"{row['total_mj']:.3g}",
                ha="center",
                va="bottom",
                fontsize=7.5,
            )
        axes.set_title(NAMES[name])
        axes.set_xlabel("precision (bits)")
    panels[0].set_ylabel(f"energy per image (mJ), {process}")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False, fontsize=8)
    return figure
