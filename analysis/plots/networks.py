"""Which networks gain, what limits them, and accuracy against performance."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from .style import GREY, INK, NAMES, Rows, column, log_values, note, pick

BIT_STYLES = {16: ("#999999", "D"), 8: ("#0072B2", "o"), 4: ("#D55E00", "s"), 2: ("#009E73", "^")}


def networks(rows: Rows) -> Figure:
    """Speed-up over 16 bits relative to peak: right of 1 is super-linear."""
    batches = list(dict.fromkeys(column(rows, "batch")))
    figure = Figure(figsize=(8.4, 5.2), layout="constrained")
    panels = figure.subplots(2, len(batches), sharex=True, sharey=True)
    for line, bandwidth in zip(panels, (64.0, 32.0), strict=True):
        for axes, batch in zip(line, batches, strict=True):
            axes.axvline(1.0, color=GREY, linewidth=1.0)
            # A little apart, so that none hides another.
            for shift, (bits, (colour, mark)) in zip((0, -0.2, 0, 0.2), BIT_STYLES.items(), strict=True):
                chosen = pick(rows, batch=batch, bandwidth_gb_per_s=bandwidth, bits=bits)
                if bits < 16:
                    axes.plot(
                        column(chosen, "speed_up_over_peak"),
                        [index + shift for index in range(len(chosen))],
                        color=colour,
                        marker=mark,
                        linestyle="none",
                        label=f"{bits} bits",
                    )
            axes.set_yticks(range(len(NAMES)), list(NAMES.values()))
            axes.set_title(f"{bandwidth:g} GB/s, {'one image' if batch == 1 else f'up to {batch} together'}")
            axes.grid(axis="y", color="#e4e4e4", linewidth=0.6)
            axes.set_xlim(0.15, 2.05)
    panels[0][0].invert_yaxis()
    panels[0][-1].legend(frameon=False, fontsize=8, loc="lower right")
    for axes in panels[-1]:
        axes.set_xlabel("speed-up over 16 bits / peak")
    return figure


def pareto(rows: Rows) -> Figure:
    """Top-1 accuracy against images per second, a panel for each network."""
    shown = list(dict.fromkeys(column(rows, "network")))
    figure = Figure(figsize=(8.6, 3.6), layout="constrained")
    panels = figure.subplots(1, len(shown))
    schemes = {"PACT": ("#D55E00", "o"), "DoReFa": ("#0072B2", "s")}
    for axes, name in zip(panels, shown, strict=True):
        front = sorted(pick(rows, network=name, on_front=True), key=lambda row: row["images_per_s"])
        axes.step(
            column(front, "images_per_s"),
            [100 * value for value in column(front, "top1")],
            where="pre",
            color=GREY,
            linewidth=1.0,
            linestyle=(0, (4, 3)),
            label="best at this speed or more",
        )
        for scheme, (colour, mark) in schemes.items():
            points = pick(rows, network=name, scheme=scheme)
            accuracy = [100 * value for value in column(points, "top1")]
            axes.plot(column(points, "images_per_s"), accuracy, color=colour, marker=mark, label=scheme)
            for row, value in zip(points, accuracy, strict=True):
                # Lines fall to the right: room is above at the right and below at the left.
                below = scheme == "DoReFa"
                text = "float" if row["bits"] == 16 else str(row["bits"])
                if scheme == "PACT" or row["bits"] < 16:
                    at = (row["images_per_s"], value)
                    offset = (-4, -7) if below else (4, 7)
                    if row["bits"] == 16:
                        note(axes, text, at, (0, 10), colour, ha="center", fontsize=8)
                    else:
                        note(axes, text, at, offset, colour, ha="right" if below else "left", fontsize=8)
        axes.set_xscale("log")
        ticks = [500, 1000, 2000, 5000, 10000]
        axes.set_xticks(ticks, ["500", "1k", "2k", "5k", "10k"])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.margins(x=0.12, y=0.15)
        axes.set_title(name)
        axes.set_xlabel("images per second (model)")
    panels[0].set_ylabel("top-1 accuracy, paper's Table 1 (%)")
    panels[0].legend(frameon=False, fontsize=7.5, loc="lower left")
    return figure


def roofline(rows: Rows) -> Figure:
    """MACs per second against MACs per byte, with the chip's limits at each precision."""
    figure = Figure(figsize=(8.4, 4.2), layout="constrained")
    panels = figure.subplots(1, 4, sharex=True, sharey=True)
    for axes, (bits, (colour, _)) in zip(panels, BIT_STYLES.items(), strict=True):
        chosen = pick(rows, bits=bits)
        peak, bandwidth = chosen[0]["peak_tmac_per_s"], chosen[0]["bandwidth_gb_per_s"]
        corner = peak * 1e12 / (bandwidth * 1e9)
        low, high = 2.0, 50_000.0
        axes.plot(
            [low, corner, high], [low * bandwidth / 1e3, peak, peak], color=INK, linewidth=1.0, zorder=1
        )
        for row, mark in zip(chosen, "oDPsv^", strict=True):
            axes.plot(
                row["mac_per_byte"],
                row["tmac_per_s"],
                color=colour,
                marker=mark,
                linestyle="none",
                markersize=5,
                label=NAMES[row["network"]],
            )
        axes.set_xscale("log")
        axes.set_xlim(low, high)
        log_values(axes, [0.1, 0.3, 1, 3, 10, 30])
        axes.set_yticks([0.1, 0.3, 1, 3, 10, 30], ["0.1", "0.3", "1", "3", "10", "30"])
        axes.set_title(f"{bits} bits, {peak:.1f} TMAC/s", color=colour)
        axes.set_xlabel("MAC per byte over the pins")
    panels[0].set_ylabel("10$^{12}$ MAC per second")
    panels[-1].legend(frameon=False, fontsize=7.5, loc="lower right")
    return figure
