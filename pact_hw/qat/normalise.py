"""Pixels to what a network was trained on."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Normalise(nn.Module):
    """``(levels / 255 - mean) / std`` for images of uint8 levels (B x C x Y x X); constants per channel."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        # Not in the state: they belong to the network's name, as its shapes do.
        self.register_buffer("mean", torch.tensor(mean).reshape(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).reshape(-1, 1, 1), persistent=False)

    def forward(self, levels: Tensor) -> Tensor:
        """The normalised images, in the buffers' floating-point type."""
        return (levels.to(self.mean.dtype) / 255 - self.mean) / self.std

    def extra_repr(self) -> str:
        """What ``print`` shows."""
        return f"mean={self.mean.flatten().tolist()}, std={self.std.flatten().tolist()}"
