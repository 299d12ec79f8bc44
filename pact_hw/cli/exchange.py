"""``pact-hw import`` and ``pact-hw export``: networks from, and for, other tools."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from .options import FILE, FOLDER, command, out, seed
from .output import Output, facts, grid


@command("import", example="import network.onnx --out out/integer")
@click.argument("file", metavar="FILE.onnx", type=FILE)
@click.option(
    "--images",
    type=click.IntRange(0, 10_000),
    default=4,
    show_default=True,
    help="Random inputs on which the model's own executor is compared.",
)
@seed()
@out()
def import_command(file: Path, images: int, seed: int, out: Path, as_json: bool) -> None:
    """Turn a quantised ONNX or QONNX model (FILE.onnx) into integers, proved exact, or say why not."""
    from ..exchange.importing import import_model

    output = Output(as_json=as_json)
    result = import_model(file, out, images=images, seed=seed, progress=output.progress)
    output.finish(result, _layers(f"{file.name} as integers", result), facts("Summary", _summary(result)))
    _verdict(result)


@command("export", example="export out/digits-integer --out out/digits.onnx")
@click.argument("folder", metavar="DIR", type=FOLDER)
@click.option(
    "--images",
    type=click.IntRange(0, 10_000),
    default=2,
    show_default=True,
    help="Random inputs on which QONNX's executor is compared.",
)
@seed()
@click.option("--out", type=FILE, required=True, help="File to write.")
def export_command(folder: Path, images: int, seed: int, out: Path, as_json: bool) -> None:
    """Write a network (DIR) as a QONNX model that computes the same.

    From convert or import: integers, of scale 1. From train: the network with its real scales.
    """
    from ..exchange.exporting import export
    from ..exchange.torch_exporting import export_checkpoint, is_checkpoint

    output = Output(as_json=as_json)
    trained = is_checkpoint(folder)
    run = export_checkpoint if trained else export
    result = run(folder, out, images=images, seed=seed, progress=output.progress)
    title = f"{out.name} against {'PyTorch' if trained else 'the integers'}"
    output.finish(result, _layers(title, result), facts("Summary", _summary(result)))
    _verdict(result)


def _layers(title: str, result: Mapping[str, Any]) -> Table:
    rows = [
        (
            name,
            f"{layer.get('thresholds_checked', 0):,}",
            f"{layer.get('levels_compared', 0):,}",
            layer.get("level_mismatches", 0),
        )
        for name, layer in result["layers"].items()
    ]
    return grid(title, ("layer", "proved thresholds", "compared levels", "differ"), rows)


def _summary(result: Mapping[str, Any]) -> dict[str, object]:
    shown: dict[str, object] = {
        "executor": f"{result['executor']}, {result['images']} random inputs",
        "levels that differ": f"{result['level_mismatches']} of {result['levels_compared']:,}",
    }
    if result.get("float_ties"):
        shown["of the others, ties that float32 rounds elsewhere"] = result["float_ties"]
    return shown


def _verdict(result: Mapping[str, Any]) -> None:
    levels, classes = result["level_mismatches"], result.get("class_mismatches", 0)
    problems = []
    if levels:
        problems.append(f"{levels} of {result['levels_compared']} levels differ from {result['executor']}'s")
    if classes:
        problems.append(f"{classes} of {result['images']} inputs are of another class")
    Output.verdict(problems)
