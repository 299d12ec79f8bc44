"""Random crops and flips of batches of images, from a generator only."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def crop(images: Tensor, margin: int, generator: torch.Generator) -> Tensor:
    """Each image (B x C x Y x X) moved by up to ``margin`` pixels along both axes, zeros moving in."""
    count, channels, height, width = images.shape
    padded = nn.functional.pad(images, (margin,) * 4)
    dy, dx = torch.randint(0, 2 * margin + 1, (2, count, 1), generator=generator)
    rows = (dy + torch.arange(height))[:, None, :, None]
    cols = (dx + torch.arange(width))[:, None, None, :]
    batch = torch.arange(count)[:, None, None, None]
    return padded[batch, torch.arange(channels)[None, :, None, None], rows, cols]


def flip(images: Tensor, generator: torch.Generator) -> Tensor:
    """Each image mirrored, left to right, with probability 1/2."""
    mirrored = torch.rand(len(images), 1, 1, 1, generator=generator) < 0.5
    return torch.where(mirrored, images.flip(3), images)
