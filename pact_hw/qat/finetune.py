"""Training of the catalogue's networks: from scratch by the paper's recipes, or from float parameters."""

from __future__ import annotations

import copy
import hashlib
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import InputError
from ..files import write_json
from ..progress import SILENT, Progress
from ..spec import SCHEMA_VERSION
from ..spec.formats import check_int
from .data import ImageSource, load
from .fit import alphas, classify, fit
from .networks import load_parameters
from .networks.catalogue import entry
from .prepare import prepare
from .quantised import Quantised, save_quantised
from .recipes import RECIPES, Recipe
from .resume import remove_state

METRICS = "metrics.json"

FLOAT_TWIN = "float-twin"
"""The folder, beside the metrics, of the log of a float network that is trained as well."""

CALIBRATION_IMAGES = 1000
"""Training images, without augmentation, that clips and statistics are measured on."""


def finetune(
    made_of: Quantised,
    *,
    init: Path | None = None,
    data: Path | None = None,
    out: Path,
    recipe: str | None = None,
    epochs: int | None = None,
    images_per_epoch: int | None = None,
    train_twin: bool = False,
    mixed_precision: bool | None = None,
    device: str = "cpu",
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Train a quantised network; write ``checkpoint.safetensors``, ``metrics.json``, ``metrics.jsonl``.

    With ``init`` (float parameters) the network starts equalised and calibrated, and learns the
    float network's logits; without it, it starts from scratch and learns the labels. With no
    epochs at all it is calibrated only. A training that was killed goes on when it is asked for again.

    Args:
        made_of: The network and its widths.
        init: Float parameters (.npz).
        data: The folder of the data set.
        out: The folder that is written to.
        recipe: A name in ``RECIPES``; else the network's own, or ``finetune`` with ``init``.
        epochs: Instead of the recipe's number.
        images_per_epoch: A random part of the training images is one epoch.
        train_twin: Without ``init``: train the float network in the same way, to compare with.
        mixed_precision: bfloat16 in training; None means on CUDA only.
        device: Where to train.
        progress: Told about epochs.

    Returns:
        What ``metrics.json`` holds: ``accuracy`` over the test images and, where there is a float
        network to compare with, ``float_accuracy`` and the indices of the images that only one of
        the two gets right (``lost``: the float network; ``won``: the quantised one).

    Raises:
        InputError: files are missing or unusable, or a number is out of range.
    """
    known = entry(made_of.network)
    plan = _recipe(recipe or ("finetune" if init else known.recipe))
    plan = replace(plan, epochs=check_int("epochs", plan.epochs if epochs is None else epochs, 0, 100_000))
    _check_device(device)
    twin = made_of.float_network()
    training, test = load(known.data_set, data, size=known.input_shape[-1], seed=made_of.seed)
    if init is not None:
        load_parameters(twin, init)
    model = made_of.quantise(twin, alpha=plan.alpha).to(device)
    twin.to(device)
    logit_scale = 1.0
    if init is not None:
        with progress.task("calibrate"):
            logit_scale = prepare(model, _sample(training, made_of.seed).to(device))
    options: dict[str, Any] = {
        "seed": made_of.seed,
        "training": {
            **asdict(made_of),
            "init_sha256": init and hashlib.sha256(init.read_bytes()).hexdigest(),
            "images_per_epoch": images_per_epoch,
            **_identity(known.data_set, training),
        },
        "images_per_epoch": images_per_epoch,
        "mixed_precision": mixed_precision,
        "progress": progress,
    }
    start = time.perf_counter()
    if plan.epochs:
        teacher = None if init is None else _channels_last(copy.deepcopy(twin)).eval()
        fit(
            _channels_last(model),
            training,
            plan,
            folder=out,
            teacher=teacher,
            logit_scale=logit_scale,
            **options,
        )
    trained = time.perf_counter()
    if train_twin and plan.epochs:
        fit(_channels_last(twin), training, plan, folder=out / FLOAT_TWIN, **options)
    seconds = {"seconds": round(trained - start, 2)}
    if train_twin:
        seconds["float_seconds"] = round(time.perf_counter() - trained, 2)
    for trained_model in (model, twin):
        trained_model.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    compared = init is not None or train_twin
    metrics = {
        "schema": SCHEMA_VERSION,
        **asdict(made_of),
        "epochs": plan.epochs,
        "images_per_epoch": min(len(training), images_per_epoch or len(training)),
        "training_images": len(training),
        "held_out_images": len(test),
        **_compare(classify(model, test), classify(twin, test) if compared else None, _labels(test)),
        "alpha": {name: round(alpha, 6) for name, alpha in alphas(model).items()},
        **seconds,
    }
    save_quantised(out, model, made_of)
    write_json(out / METRICS, metrics)
    remove_state(out)
    remove_state(out / FLOAT_TWIN)
    return metrics


def _recipe(name: str) -> Recipe:
    if name not in RECIPES:
        raise InputError(f"recipe must be one of {', '.join(RECIPES)}, not {name!r}")
    return RECIPES[name]


def _check_device(name: str) -> None:
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:  # unknown, or no such accelerator
        raise InputError(f"device {name!r} cannot be used here: {str(error).splitlines()[0]}") from None


def _identity(data_set: str, training: ImageSource) -> dict[str, Any]:
    """What tells a training's data from others': name, size, and the digest of the first images."""
    first = training.batch(np.arange(min(len(training), 100)))
    digest = hashlib.sha256(first.levels.tobytes() + first.labels.tobytes()).hexdigest()
    return {"data_set": data_set, "training_images": len(training), "first_images_sha256": digest}


def _channels_last(model: nn.Module) -> nn.Module:
    """``model`` itself, in the memory layout that convolutions are fastest in."""
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _sample(source: ImageSource, seed: int) -> Tensor:
    order = np.random.default_rng([seed]).permutation(len(source))[:CALIBRATION_IMAGES]
    return torch.from_numpy(source.batch(order).levels)


def _labels(source: ImageSource) -> Tensor:
    return torch.from_numpy(source.batch(np.arange(len(source))).labels)


def _compare(ours: Tensor, theirs: Tensor | None, labels: Tensor) -> dict[str, Any]:
    """Accuracy, and against the float network the images that only one of the two gets right."""
    right = ours == labels
    result: dict[str, Any] = {"accuracy": right.double().mean().item()}
    if theirs is not None:
        float_right = theirs == labels
        result["float_accuracy"] = float_right.double().mean().item()
        result["lost"] = (float_right & ~right).nonzero().flatten().tolist()
        result["won"] = (~float_right & right).nonzero().flatten().tolist()
    return result
