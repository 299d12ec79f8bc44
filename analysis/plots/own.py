"""Area, performance and energy with our own arrays."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from .style import (
    GREY,
    INK,
    LIBRARY_STYLES,
    NAMES,
    STYLES,
    Rows,
    column,
    log_values,
    note,
    pick,
    precision_axis,
    stacked,
)

SHOWN_LIBRARY = "asap7"


def area_performance(rows: Rows) -> Figure:
    """Throughput against area, and at equal area."""
    figure = Figure(figsize=(8.4, 4.0), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for bandwidth, (colour, mark, name) in STYLES.items():
        ours = pick(
            rows, library=SHOWN_LIBRARY, bandwidth_gb_per_s=bandwidth, cores_chosen_by="paper's cores"
        )
        area = column(ours, "area_mm2")
        left.plot(area, column(ours, "images_per_s"), color=colour, marker=mark)
        note(left, name, (area[0], ours[0]["images_per_s"]), (8, 0), colour)
        if bandwidth is None:
            for x, row in zip(area, ours, strict=True):
                text = f"{row['bits']} bits, {row['cores']} cores"
                note(left, text, (x, row["images_per_s"]), (7, 11), INK, fontsize=8)
    left.set_xscale("log")
    left.margins(x=0.35)
    ticks = [0.02, 0.05, 0.1, 0.2, 0.5]
    left.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    left.xaxis.set_minor_locator(NullLocator())
    left.set_xlabel(f"area of all MAC arrays (mm$^2$, {SHOWN_LIBRARY}, before placement)")
    left.set_ylabel("ResNet-50 images per second")
    left.set_title("The paper's cores: smaller and faster")
    at_64 = {"library": SHOWN_LIBRARY, "bandwidth_gb_per_s": 64.0}
    lines = (
        ("paper", "paper's cores", "paper: cores doubled", INK, "o", "white", (0, (1, 2))),
        ("images_per_s", "iso-area", "equal area, paper's cores", "#D55E00", "s", "#D55E00", "-"),
        ("images_per_s", "our arrays", "equal area, our arrays' cycles", "#0072B2", "^", "#0072B2", "-"),
    )
    for member, way, label, colour, mark, face, dashes in lines:
        chosen = pick(rows, cores_chosen_by=way, **at_64)
        right.plot(
            column(chosen, "bits"),
            column(chosen, member),
            color=colour,
            marker=mark,
            markerfacecolor=face,
            linestyle=dashes,
            label=label,
        )
    for axes in (left, right):
        log_values(axes, [500, 1000, 2000, 5000, 10000, 20000])
    precision_axis(right)
    right.set_title("Equal area: that of four 16-bit cores; 64 GB/s")
    counts = pick(rows, cores_chosen_by="iso-area", **at_64)
    right.set_xticks([16, 8, 4, 2], [f"{row['bits']}\n({row['cores']} cores)" for row in counts])
    right.legend(frameon=False, fontsize=8, loc="upper left")
    return figure


def area_fit(rows: Rows) -> Figure:
    """Relative error of the area model on each synthesised design, by library."""
    libraries = list(dict.fromkeys(column(rows, "library")))
    figure = Figure(figsize=(8.4, 3.6), layout="constrained")
    panels = figure.subplots(1, len(libraries), sharey=True, squeeze=False)[0]
    for axes, library, (colour, mark) in zip(panels, libraries, LIBRARY_STYLES, strict=False):
        axes.axhspan(-12, 12, color="#f0f0f0", linewidth=0)
        axes.axhline(0, color=GREY, linewidth=0.8)
        for role, face, label in (("fit", "white", "fitted to"), ("held-out", colour, "held out")):
            chosen = pick(rows, library=library, role=role)
            axes.plot(
                column(chosen, "synthesised_um2"),
                column(chosen, "error_percent"),
                color=colour,
                marker=mark,
                markersize=4.5,
                markerfacecolor=face,
                linestyle="none",
                label=label,
            )
        axes.set_xscale("log")
        axes.set_title(library)
        axes.set_xlabel("synthesised area (um$^2$)")
        axes.legend(frameon=False, fontsize=8, loc="upper right")
    panels[0].set_ylabel("area model's error (%)")
    panels[0].set_ylim(-20, 20)
    return figure


def energy(rows: Rows) -> Figure:
    """Millijoules per image by what they are spent on: a column for each network, a row for each core."""
    shown = [name for name in NAMES if name != "resnet50-v1.5"]
    process = rows[0]["process"]
    figure = Figure(figsize=(8.6, 5.6), layout="constrained")
    panels = figure.subplots(2, len(shown), sharex=True, sharey="col")
    kinds = {
        "mac_mj": ("#0072B2", "MACs"),
        "partial_sum_mj": ("#009E73", "partial sums"),
        "on_chip_mj": ("#E69F00", "on-chip memory"),
        "dram_mj": ("#D55E00", "DRAM"),
    }
    for line, core in zip(panels, ("paper's cores", "our arrays"), strict=True):
        for axes, name in zip(line, shown, strict=True):
            chosen = pick(rows, network=name, process=process, cores=core)
            stacked(axes, chosen, kinds, "bits")
            for index, row in enumerate(chosen):
                text = f"{row['total_mj']:#.3g}"
                axes.text(index, row["total_mj"] * 1.01, text, ha="center", va="bottom", fontsize=7.5)
        line[0].set_ylabel(f"{core}\nenergy per image (mJ)")
    for axes, name in zip(panels[0], shown, strict=True):
        axes.set_title(NAMES[name])
    for axes in panels[-1]:
        axes.set_xlabel("precision (bits)")
    handles, labels = panels[0][0].get_legend_handles_labels()
    legend = figure.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False, fontsize=8)
    legend.set_title(process)
    return figure
