"""Accuracy against bits, from one float network: every width and weight quantiser, resumable."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files import read_json, write_json
from ..progress import SILENT, Progress
from .finetune import METRICS, finetune
from .quantised import Quantised

RESULTS = "accuracy.json"

IMAGES_PER_EPOCH = 10_000
"""A random part of CIFAR-10's 50,000 training images, so that resumption is fine-grained."""

PLANS = {2: ("finetune-low", 40), 3: ("finetune-low", 30), 4: ("finetune", 10), 5: ("finetune", 5)}
"""Recipe and epochs by width."""


def run_accuracy_study(
    *,
    init: Path,
    data: Path,
    out: Path,
    networks: Sequence[str] = ("resnet20", "resnet20-stream"),
    bits: Sequence[int] = (4, 5, 3, 2),
    weights: Sequence[str] = ("dorefa", "sawb"),
    seeds: Sequence[int] = (0,),
    mixed_precision: bool | None = None,
    device: str = "cpu",
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Fine-tune each network at each width, with each weight quantiser and seed; write ``accuracy.json``.

    A run whose ``metrics.json`` is in ``out`` is not done again, and one that was killed goes on.

    Returns:
        What ``accuracy.json`` holds: a row a run, with the accuracy on the test images, the float
        network's, and how many images only one of them gets right.

    Raises:
        InputError: as ``finetune``, or a width without a plan.
    """
    if unknown := set(bits) - PLANS.keys():
        raise InputError(f"bits of the study must be from {min(PLANS)} to {max(PLANS)}, not {min(unknown)}")
    wanted = [
        Quantised(network=network, act_bits=width, weight_bits=width, weights=kind, seed=seed)
        for seed in seeds
        for kind in weights
        for network in networks
        for width in bits
    ]
    rows = []
    with progress.task("study", total=len(wanted)) as advance:
        for made_of in wanted:
            folder = out / f"{made_of.network}-{made_of.weights}-{made_of.act_bits}-seed{made_of.seed}"
            if not (folder / METRICS).is_file():
                recipe, epochs = PLANS[made_of.act_bits]
                finetune(
                    made_of,
                    init=init,
                    data=data,
                    out=folder,
                    recipe=recipe,
                    epochs=epochs,
                    images_per_epoch=IMAGES_PER_EPOCH,
                    mixed_precision=mixed_precision,
                    device=device,
                    progress=progress,
                )
            rows.append(_row(read_json(folder / METRICS)))
            advance(1)
    result = {"runs": rows, "images_per_epoch": IMAGES_PER_EPOCH}
    write_json(out / RESULTS, result)
    return result


def _row(metrics: dict[str, Any]) -> dict[str, Any]:
    names = ("network", "weights", "act_bits", "weight_bits", "seed", "epochs", "held_out_images")
    return {
        **{name: metrics[name] for name in (*names, "accuracy", "float_accuracy", "seconds")},
        "points_below_float": round(100 * (metrics["float_accuracy"] - metrics["accuracy"]), 3),
        "lost": len(metrics["lost"]),
        "won": len(metrics["won"]),
    }
