"""What the tests of ``quantise`` build, and what they ask of it."""

from __future__ import annotations

from torch import nn

from pact_hw.qat.layers import QuantConv2d, QuantLinear
from pact_hw.qat.pact import ActQuantiser


def conv(c, k, kernel=3, **options):
    return nn.Conv2d(c, k, kernel, padding=kernel // 2, **options)


def quantisers(model):
    return {path: m for path, m in model.named_modules() if isinstance(m, ActQuantiser)}


def bits(model):
    """(activations' bits, weights' bits) by path."""
    acts = {path: m.bits for path, m in quantisers(model).items()}
    layers = (QuantConv2d, QuantLinear)
    return acts, {p: m.weight_quantiser.bits for p, m in model.named_modules() if isinstance(m, layers)}


def small():
    return nn.Sequential(
        conv(2, 4), nn.ReLU(), conv(4, 4), nn.ReLU(), conv(4, 4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 2)
    )
