"""The training loop: deterministic for a seed (and a number of threads), and resumable."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..progress import SILENT, Progress
from .augment import crop, flip
from .data import Images, ImageSource
from .pact import ActQuantiser
from .recipes import Recipe
from .resume import Log, load_state, save_state

LOG_STEPS = 20
"""A line of the log is the mean over this many steps."""

SMALL = 100_000
"""Parameters of a network that is trained with one thread."""


def alphas(model: nn.Module) -> dict[str, float]:
    """Every trained clip by its module's path."""
    return {
        name: module.alpha.item()
        for name, module in model.named_modules()
        if isinstance(module, ActQuantiser) and module.alpha.requires_grad
    }


@contextmanager
def few_threads(model: nn.Module) -> Iterator[None]:
    """One thread for a small ``model`` on the CPU: handing out its work would take longer than the work."""
    before = torch.get_num_threads()
    small = sum(parameter.numel() for parameter in model.parameters()) < SMALL
    if small:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        if small:
            torch.set_num_threads(before)


def freeze_norms(model: nn.Module) -> None:
    """Let batch normalisation use its running statistics until ``model.train()``."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.eval()


def _loss(logits: Tensor, labels: Tensor, taught: Tensor | None, temperature: float) -> Tensor:
    """Cross-entropy, or the divergence from the teacher's logits (Hinton et al., arXiv 1503.02531)."""
    if taught is None:
        return nn.functional.cross_entropy(logits, labels)
    ours, theirs = ((x / temperature).log_softmax(1) for x in (logits, taught))
    return nn.functional.kl_div(ours, theirs, reduction="batchmean", log_target=True) * temperature**2


def fit(
    model: nn.Module,
    source: ImageSource,
    recipe: Recipe,
    *,
    seed: int,
    folder: Path,
    training: dict[str, Any],
    teacher: nn.Module | None = None,
    logit_scale: float = 1.0,
    images_per_epoch: int | None = None,
    mixed_precision: bool | None = None,
    progress: Progress = SILENT,
) -> None:
    """Train ``model`` in place on its own device; resume where ``folder`` holds an unfinished state.

    Args:
        model: The network, on the device on which it is trained.
        source: The training images.
        recipe: Optimiser, schedule, augmentation.
        seed: Decides order and augmentation, with the epoch.
        folder: Gets ``resume.safetensors`` at each epoch's end and ``metrics.jsonl``.
        training: What was asked for; a state of something else is refused.
        teacher: A float network whose logits are to be learned, in place of the labels.
        logit_scale: Factor of the model's logits in the loss.
        images_per_epoch: A random part of the images is one epoch.
        mixed_precision: bfloat16 where PyTorch's autocast allows it; None means on CUDA only.
        progress: Told about epochs.
    """
    device = next(model.parameters()).device
    mixed = device.type == "cuda" if mixed_precision is None else mixed_precision
    epochs, optimiser = recipe.epochs, recipe.optimiser(model)
    training = {**training, **asdict(recipe), "milestones": list(recipe.milestones)}
    first = load_state(folder, model, optimiser, training=training)
    log = Log(folder, first)
    count = min(len(source), images_per_epoch or len(source))
    steps = -(-count // recipe.batch)
    task = progress.task("train", total=epochs)
    with task as advance, torch.random.fork_rng(devices=[]), few_threads(model):
        advance(first)
        for epoch in range(first, epochs):
            random = np.random.default_rng([seed, epoch])
            order = random.permutation(len(source))[:count]
            generator = torch.Generator().manual_seed(int(random.integers(1 << 62)))
            torch.manual_seed(int(random.integers(1 << 62)))  # dropout
            model.train()
            if epoch >= recipe.freeze_norm * epochs:
                freeze_norms(model)
            total, since = torch.zeros((), device=device), 0
            for step in range(steps):
                done = (epoch * steps + step) / (epochs * steps)
                for group in optimiser.param_groups:
                    group["lr"] = recipe.rate_at(done)
                batch = source.batch(order[step * recipe.batch : (step + 1) * recipe.batch])
                levels, labels = _augmented(batch, recipe, generator, device)
                with torch.autocast(device.type, torch.bfloat16, enabled=mixed):
                    with torch.no_grad():
                        taught = None if teacher is None else teacher(levels).float()
                    logits = model(levels).float() * logit_scale
                loss = _loss(logits, labels, taught, recipe.temperature)
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                total, since = total + loss.detach(), since + 1
                if since == LOG_STEPS or step + 1 == steps:
                    log.write(
                        epoch=epoch + 1,
                        step=epoch * steps + step + 1,
                        loss=total.item() / since,
                        rate=recipe.rate_at(done),
                        alpha=alphas(model),
                    )
                    total, since = torch.zeros((), device=device), 0
            save_state(folder, model, optimiser, epoch=epoch + 1, training=training)
            advance(1)


def _augmented(
    batch: Images, recipe: Recipe, generator: torch.Generator, device: torch.device
) -> tuple[Tensor, Tensor]:
    levels, labels = torch.from_numpy(batch.levels), torch.from_numpy(batch.labels)
    if recipe.crop:
        levels = crop(levels, recipe.crop, generator)
    if recipe.flip:
        levels = flip(levels, generator)
    return levels.to(device), labels.to(device)


@torch.no_grad()
def classify(model: nn.Module, source: ImageSource, *, batch: int = 100) -> Tensor:
    """The class (int64) of every image, in evaluation mode and full precision."""
    device = next(model.parameters()).device
    model.eval()
    indices = np.arange(len(source)).reshape(-1)
    parts = [source.batch(indices[i : i + batch]).levels for i in range(0, len(source), batch)]
    return torch.cat([model(torch.from_numpy(levels).to(device)).argmax(1).cpu() for levels in parts])
