"""From a float network to the start of its quantised fine-tuning.

A quantiser with one scale a layer wastes its levels on channels of small weights. Batch
normalisation takes out any scale of a channel, so each channel's weights are first multiplied by the
factor with which they lose least (as an angle) at the layer's width: another float network of the
same function, but near its quantised one. Then the clips are calibrated, and the statistics of batch
normalisation are measured again behind the quantised layers.
"""

from __future__ import annotations

import torch
from torch import Tensor, fx, nn

from .calibrate import calibrate
from .dorefa import DoReFa
from .layers import QuantConv2d, QuantLinear

_Norm = nn.BatchNorm1d | nn.BatchNorm2d

_TANH_MAX = 0.8
"""The largest tanh(w) that DoReFa's weights start from: at 1 they would have no gradient."""

_CLIPS = torch.linspace(0.15, 1.0, 35)
"""Candidates for a channel's clip, as shares of its largest weight."""


def _best_factors(rows: Tensor, bits: int) -> Tensor:
    """For each row the factor whose quantised row has the smallest angle to it (rows x 1).

    The levels are the ``2**bits`` of [-1, 1] at equal distances, as both weight quantisers have them.
    """
    n = (1 << bits) - 1
    largest = rows.abs().amax(1, keepdim=True).clamp(min=1e-12)
    factors, best = 1 / largest, torch.full_like(largest, -1.0)
    for clip in _CLIPS:
        factor = 1 / (largest * clip)
        quantised = 2 * ((((rows * factor).clamp(-1, 1) + 1) * (n / 2)).round() / n) - 1
        cosine = nn.functional.cosine_similarity(rows, quantised, dim=1)[:, None]
        factors = torch.where(cosine > best, factor, factors)
        best = torch.maximum(cosine, best)
    return factors


def _before_tanh(weight: Tensor) -> Tensor:
    """Weights whose tanh is proportional to ``weight`` (of [-1, 1])."""
    return torch.atanh(_TANH_MAX * weight.clamp(-1, 1))


@torch.no_grad()
def equalise(model: fx.GraphModule) -> float:
    """Rescale the channels of every quantised layer that only batch normalisation reads.

    DoReFa's weights have no scale, so where no normalisation follows the last layer its outputs are
    divided by its largest weight, and its bias with them.

    Returns:
        The factor that gives the logits their size back (their order does not depend on it).
    """
    logit_scale = 1.0
    for node in model.graph.nodes:
        layer = model.get_submodule(node.target) if node.op == "call_module" else None
        if not isinstance(layer, QuantConv2d | QuantLinear):
            continue
        user = next(iter(node.users))
        norm = model.get_submodule(user.target) if user.op == "call_module" and len(node.users) == 1 else None
        is_dorefa = isinstance(layer.weight_quantiser, DoReFa)
        weight = layer.weight
        if isinstance(norm, _Norm):
            factors = _best_factors(weight.flatten(1), layer.weight_quantiser.bits)
            scaled = (weight.flatten(1) * factors).clamp(-1, 1).reshape(weight.shape)
            weight.copy_(_before_tanh(scaled) if is_dorefa else scaled)
            if layer.bias is not None:
                layer.bias.mul_(factors[:, 0])
            assert norm.running_mean is not None
            assert norm.running_var is not None
            norm.running_mean.mul_(factors[:, 0])
            norm.running_var.mul_(factors[:, 0] ** 2)
        elif is_dorefa and user.op == "output":
            logit_scale = weight.abs().amax().item()
            weight.copy_(_before_tanh(weight / logit_scale))
            if layer.bias is not None:
                layer.bias.div_(logit_scale)
    return logit_scale


@torch.no_grad()
def measure_statistics(model: nn.Module, levels: Tensor, *, batch: int = 250) -> None:
    """Set every batch normalisation's mean and variance to the average over ``levels``' batches."""
    norms = [module for module in model.modules() if isinstance(module, _Norm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain average
    training = model.training
    model.train()
    for part in torch.split(levels, batch):
        model(part)
    model.train(training)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def prepare(model: fx.GraphModule, levels: Tensor) -> float:
    """Equalise, calibrate on ``levels`` (a few hundred images), measure again.

    Returns:
        The factor that gives the logits their size back.
    """
    logit_scale = equalise(model)
    calibrate(model, torch.split(levels[:500], 100))
    measure_statistics(model, levels)
    return logit_scale
