"""Clips from data: the value of each that quantises with the least squared error."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from .pact import ActQuantiser

_SHARES = torch.linspace(0.05, 1.0, 60)
"""Candidates for a clip, as shares of the largest value."""

_VALUES = 1 << 16
"""At most so many values of a batch are looked at, at even distances."""


def _errors(x: Tensor, largest: Tensor, low: int, high: int) -> Tensor:
    """The squared error for each candidate clip."""
    clips = (_SHARES.to(x) * largest)[:, None]
    quantised = (x * (high / clips)).round().clamp(low, high) * (clips / high)
    return (quantised - x).square().sum(1)


def _set_clip(quantiser: ActQuantiser, x: Tensor) -> None:
    largest = x.abs().amax()
    if largest > 0:
        errors = _errors(x, largest, quantiser.format.min, quantiser.format.max)
        quantiser.alpha.copy_(_SHARES.to(x)[errors.argmin()] * largest)


@torch.no_grad()
def calibrate(model: nn.Module, batches: Iterable[Tensor]) -> None:
    """Set every trained clip of ``model`` from the values that reach it, in evaluation mode.

    Meanwhile no activation is quantised, so that every clip sees the float network's values (of
    ``batches``, a few hundred images in all). Clips that are not trained (the image's) stay.
    """
    training = model.training
    model.eval()
    seen: dict[ActQuantiser, list[Tensor]] = {
        m: [] for m in model.modules() if isinstance(m, ActQuantiser) and m.alpha.requires_grad
    }

    def observe(module: nn.Module, args: tuple[Tensor, ...], _: Tensor) -> Tensor:
        assert isinstance(module, ActQuantiser)
        x = args[0] if module.format.min else args[0].clamp(min=0)  # unsigned: in place of a ReLU
        values = x.float().flatten()
        seen[module].append(values[:: -(-len(values) // _VALUES)])
        return x

    hooks = [quantiser.register_forward_hook(observe) for quantiser in seen]
    try:
        for batch in batches:
            model(batch)
    finally:
        for hook in hooks:
            hook.remove()
    for quantiser, values in seen.items():
        if values:
            _set_clip(quantiser, torch.cat(values))
    model.train(training)
