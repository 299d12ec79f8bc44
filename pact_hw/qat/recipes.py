"""How networks are trained: the paper's schedules by name (section 5), and a short fine-tuning."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn

from .optimiser import with_alpha_group
from .pact import ALPHA_START


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Optimiser, schedule and augmentation of a training.

    ``milestones`` are shares of the whole training at which the rate is multiplied by ``factor``
    (the paper's epochs over its number of epochs, so that fewer epochs keep the shape); ``cosine``
    falls to 0 instead, behind a linear warm-up over ``warm_up`` of the training. ``temperature`` is that
    of a teacher's logits; ``alpha`` is where the clips start that are not calibrated. From the share
    ``freeze_norm`` of the epochs on, batch normalisation uses its running statistics, as it will when
    the training is over.
    """

    epochs: int
    batch: int
    rate: float
    weight_decay: float
    adam_epsilon: float | None = None
    milestones: tuple[float, ...] = ()
    factor: float = 0.1
    cosine: bool = False
    warm_up: float = 0.0
    crop: int = 0
    flip: bool = False
    temperature: float = 2.0
    alpha: float = ALPHA_START
    nesterov: bool = False
    freeze_norm: float = 1.0

    def rate_at(self, done: float) -> float:
        """The learning rate when the share ``done`` (0 to 1) of the training is behind us."""
        if done < self.warm_up:
            return self.rate * (done + 1e-3) / (self.warm_up + 1e-3)
        if self.cosine:
            return self.rate * 0.5 * (1 + math.cos(math.pi * (done - self.warm_up) / (1 - self.warm_up)))
        return self.rate * math.pow(self.factor, sum(done >= milestone for milestone in self.milestones))

    def optimiser(self, model: nn.Module) -> torch.optim.Optimizer:
        """The recipe's optimiser: SGD with momentum 0.9, or Adam where it has an epsilon."""
        if self.adam_epsilon is None:
            return with_alpha_group(
                torch.optim.SGD,
                model,
                weight_decay=self.weight_decay,
                lr=self.rate,
                momentum=0.9,
                nesterov=self.nesterov,
            )
        return with_alpha_group(
            torch.optim.Adam, model, weight_decay=self.weight_decay, lr=self.rate, eps=self.adam_epsilon
        )


def _of(epochs: int, milestones: Iterable[int]) -> tuple[float, ...]:
    return tuple(milestone / epochs for milestone in milestones)


RECIPES: dict[str, Recipe] = {
    # The paper's four.
    "cifar10": Recipe(
        epochs=200, batch=128, rate=0.1, weight_decay=2e-4, milestones=_of(200, (60, 120)), crop=4, flip=True
    ),
    "svhn": Recipe(
        epochs=200,
        batch=128,
        rate=1e-3,
        weight_decay=1e-7,
        adam_epsilon=1e-5,
        milestones=_of(200, (50, 100, 150)),
        factor=0.5,
    ),
    "alexnet": Recipe(
        epochs=100,
        batch=128,
        rate=1e-4,
        weight_decay=5e-6,
        adam_epsilon=1e-5,
        milestones=_of(100, (56, 64)),
        factor=0.2,
        flip=True,
    ),
    "resnet": Recipe(
        epochs=110,
        batch=256,
        rate=0.1,
        weight_decay=1e-4,
        milestones=_of(110, (30, 60, 85, 95)),
        flip=True,
    ),
    # From a float network, for a few epochs: ours, not the paper's.
    "finetune": Recipe(
        epochs=10,
        batch=64,
        rate=5e-4,
        weight_decay=0.0,
        adam_epsilon=1e-8,
        cosine=True,
        warm_up=0.03,
        crop=4,
        flip=True,
        freeze_norm=0.5,
    ),
    # The same for 2 and 3 bits, whose weights have further to go.
    "finetune-low": Recipe(
        epochs=20,
        batch=64,
        rate=2e-3,
        weight_decay=0.0,
        adam_epsilon=1e-8,
        cosine=True,
        warm_up=0.03,
        crop=4,
        flip=True,
        freeze_norm=0.5,
    ),
    # Batch normalisation's outputs have unit variance; so short a training could not shrink a clip of 10.
    "digits": Recipe(
        epochs=40,
        batch=64,
        rate=0.03,
        weight_decay=5e-4,
        cosine=True,
        warm_up=0.2,
        crop=1,
        alpha=3.0,
        nesterov=True,
    ),
}
