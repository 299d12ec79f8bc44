"""``pact-hw curves`` and ``pact-hw accuracy``: how trainings went, and what each width costs in accuracy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from .options import FILE, FOLDER, command, out
from .output import Output, grid
from .tables import files_table


@command("curves", example="curves out/digits --out out/digits")
@click.argument("folder", metavar="DIR", type=FOLDER)
@out()
def curves(folder: Path, out: Path, as_json: bool) -> None:
    """Draw the loss and the clips (alpha) of a training (DIR, from train) step by step."""
    from analysis.curves import LOG, draw_curves, read_log

    output = Output(as_json=as_json)
    files = [str(path) for path in draw_curves(folder, out)]
    last = read_log(folder / LOG)[-1]
    output.finish({"files": files, "loss": last["loss"], "alpha": last["alpha"]}, files_table(files))


@command("accuracy", example="accuracy --init float.npz --data data --out out/accuracy --bits 4 --bits 3")
@click.option("--init", type=FILE, required=True, help="Float parameters (.npz) that every run starts from.")
@click.option("--data", type=FOLDER, required=True, help="Folder of the data set.")
@click.option(
    "--network",
    "networks",
    multiple=True,
    default=("resnet20", "resnet20-stream"),
    show_default=True,
    help="Repeat for several.",
)
@click.option("--bits", type=int, multiple=True, default=(4, 5, 3, 2), show_default=True, help="Widths.")
@click.option(
    "--weights", multiple=True, default=("dorefa", "sawb"), show_default=True, help="Weight quantisers."
)
@click.option("--seed", "seeds", type=click.IntRange(0), multiple=True, default=(0,), show_default=True)
@click.option("--mixed-precision/--full-precision", default=None, help="As in train.")
@click.option("--device", default="cpu", show_default=True, help="Where to train.")
@out()
def accuracy(out: Path, as_json: bool, **options: Any) -> None:
    """Fine-tune a float network at every width, and compare what each gets right, image by image.

    A run that is complete in --out is not done again; one that was killed goes on.
    """
    from ..qat.accuracy_study import run_accuracy_study

    output = Output(as_json=as_json)
    result = run_accuracy_study(out=out, progress=output.progress, **options)
    output.finish(result, accuracy_table(result))


def accuracy_table(result: Mapping[str, Any]) -> Table:
    """A row a run."""
    head = ("network", "weights", "bits", "seed", "epochs", "accuracy", "float", "below", "lost", "won")
    rows = [
        (
            run["network"],
            run["weights"],
            run["act_bits"],
            run["seed"],
            run["epochs"],
            f"{run['accuracy']:.1%}",
            f"{run['float_accuracy']:.1%}",
            f"{run['points_below_float']:.1f}",
            run["lost"],
            run["won"],
        )
        for run in result["runs"]
    ]
    return grid("Accuracy on the test images (below: points below the float network)", head, rows)
