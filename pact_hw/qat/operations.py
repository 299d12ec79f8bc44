"""The kinds of operations that a network may consist of."""

from __future__ import annotations

import enum
import operator
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - its usual name

from .normalise import Normalise


class Op(enum.Enum):
    """What a node of the graph does."""

    INPUT = "input"
    OUTPUT = "output"
    NORMALISE = "normalise"
    LAYER = "convolution or linear layer"
    NORM = "batch normalisation"
    RELU = "ReLU"
    MAX_POOL = "max pooling"
    AVERAGE_POOL = "average pooling"
    ADD = "addition"
    CAT = "concatenation"
    KEEP = "flatten, dropout"
    """Values stay what they are."""
    SELECT = "slicing, zero padding"
    """Values stay what they are, or become 0."""
    SIZE = "size"
    """No tensor."""


SUPPORTED = (
    "Conv2d, Linear, BatchNorm, ReLU, ReLU6, max and average pooling, addition, concatenation of "
    "channels, flatten, slicing, zero padding, dropout"
)

MODULES: dict[type[nn.Module], Op] = {
    Normalise: Op.NORMALISE,
    nn.Conv2d: Op.LAYER,
    nn.Linear: Op.LAYER,
    nn.BatchNorm1d: Op.NORM,
    nn.BatchNorm2d: Op.NORM,
    nn.ReLU: Op.RELU,
    nn.ReLU6: Op.RELU,
    nn.MaxPool2d: Op.MAX_POOL,
    nn.AvgPool2d: Op.AVERAGE_POOL,
    nn.AdaptiveAvgPool2d: Op.AVERAGE_POOL,
    nn.Flatten: Op.KEEP,
    nn.Dropout: Op.KEEP,
    nn.Dropout2d: Op.KEEP,
    nn.Identity: Op.KEEP,
    nn.ZeroPad2d: Op.SELECT,
}

FUNCTIONS: dict[Any, Op] = {
    operator.add: Op.ADD,
    operator.iadd: Op.ADD,
    torch.add: Op.ADD,
    "add": Op.ADD,
    "add_": Op.ADD,
    torch.cat: Op.CAT,
    torch.concat: Op.CAT,
    torch.flatten: Op.KEEP,
    torch.reshape: Op.KEEP,
    "flatten": Op.KEEP,
    "view": Op.KEEP,
    "reshape": Op.KEEP,
    "contiguous": Op.KEEP,
    operator.getitem: Op.SELECT,
    F.pad: Op.SELECT,
    "size": Op.SIZE,
    "dim": Op.SIZE,
    getattr: Op.SIZE,
}
"""By function, or by a method's name."""


def pixel_step(module: nn.Module) -> int:
    """Every how many pixels ``module`` takes, where it is average pooling of single pixels; else 0."""
    if not isinstance(module, nn.AvgPool2d) or module.divisor_override:
        return 0
    kernel, stride, padding = (
        tuple(size) if isinstance(size, tuple | list) else (size, size)
        for size in (module.kernel_size, module.stride, module.padding)
    )
    return stride[0] if kernel == (1, 1) and stride[0] == stride[1] and padding == (0, 0) else 0
