"""Untrained networks whose batch normalisation is anything but trivial (not a test)."""

import torch

from pact_hw.qat.layers import QuantConv2d, QuantLinear
from pact_hw.qat.networks import Layer, Network, Widths
from pact_hw.qat.pact import PACT


def randomise(network: Network, seed: int) -> Network:
    """Random statistics, gammas of both signs and clips; float64, evaluation mode."""
    g = torch.Generator().manual_seed(seed)

    def uniform(low: float, high: float, size: torch.Size) -> torch.Tensor:
        return low + (high - low) * torch.rand(size, generator=g)

    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                sign = torch.randint(0, 2, module.weight.shape, generator=g) * 2 - 1
                module.weight.copy_(sign * uniform(0.3, 2, module.weight.shape))
                module.bias.copy_(uniform(-0.5, 1.5, module.bias.shape))
                module.running_mean.copy_(uniform(-1, 1, module.bias.shape))
                module.running_var.copy_(uniform(0.5, 4, module.bias.shape))
            if isinstance(module, PACT):
                module.alpha.copy_(uniform(0.7, 4, module.alpha.shape))
    return network.double().eval()


def tiny(widths: Widths, seed: int) -> Network:
    """Four layers on 2 x 5 x 5 images: strided convolution, residual, 1 x 1 convolution, linear."""
    torch.manual_seed(seed)

    def layer(
        c: int, k: int, kernel: int, bits: int, out: int, source: str, residual: str | None = None
    ) -> Layer:
        conv = QuantConv2d(
            c, k, kernel, weight_bits=bits, padding=kernel // 2, stride=2 if source == "input" else 1
        )
        return Layer(conv, torch.nn.BatchNorm2d(k), PACT(out), source=source, residual=residual)

    a, w = widths.act_bits, widths.weight_bits
    layers = {
        "first": layer(2, 5, 3, widths.edge_bits, a, "input"),
        "second": layer(5, 5, 3, w, a, "first", residual="first"),
        "third": layer(5, 3, 1, w, widths.edge_bits, "second"),
        "last": Layer(QuantLinear(27, 4, weight_bits=widths.edge_bits), source="third"),
    }
    return randomise(Network("tiny", (2, 5, 5), layers, widths, input_bits=6), seed)
