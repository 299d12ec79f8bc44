"""One function a command: options in, the rooms' work, a result out. Rooms are imported when needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .hardware import HARDWARE_COMMANDS
from .options import FILE, FOLDER, command, out, seed
from .output import Output, facts
from .tables import exactness_table, files_table, study_table, training_table


@command("train", example="train --network digits --act-bits 4 --weight-bits 4 --out out/digits")
@click.option("--network", default="digits", show_default=True, help="Which network.")
@click.option("--act-bits", type=int, default=4, show_default=True, help="Width of the activations.")
@click.option("--weight-bits", type=int, default=4, show_default=True, help="Width of the weights.")
@click.option("--edge-bits", type=int, default=8, show_default=True, help="Width of first and last layer.")
@click.option("--residual-bits", type=int, default=8, show_default=True, help="Width of residual streams.")
@click.option("--tie-residuals", is_flag=True, help="One clip for a sum and its shortcut: cheaper hardware.")
@click.option("--weights", default="dorefa", show_default=True, help="Weight quantiser: dorefa or sawb.")
@click.option("--init", type=FILE, default=None, help="Float parameters (.npz) to start from.")
@click.option("--data", type=FOLDER, default=None, help="Folder of the data set.")
@click.option("--epochs", type=click.IntRange(0), default=None, help="Instead of the recipe's own number.")
@click.option("--images-per-epoch", type=click.IntRange(1), default=None, help="A random part an epoch.")
@click.option("--recipe", default=None, help="Instead of the network's own, or finetune with --init.")
@click.option(
    "--mixed-precision/--full-precision", default=None, help="bfloat16 in training.  [default: on CUDA only]"
)
@click.option("--device", default="cpu", show_default=True, help="Where to train: cpu, cuda, cuda:1.")
@seed()
@out()
def train(out: Path, as_json: bool, **options: Any) -> None:
    """Train a network with PACT activations on real images, from scratch or from float parameters."""
    from ..qat.training import train as run

    output = Output(as_json=as_json)
    metrics = run(out=out, progress=output.progress, **options)
    output.finish(metrics, training_table(metrics))


@command("convert", example="convert out/digits --out out/digits-integer")
@click.argument("folder", metavar="DIR", type=FOLDER)
@click.option("--data", type=FOLDER, default=None, help="Folder of the data set.")
@click.option(
    "--images", type=click.IntRange(1), default=1000, show_default=True, help="Test images to compare."
)
@click.option("--mult-bits", type=int, default=56, show_default=True, help="Widest multiplier allowed.")
@click.option("--add-bits", type=int, default=62, show_default=True, help="Widest addend allowed.")
@click.option("--max-shift", type=int, default=60, show_default=True, help="Longest shift allowed.")
@click.option(
    "--fallback",
    type=click.Choice(["thresholds", "refuse", "half-up", "nearest"]),
    default="thresholds",
    show_default=True,
    help="Where no multiplication is exact: exact thresholds, none, or an approximation, measured.",
)
@out()
def convert(
    folder: Path,
    data: Path | None,
    images: int,
    mult_bits: int,
    add_bits: int,
    max_shift: int,
    fallback: str,
    out: Path,
    as_json: bool,
) -> None:
    """Turn a trained network (DIR, from train) into integers, and prove them exact."""
    from ..qat.conversion.requantiser import Fallback
    from ..qat.convert import convert as run
    from ..spec import RequantiserSpec

    output = Output(as_json=as_json)
    widths = RequantiserSpec(
        mult_bits=mult_bits, add_bits=add_bits, max_shift=max_shift, level_bits=16, residual_bits=16
    )
    exactness = run(
        folder,
        out,
        progress=output.progress,
        data=data,
        images=images,
        requantiser=widths,
        fallback=Fallback(fallback),
    )
    output.finish(exactness, exactness_table(exactness))
    differ = exactness["level_mismatches"]
    approximate = [name for name, made in exactness["fallbacks"].items() if made["by"] != "thresholds"]
    problems = (
        [] if approximate else [f"{differ} of {exactness['levels_compared']} levels differ from PyTorch's"]
    )
    output.verdict(problems if differ else [])


@command("study", example="study --out out/study")
@click.option("--list", "list_only", is_flag=True, help="Name the figures, and draw none.")
@click.option("--figure", "figures", multiple=True, help="Only this figure or table; repeat for several.")
@click.option("--process", type=FILE, default=None, help="TOML file of your own technology, for the energy.")
@click.option("--out", type=FOLDER, default=None, help="Folder for the results.  [required without --list]")
def study(
    list_only: bool, figures: tuple[str, ...], process: Path | None, out: Path | None, as_json: bool
) -> None:
    """Draw area and performance against precision, the paper's points beside the model's."""
    from analysis.study import STUDIES, run_study

    output = Output(as_json=as_json)
    if list_only:
        shown = {name: entry.shows for name, entry in STUDIES.items()}
        output.finish({"figures": shown}, facts("Figures and tables", shown))
        return
    if out is None:
        raise click.UsageError("Missing option '--out'.")
    result = run_study(out, figures, process_file=process, progress=output.progress)
    # Every study computes the paper's points; people see them where they asked for that figure.
    paper = [study_table(result)] if not figures or "fig6c" in figures else []
    output.finish(result, *paper, files_table(result["files"]))


COMMANDS = (train, convert, *HARDWARE_COMMANDS, study)
