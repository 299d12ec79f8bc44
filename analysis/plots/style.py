"""How our figures look: colours are Okabe and Ito's, and marks differ in shape too."""

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
LIBRARY_STYLES = (("#0072B2", "o"), ("#009E73", "^"), ("#D55E00", "s"), ("#CC79A7", "v"))
"""Colour and mark of cell libraries, in the order of the table."""
NAMES = {
    "resnet18": "ResNet-18",
    "resnet50": "ResNet-50",
    "resnet50-v1.5": "ResNet-50 v1.5",
    "alexnet": "AlexNet",
    "mobilenet_v2": "MobileNetV2",
    "bert_base": "BERT-base",
}
"""Networks as people write them."""
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


def pick(rows: Rows, **wanted: object) -> Rows:
    """The rows whose columns have the wanted values."""
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def column(rows: Rows, name: str) -> list[Any]:
    """One column."""
    return [row[name] for row in rows]


def precision_axis(axes: Axes) -> None:
    """Precision on a logarithmic axis, 16 bits at the left as in the paper."""
    axes.set_xscale("log", base=2)
    axes.set_xlim(20, 1.6)
    axes.set_xticks([16, 8, 4, 2], ["16", "8", "4", "2"])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("activation and weight precision (bits)")


def log_values(axes: Axes, ticks: list[float]) -> None:
    """Values on a logarithmic axis with plain numbers and thin lines across."""
    axes.set_yscale("log")
    axes.set_yticks(ticks)
    axes.yaxis.set_major_formatter(ScalarFormatter())
    axes.yaxis.set_minor_locator(NullLocator())
    axes.grid(axis="y", color="#e4e4e4", linewidth=0.6)
    axes.set_axisbelow(True)


def note(
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


def percent(value: float) -> str:
    """A signed percentage."""
    text = f"{value:+.1%}".replace("-", "\N{MINUS SIGN}")
    return "0.0%" if text[1:] == "0.0%" else text


def stacked(axes: Axes, rows: Rows, kinds: dict[str, tuple[str, str]], names: str) -> None:
    """A bar for each row, of the parts ``kinds`` (column: colour, label), named by column ``names``."""
    base = [0.0] * len(rows)
    for member, (colour, label) in kinds.items():
        values = column(rows, member)
        axes.bar(range(len(rows)), values, bottom=base, color=colour, label=label, width=0.7)
        base = [low + value for low, value in zip(base, values, strict=True)]
    axes.set_xticks(range(len(rows)), [str(name) for name in column(rows, names)])
