"""Figures: functions of rows, without computation. Colours are Okabe and Ito's, marks differ in shape too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator, ScalarFormatter

from pact_hw.files import atomic_path

Rows = list[dict[str, Any]]

INK, GREY = "#222222", "#767676"
STYLES: dict[float | None, tuple[str, str, str]] = {
    None: ("#0072B2", "o", "unlimited"),
    64.0: ("#D55E00", "s", "64 GB/s"),
    32.0: ("#009E73", "^", "32 GB/s"),
}
"""Colour, mark and name of each bandwidth."""
_SETTINGS: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "text.color": INK,
    "lines.linewidth": 1.6,
    "lines.markersize": 6,
    "svg.hashsalt": "pact-hw",  # the same figure is the same file
    "svg.fonttype": "none",
}


@contextmanager
def style() -> Iterator[None]:
    """Our look for the figures drawn and saved inside."""
    with mpl.rc_context(_SETTINGS):
        yield


def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write ``NAME.png`` and ``NAME.svg``."""
    paths = [folder / f"{name}.png", folder / f"{name}.svg"]
    for path in paths:
        with atomic_path(path) as temporary:
            metadata = {"Software": None} if path.suffix == ".png" else {"Date": None}
            figure.savefig(temporary, format=path.suffix[1:], dpi=200, metadata=metadata)
    return paths


def _pick(rows: Rows, **wanted: object) -> Rows:
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def _column(rows: Rows, name: str) -> list[float]:
    return [row[name] for row in rows]


def _precision_axis(axes: Axes) -> None:
    """Precision on a logarithmic axis, 16 bits at the left as in the paper."""
    axes.set_xscale("log", base=2)
    axes.set_xlim(20, 1.6)
    axes.set_xticks([16, 8, 4, 2], ["16", "8", "4", "2"])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("activation and weight precision (bits)")


def _log_values(axes: Axes, ticks: list[float]) -> None:
    axes.set_yscale("log")
    axes.set_yticks(ticks)
    axes.yaxis.set_major_formatter(ScalarFormatter())
    axes.yaxis.set_minor_locator(NullLocator())
    axes.grid(axis="y", color="#e4e4e4", linewidth=0.6)
    axes.set_axisbelow(True)


def _note(
    axes: Axes,
    text: str,
    at: tuple[float, float],
    offset: tuple[float, float],
    colour: str,
    *,
    ha: Literal["left", "center", "right"] = "left",
    fontsize: float = 9,
) -> None:
    """Text beside a data point; ``offset`` in printer's points."""
    axes.annotate(
        text,
        at,
        xytext=offset,
        textcoords="offset points",
        ha=ha,
        va="center",
        color=colour,
        fontsize=fontsize,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5, "alpha": 0.8},
    )


def _percent(value: float) -> str:
    text = f"{value:+.1%}".replace("-", "\N{MINUS SIGN}")
    return "0.0%" if text[1:] == "0.0%" else text


def fig6b(rows: Rows) -> Figure:
    """Relative MAC area against precision."""
    figure = Figure(figsize=(5.2, 3.8), layout="constrained")
    axes = figure.subplots()
    lines = (
        ("model_16_lanes", "#D55E00", "s", "our array, 16 lanes a PE (model)"),
        ("paper", INK, "D", "PACT Fig. 6(b), 14 nm"),
        ("model_1_lane", "#0072B2", "o", "our array, 1 lane a PE (model)"),
    )
    bits = _column(rows, "bits")
    for name, colour, mark, label in lines:
        hollow = "white" if name == "paper" else colour
        axes.plot(bits, _column(rows, name), color=colour, marker=mark, markerfacecolor=hollow, label=label)
        _note(axes, f"{rows[0][name]:.1f}x", (16, rows[0][name]), (-7, 0), colour, ha="right")
    axes.legend(frameon=False, labelcolor=[colour for _, colour, _, _ in lines], loc="upper right")
    _precision_axis(axes)
    axes.set_xlim(28, 1.7)
    _log_values(axes, [1, 2, 5, 10, 20, 50])
    axes.set_ylabel("area per MAC (2-bit MAC = 1)")
    axes.set_title("Area of a multiply-accumulate by precision")
    return figure


