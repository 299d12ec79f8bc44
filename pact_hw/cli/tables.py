"""The tables that several commands show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from .output import facts, grid


def products_table(title: str, products: Sequence[Mapping[str, Any]]) -> Table:
    """The simulated matrix products, a row each."""
    head = ("product", "M x K x N", "cycles", "predicted", "utilisation", "values compared", "mismatches")
    rows = [
        (
            p["name"],
            f"{p['m']} x {p['k']} x {p['n']}",
            p["cycles"],
            p["predicted_cycles"],
            f"{p['utilisation']:.1%}",
            p["values_compared"],
            p["mismatches"],
        )
        for p in products
    ]
    return grid(title, head, rows)


def study_tables(result: Mapping[str, Any]) -> list[Table]:
    """The reproduced figure as a table, and the files."""
    rows = [
        (
            "unlimited" if p["bandwidth_gb_per_s"] is None else f"{p['bandwidth_gb_per_s']:g} GB/s",
            p["bits"],
            f"{p['paper']:.0f}",
            f"{p['model']:.0f}",
            f"{p['error']:+.1%}",
        )
        for p in result["fig6c"]
    ]
    table = grid("ResNet-50, images/s (Fig. 6c)", ("bandwidth", "bits", "paper", "model", "error"), rows)
    return [table, facts("Files", dict(enumerate(result["files"], 1)))]
