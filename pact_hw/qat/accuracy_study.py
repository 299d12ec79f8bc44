"""Accuracy against bits, from one float network: every width and weight quantiser, resumable."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..files import read_json, write_json
from ..progress import SILENT, Progress
from .finetune import METRICS, finetune
from .quantised import Quantised

RESULTS = "accuracy.json"

EPOCHS = {2: 20, 3: 8, 4: 4, 5: 3}
"""Fine-tuning epochs of ``IMAGES_PER_EPOCH`` images by width; other widths get those of the nearest."""

IMAGES_PER_EPOCH = 6400
"""A random eighth of the training images, so that progress and resumption are fine-grained."""


def run_accuracy_study(
    *,
    init: Path,
    data: Path,
    out: Path,
    network: str = "resnet20",
    bits: Sequence[int] = (4, 5, 3, 2),
    weights: Sequence[str] = ("dorefa", "sawb"),
    seeds: Sequence[int] = (0,),
    mixed_precision: bool | None = None,
    device: str = "cpu",
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Fine-tune ``network`` at each width, with each weight quantiser and seed; write ``accuracy.json``.

    A run whose ``metrics.json`` is in ``out`` is not done again, and one that was killed goes on.

    Returns:
        What ``accuracy.json`` holds: a row a run, with the accuracy on the test images, the float
        network's, and how many images only one of them gets right.
    """
    rows = []
    for seed in seeds:
        for kind in weights:
            for width in bits:
                folder = out / f"{network}-{kind}-{width}-seed{seed}"
                if (folder / METRICS).is_file():
                    metrics = read_json(folder / METRICS)
                else:
                    metrics = finetune(
                        Quantised(
                            network=network, act_bits=width, weight_bits=width, weights=kind, seed=seed
                        ),
                        init=init,
                        data=data,
                        out=folder,
                        epochs=EPOCHS[min(max(width, 2), 5)],
                        images_per_epoch=IMAGES_PER_EPOCH,
                        mixed_precision=mixed_precision,
                        device=device,
                        progress=progress,
                    )
                rows.append(_row(metrics))
    result = {"network": network, "runs": rows, "folder": str(out)}
    write_json(out / RESULTS, result)
    return result


def _row(metrics: dict[str, Any]) -> dict[str, Any]:
    names = ("act_bits", "weight_bits", "weights", "seed", "epochs", "images_per_epoch", "held_out_images")
    return {
        **{name: metrics[name] for name in (*names, "accuracy", "float_accuracy", "seconds")},
        "points_below_float": round(100 * (metrics["float_accuracy"] - metrics["accuracy"]), 3),
        "lost": len(metrics["lost"]),
        "won": len(metrics["won"]),
    }
