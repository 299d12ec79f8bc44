"""The tables that people read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from .output import facts, grid


def training_table(metrics: Mapping[str, Any]) -> Table:
    """What training reached."""
    title = (
        f"{metrics['network']}: {metrics['act_bits']}-bit activations, {metrics['weight_bits']}-bit weights"
    )
    held_out = metrics["held_out_images"]
    rows = {f"accuracy on {held_out} held-out images": f"{metrics['accuracy']:.2%}"}
    if "float_accuracy" in metrics:
        rows["the float twin's"] = f"{metrics['float_accuracy']:.2%}"
    if "lost" in metrics:
        rows["only the float twin is right"] = f"{len(metrics['lost'])} images"
        rows["only the quantised network is right"] = f"{len(metrics['won'])} images"
    rows["alpha"] = ", ".join(f"{name} {alpha:.3f}" for name, alpha in metrics["alpha"].items())
    return facts(title, rows)


def exactness_table(exactness: Mapping[str, Any]) -> Table:
    """Layer by layer, what was proved and what was compared."""
    head = ("layer", "channels", "proved thresholds", "mult bits", "compared levels", "differ")
    rows = [
        (
            name,
            layer["channels"],
            f"{layer['thresholds_checked']:,}",
            layer.get("widest_mult_bits", layer.get("requantiser", "")),
            f"{layer['levels_compared']:,}",
            layer["level_mismatches"],
        )
        for name, layer in exactness["layers"].items()
    ]
    return grid("Integer network against float64 PyTorch", head, rows)


def products_table(title: str, products: Sequence[Mapping[str, Any]]) -> Table:
    """The simulated matrix products, a row each; those run again (reset, stalls) in one row together."""
    head = ("product", "MxKxN", "cycles", "predicted", "used", "values", "wrong")
    plain = [p for p in products if p["scenario"] == "plain"]
    rows: list[tuple[object, ...]] = [
        (
            p["name"],
            f"{p['m']}x{p['k']}x{p['n']}",
            p["cycles"],
            p["predicted_cycles"],
            f"{p['utilisation']:.0%}",
            f"{p['values_compared']:,}",
            p["mismatches"],
        )
        for p in plain
    ]
    again = [p for p in products if p["scenario"] != "plain"]
    if again:
        compared, wrong = (sum(p[name] for p in again) for name in ("values_compared", "mismatches"))
        scenarios = " and ".join(sorted({p["scenario"] for p in again}))
        rows.append((f"again, with {scenarios}", "", "", "", "", f"{compared:,}", wrong))
    return grid(title, head, rows)


def study_table(result: Mapping[str, Any]) -> Table:
    """The paper's figure, point by point."""
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
    return grid("ResNet-50, images/s (Fig. 6c)", ("bandwidth", "bits", "paper", "model", "error"), rows)


def front_table(result: Mapping[str, Any], most: int) -> Table:
    """The first ``most`` designs of an exploration's front: what varies, and the objectives."""
    varied = [name for name, values in result["axes"].items() if len(values) > 1]
    names = list(dict.fromkeys(["point", *varied, *result["objectives"]]))
    shown = result["front"][:most]
    rows = [[_number(design[name]) for name in names] for design in shown]
    title = "Pareto front" if len(shown) == len(result["front"]) else f"Pareto front, the first {most}"
    table = grid(title, [name.replace("_", " ") for name in names], rows)
    for column in table.columns:
        column.no_wrap = False  # there may be many: their heads are folded
    return table


def refined_table(refined: Sequence[Mapping[str, Any]]) -> Table:
    """Arrays of the front as they were measured, beside what the models said."""
    head = ("array", "area model (GE)", "synthesised", "error", "cycles", "predicted", "values", "wrong")
    names = ("model_area_ge", "measured_area_ge", "area_error", "cycles", "predicted_cycles")
    rows = [
        [row["design"], *(_number(row[name]) for name in (*names, "values_compared", "mismatches"))]
        for row in refined
    ]
    return grid("Arrays of the front, measured", head, rows)


def _number(value: object) -> str:
    """``value`` with five digits; what is not known as a dash."""
    if value is None:
        return "-"
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def files_table(files: Sequence[str]) -> Table:
    """The files that were written."""
    return facts("Files", dict.fromkeys(files, ""))
