"""Optimisers for networks with PACT: the clips in a group of their own, and positive."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from .pact import ActQuantiser

ALPHA_MIN = 1e-3
"""A step never leaves a clip below this: at or below 0 the equations mean nothing."""


def with_alpha_group(
    kind: type[torch.optim.Optimizer],
    model: nn.Module,
    *,
    weight_decay: float,
    alpha_decay: float | None = None,
    **options: Any,
) -> torch.optim.Optimizer:
    """An optimiser of class ``kind`` over ``model``, made with ``options``.

    Three groups: weights with ``weight_decay``; the clips with L2 coefficient ``alpha_decay`` (as
    in the paper, the weights' own where it is None); vectors (batch normalisation) without decay.
    After each step clips below ``ALPHA_MIN`` are set to it.
    """
    quantisers = (module for module in model.modules() if isinstance(module, ActQuantiser))
    alphas = [quantiser.alpha for quantiser in quantisers if quantiser.alpha.requires_grad]
    known = {id(alpha) for alpha in alphas}
    others = [p for p in model.parameters() if p.requires_grad and id(p) not in known]
    groups = [
        {"params": [p for p in others if p.ndim > 1], "weight_decay": weight_decay},
        {"params": alphas, "weight_decay": weight_decay if alpha_decay is None else alpha_decay},
        {"params": [p for p in others if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimiser = kind([group for group in groups if group["params"]], **options)

    def keep_positive(*_: Any) -> None:
        with torch.no_grad():
            for alpha in alphas:
                alpha.clamp_(min=ALPHA_MIN)

    optimiser.register_step_post_hook(keep_positive)
    return optimiser
