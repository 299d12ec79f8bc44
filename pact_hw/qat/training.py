"""Training: one recipe, deterministic for a seed (and a number of threads)."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..errors import InputError
from ..files import write_json
from ..progress import SILENT, Advance, Progress
from ..spec import SCHEMA_VERSION
from ..spec.formats import check_int
from .augment import crop
from .checkpoint import save_checkpoint
from .data import DATA, Images
from .finetune import finetune
from .networks import Network, Widths, build
from .optimiser import with_alpha_group
from .pact import PACT
from .quantised import Quantised

EPOCHS = 40
BATCH = 64
RATE = 0.03
WEIGHT_DECAY = 5e-4
METRICS = "metrics.json"


def fit(network: Network, images: Images, *, epochs: int, seed: int, advance: Advance) -> None:
    """Train ``network`` in place: SGD with Nesterov momentum, the rate warmed up, then cosine to 0."""
    generator = torch.Generator().manual_seed(seed)
    levels, labels = torch.from_numpy(images.levels), torch.from_numpy(images.labels)
    optimiser = with_alpha_group(
        torch.optim.SGD, network, weight_decay=WEIGHT_DECAY, lr=RATE, momentum=0.9, nesterov=True
    )
    steps = -(-len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=RATE, total_steps=max(2, epochs * steps), pct_start=0.2, cycle_momentum=False
    )
    network.train()
    for _ in range(epochs):
        for batch in torch.randperm(len(images), generator=generator).split(BATCH):  # type: ignore[no-untyped-call]
            optimiser.zero_grad()
            logits = network(crop(levels[batch], 1, generator))
            nn.functional.cross_entropy(logits, labels[batch]).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
        advance(1)


@torch.no_grad()
def accuracy(network: Network, images: Images) -> float:
    """The share of ``images`` that ``network`` classifies correctly."""
    network.eval()
    classes = network(torch.from_numpy(images.levels)).argmax(1).numpy()
    return float((classes == images.labels).mean())


def train(
    *,
    network: str = "digits",
    act_bits: int,
    weight_bits: int,
    seed: int = 0,
    epochs: int | None = None,
    out: Path,
    progress: Progress = SILENT,
    weights: str = "dorefa",
    **options: Any,
) -> dict[str, Any]:
    """Train ``network``; write ``checkpoint.safetensors`` and ``metrics.json``.

    The digits' float twin is trained with it; for every other network, the ``weights`` and the
    further ``options`` see ``pact_hw.qat.finetune``.

    Returns what ``metrics.json`` holds: ``accuracy`` and ``float_accuracy`` over the held-out
    images, the clips, and what was asked for.

    Raises:
        InputError: an unknown network, or a width, seed or number of epochs out of range.
    """
    if network != "digits":
        made_of = Quantised(
            network=network, act_bits=act_bits, weight_bits=weight_bits, weights=weights, seed=seed
        )
        return finetune(made_of, epochs=epochs, out=out, progress=progress, **options)
    if unused := [name for name, value in options.items() if value not in (None, "cpu")]:
        raise InputError(f"{unused[0]} is not for network 'digits'")
    widths = Widths(act_bits=act_bits, weight_bits=weight_bits)
    epochs = check_int("epochs", EPOCHS if epochs is None else epochs, 0, 100_000)
    quantised, twin = (build(network, w, seed) for w in (widths, None))
    training, held_out = DATA[network](seed)
    accuracies, seconds = [], []
    for model, description in (
        (quantised, f"train {network} {act_bits}/{weight_bits} bits"),
        (twin, f"train {network} float"),
    ):
        start = time.perf_counter()
        with progress.task(description, total=epochs) as advance:
            fit(model, training, epochs=epochs, seed=seed, advance=advance)
        accuracies.append(accuracy(model, held_out))
        seconds.append(round(time.perf_counter() - start, 2))
    metrics = {
        "schema": SCHEMA_VERSION,
        "network": network,
        "act_bits": act_bits,
        "weight_bits": weight_bits,
        "edge_bits": widths.edge_bits,
        "seed": seed,
        "epochs": epochs,
        "training_images": len(training),
        "held_out_images": len(held_out),
        "accuracy": accuracies[0],
        "float_accuracy": accuracies[1],
        "alpha": {
            name: round(act.alpha.item(), 6)
            for name in quantised.layers
            if isinstance(act := quantised.layer(name).act, PACT)
        },
        "seconds": seconds[0],
        "float_seconds": seconds[1],
    }
    save_checkpoint(out, quantised, seed=seed)
    write_json(out / METRICS, metrics)
    return metrics