def fig6c(rows: Rows) -> Figure:
    """Images per second against precision, a panel for each bandwidth."""
    figure = Figure(figsize=(8.4, 3.7), layout="constrained")
    panels = figure.subplots(1, 3, sharey=True)
    for axes, (bandwidth, (colour, mark, name)) in zip(panels, STYLES.items(), strict=True):
        chosen = _pick(rows, bandwidth_gb_per_s=bandwidth)
        bits = _column(chosen, "bits")
        axes.plot(bits, _column(chosen, "paper_linear"), color=GREY, linestyle=(0, (4, 3)), linewidth=1.1)
        axes.plot(bits, _column(chosen, "model"), color=colour, marker=mark, markersize=4)
        axes.plot(
            bits,
            _column(chosen, "paper"),
            color=INK,
            linestyle="none",
            marker="o",
            markersize=10,
            markerfacecolor="none",
        )
        for row in chosen:
            _note(axes, _percent(row["error"]), (row["bits"], row["model"]), (6, -13), colour, fontsize=8)
        _precision_axis(axes)
        _log_values(axes, [500, 1000, 2000, 4000, 8000])
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


def superlinear(rows: Rows) -> Figure:
    """Speed-up over 16 bits with and without retained weights, against peak."""
    figure = Figure(figsize=(6.6, 3.7), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, bandwidth in zip(panels, (64.0, 32.0), strict=True):
        colour, mark, name = STYLES[bandwidth]
        chosen = _pick(rows, bandwidth_gb_per_s=bandwidth)
        bits = _column(chosen, "bits")
        axes.plot(bits, _column(chosen, "peak"), color=GREY, linestyle=(0, (4, 3)), linewidth=1.1)
        axes.plot(bits, _column(chosen, "model"), color=colour, marker=mark, markersize=4)
        axes.plot(
            bits,
            _column(chosen, "model_without_retention"),
            color=colour,
            marker=mark,
            markersize=4,
            markerfacecolor="white",
            linewidth=1.0,
        )
        axes.plot(
            bits,
            _column(chosen, "paper"),
            color=INK,
            linestyle="none",
            marker="o",
            markersize=10,
            markerfacecolor="none",
        )
        for column in ("model", "model_without_retention"):
            _note(axes, f"{chosen[3][column]:.1f}x", (2, chosen[3][column]), (9, 0), colour, fontsize=8)
        _note(axes, "model", (4, chosen[2]["model"]), (-8, 13), colour, ha="right", fontsize=8)
        below = chosen[2]["model_without_retention"]
        _note(axes, "nothing retained", (4, below), (2, -13), colour, fontsize=8)
        _precision_axis(axes)
        axes.set_xlim(20, 1.35)
        _log_values(axes, [1, 2, 4, 8])
        axes.set_title(name, color=colour)
    panels[0].set_ylabel("speed-up over 16 bits")
    panels[0].text(0.03, 0.93, "rings: paper", transform=panels[0].transAxes, fontsize=8)
    panels[0].text(0.03, 0.86, "dashed: peak MACs", transform=panels[0].transAxes, fontsize=8, color=GREY)
    return figure


def area_performance(rows: Rows, paper: Rows) -> Figure:
    """Throughput against area, and at equal area."""
    figure = Figure(figsize=(8.4, 4.0), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    spread = {None: 9, 64.0: -2, 32.0: -13}  # the three lines end close together
    for bandwidth, (colour, mark, name) in STYLES.items():
        ours = _pick(rows, bandwidth_gb_per_s=bandwidth, cores_chosen_by="paper's cores")
        area = [row["area_ge"] / 1e6 for row in ours]
        left.plot(area, _column(ours, "images_per_s"), color=colour, marker=mark)
        _note(left, name, (area[0], ours[0]["images_per_s"]), (8, 0), colour)
        if bandwidth is None:
            for x, row in zip(area, ours, strict=True):
                text = f"{row['bits']} bits, {row['cores']} cores"
                _note(left, text, (x, row["images_per_s"]), (7, 11), INK, fontsize=8)
        equal = _pick(rows, bandwidth_gb_per_s=bandwidth, cores_chosen_by="iso-area")
        right.plot(_column(equal, "bits"), _column(equal, "images_per_s"), color=colour, marker=mark)
        _note(right, name, (2, equal[-1]["images_per_s"]), (9, spread[bandwidth]), colour)
        points = _pick(paper, bandwidth_gb_per_s=bandwidth)
        right.plot(
            _column(points, "bits"),
            _column(points, "paper"),
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
        _log_values(axes, [500, 1000, 2000, 5000, 10000, 20000])
    _precision_axis(right)
    right.set_xlim(20, 0.95)
    right.set_title("Equal area: that of four 16-bit cores")
    counts = _pick(rows, bandwidth_gb_per_s=None, cores_chosen_by="iso-area")
    right.set_xticks([16, 8, 4, 2], [f"{row['bits']}\n({row['cores']} cores)" for row in counts])
    right.text(0.03, 0.93, "filled: model, our arrays", transform=right.transAxes, fontsize=8)
    right.text(0.03, 0.87, "hollow: paper (cores doubled)", transform=right.transAxes, fontsize=8)
    return figure
