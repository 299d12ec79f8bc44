"""Why it is super-linear: what fits, what crosses the pins, with and without retention, and the map."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from .style import GREY, INK, NAMES, STYLES, Rows, column, log_values, note, pick, precision_axis, stacked

POLICY_TITLES = {
    "weights kept": "what fits is kept",
    "no weights kept": "no weights kept",
    "nothing kept": "nothing kept between layers",
}
KINDS = {
    "weights_mb": ("#0072B2", "weights"),
    "activations_mb": ("#E69F00", "activations"),
    "fetched_again_mb": ("#CC79A7", "fetched again"),
    "image_mb": ("#999999", "image"),
}


def superlinear(rows: Rows) -> Figure:
    """Speed-up over 16 bits against peak, for three policies of what stays on the chip."""
    figure = Figure(figsize=(7.4, 4.0), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    lines = (
        ("model", "weights kept", "-", None),
        ("model_without_retention", "no weights kept", (0, (5, 2)), "white"),
        ("model_nothing_kept", "nothing kept", (0, (1, 1.5)), "white"),
    )
    for axes, bandwidth in zip(panels, (64.0, 32.0), strict=True):
        colour, mark, name = STYLES[bandwidth]
        chosen = pick(rows, bandwidth_gb_per_s=bandwidth)
        bits = column(chosen, "bits")
        axes.plot(bits, column(chosen, "peak"), color=GREY, linewidth=1.1)
        note(axes, "peak", (2, 8), (9, 0), GREY, fontsize=8)
        for member, label, dashes, face in lines:
            values = column(chosen, member)
            axes.plot(
                bits,
                values,
                color=colour,
                marker=mark,
                markersize=4,
                linestyle=dashes,
                markerfacecolor=face or colour,
                linewidth=1.4 if face is None else 1.0,
            )
            offset = (9, -9) if face is None and bandwidth == 64.0 else (9, 0)
            note(axes, f"{label}, {values[-1]:.1f}x", (2, values[-1]), offset, colour, fontsize=8)
        axes.plot(
            bits,
            column(chosen, "paper"),
            color=INK,
            linestyle="none",
            marker="o",
            markersize=10,
            markerfacecolor="none",
        )
        precision_axis(axes)
        axes.set_xlim(20, 0.5)
        log_values(axes, [1, 2, 4, 8])
        axes.set_title(name, color=colour)
    panels[0].set_ylabel("speed-up over 16 bits")
    panels[0].text(0.03, 0.93, "rings: paper", transform=panels[0].transAxes, fontsize=8)
    return figure


def footprint(rows: Rows) -> Figure:
    """Megabytes against precision: ResNet-50 by kind, and all networks, with what 16 MB can hold."""
    figure = Figure(figsize=(8.2, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2)
    chosen = pick(rows, network="resnet50")
    kinds = {
        "weights_mb": ("#0072B2", "weights"),
        "activations_mb": ("#E69F00", "activations (largest layer)"),
        "residual_stream_mb": ("#999999", "residual stream, 16 bits"),
    }
    stacked(left, chosen, kinds, "bits")
    for index, row in enumerate(chosen):
        inside = row["total_mb"] < 12  # below the line of what is usable
        at, colour = (row["total_mb"] / 2, "white") if inside else (row["total_mb"] + 0.8, INK)
        left.text(index, at, f"{row['total_mb']:.1f}", ha="center", fontsize=8, color=colour)
    usable = chosen[0]["usable_mb_of_16"]
    left.axhline(usable, color=INK, linewidth=1.0, linestyle=(0, (4, 3)))
    left.text(3, usable + 0.6, f"{usable:.1f} of 16 MB\nare usable", ha="center", fontsize=8)
    left.legend(frameon=False, fontsize=8, loc="upper right")
    left.set_xlabel("activation and weight precision (bits)")
    left.set_ylabel("memory (MB)")
    left.set_title("ResNet-50: what would have to fit")
    colours = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")
    names = [name for name in dict.fromkeys(column(rows, "network")) if name != "resnet50-v1.5"]
    marks = "oDs^v"
    for name, colour, mark in zip(names, colours, marks, strict=True):
        points = pick(rows, network=name)
        right.plot(
            column(points, "bits"), column(points, "total_mb"), color=colour, marker=mark, markersize=4
        )
        # Two end close together, one close to the dashed line.
        rise = {"bert_base": 4, "alexnet": -3, "resnet50": -7}.get(name, 0)
        note(right, NAMES[name], (2, points[-1]["total_mb"]), (7, rise), colour, fontsize=8)
    right.axhline(usable, color=INK, linewidth=1.0, linestyle=(0, (4, 3)))
    precision_axis(right)
    right.set_xlim(20, 0.65)
    log_values(right, [1, 2, 5, 10, 20, 50, 100])
    right.set_title("All networks: weights and largest layer")
    return figure


def traffic(rows: Rows) -> Figure:
    """Megabytes per image over the pins by kind, for three policies."""
    figure = Figure(figsize=(8.4, 3.6), layout="constrained")
    panels = figure.subplots(1, 3, sharey=True)
    for axes, (policy, title) in zip(panels, POLICY_TITLES.items(), strict=True):
        chosen = pick(rows, policy=policy, bandwidth_gb_per_s=64.0)
        stacked(axes, chosen, KINDS, "bits")
        for index, row in enumerate(chosen):
            axes.text(
                index,
                row["total_mb"] + 1.5,
                f"{row['total_mb']:.1f} MB\nwaits {row['waiting_share']:.0%}",
                ha="center",
                fontsize=7.5,
            )
        axes.set_title(title)
        axes.set_xlabel("precision (bits)")
    panels[0].set_ylabel("traffic per ResNet-50 image (MB)")
    panels[0].set_ylim(0, 140)
    panels[0].legend(frameon=False, fontsize=8, loc="upper right")
    return figure


def superlinearity_map(rows: Rows) -> Figure:
    """Speed-up over 16 bits relative to peak, over memory and bandwidth: a panel per policy and precision."""
    policies = list(POLICY_TITLES)
    shown_bits = (8, 4, 2)
    figure = Figure(figsize=(8.6, 8.0), layout="constrained")
    panels = figure.subplots(3, 3, sharex=True, sharey=True)
    mesh = None
    for line, policy in zip(panels, policies, strict=True):
        for axes, bits in zip(line, shown_bits, strict=True):
            mesh = _map_panel(axes, pick(rows, policy=policy, bits=bits))
            if policy == policies[0]:
                axes.set_title(f"16 to {bits} bits (peak {16 // bits}x)")
        line[0].set_ylabel(f"{POLICY_TITLES[policy]}\non-chip memory (MB)")
    for axes in panels[-1]:
        axes.set_xlabel("bandwidth (GB/s)")
    panels[0][1].plot([64, 32], [16, 16], color=INK, marker="D", markersize=4, linestyle="none")
    panels[0][1].annotate(
        "the paper's", (45, 16), xytext=(0, -11), textcoords="offset points", ha="center", fontsize=8
    )
    assert mesh is not None
    bar = figure.colorbar(mesh, ax=panels, location="bottom", shrink=0.6, aspect=40, pad=0.02)
    bar.set_label("speed-up over 16 bits relative to peak (black line: 1, above it super-linear)")
    bar.set_ticks([0.25, 0.5, 1, 1.5, 2, 3, 4], labels=["0.25", "0.5", "1", "1.5", "2", "3", "4"])
    return figure


def _map_panel(axes: Axes, rows: Rows):  # type: ignore[no-untyped-def]
    memory = sorted(set(column(rows, "memory_mb")))
    bandwidth = sorted(set(column(rows, "bandwidth_gb_per_s")))
    grid = np.reshape(column(rows, "speed_up_over_peak"), (len(memory), len(bandwidth)))
    mesh = axes.pcolormesh(
        bandwidth,
        memory,
        grid,
        norm=TwoSlopeNorm(1.0, vmin=0.25, vmax=4.0),
        cmap="PuOr_r",
        shading="gouraud",
        rasterized=True,
    )
    if grid.max() > 1.005:
        axes.contour(bandwidth, memory, grid, levels=[1.0], colors=INK, linewidths=1.2)
    else:
        colour = "white" if grid.mean() < 0.6 else INK
        axes.text(0.5, 0.5, "nowhere", transform=axes.transAxes, ha="center", fontsize=8, color=colour)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    axes.set_xticks([8, 32, 128, 512], ["8", "32", "128", "512"])
    axes.set_yticks([2, 4, 8, 16, 32, 64], ["2", "4", "8", "16", "32", "64"])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_minor_locator(NullLocator())
    return mesh
