"""Networks as the models see them: one plain record per layer, and the same as numpy columns.

Channel letters are those of convolutions (K output, C input channels; K is *not* the reduction
length here).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


class Operand(enum.Enum):
    """What a layer multiplies its activations with."""

    WEIGHTS = "weights"
    """Constants: fetched, or kept on the chip; all images of a batch share them."""
    ACTIVATIONS = "activations"
    """Other activations of the same image (attention): nothing is fetched and nothing shared."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A convolution (square kernel), or a matrix product (kernel 1, ``out_pixels`` rows).

    ``groups`` independent products side by side: grouped and depthwise convolutions, attention heads.
    ``act_elements`` are the values at activation precision, ``stream_elements`` those of the
    residual stream, that must be in memory while the layer runs on one image.
    """

    name: str
    in_channels: int
    out_channels: int
    kernel: int
    stride: int
    out_pixels: int
    act_elements: int
    stream_elements: int = 0
    groups: int = 1
    in_width: int = 1
    """Pixels of an input row: what a kernel's border costs when an image is cut into stripes."""
    operand: Operand = Operand.WEIGHTS

    @property
    def reduction(self) -> int:
        """Products per output."""
        return self.in_channels // self.groups * self.kernel**2

    @property
    def weights(self) -> int:
        """Weights, without biases (which are folded into the requantiser)."""
        return self.reduction * self.out_channels if self.operand is Operand.WEIGHTS else 0

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one image."""
        return self.reduction * self.out_channels * self.out_pixels

    @property
    def halo_elements(self) -> int:
        """Input values that two neighbouring stripes of the image both need."""
        return max(0, self.kernel - self.stride) * self.in_width * self.in_channels

    @property
    def per_image(self) -> int:
        """1 where every image has its own second operand, else 0."""
        return int(self.operand is Operand.ACTIVATIONS)


@dataclass(frozen=True, kw_only=True)
class Workload:
    """Layers in execution order; the first reads the image, the last gives the logits."""

    name: str
    image_elements: int
    layers: tuple[Layer, ...]
    edges: tuple[int, ...] = (0, -1)
    """Which layers PACT keeps at ``System.edge_bits`` or more."""
    unit: str = "images"

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one image."""
        return sum(layer.macs for layer in self.layers)

    @property
    def weights(self) -> int:
        """Weights of all layers."""
        return sum(layer.weights for layer in self.layers)

    @cached_property
    def columns(self) -> dict[str, Ints]:
        """Every number of ``Layer``, properties too, as arrays of shape (layers,)."""
        names = [field.name for field in fields(Layer) if field.name not in ("name", "operand")]
        names += ["reduction", "weights", "macs", "halo_elements", "per_image"]
        return {name: np.array([getattr(layer, name) for layer in self.layers], np.int64) for name in names}
