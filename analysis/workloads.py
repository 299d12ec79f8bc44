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


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A convolution (square kernel), or a linear layer (1 x 1 output, kernel 1).

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

    @property
    def weights(self) -> int:
        """Weights, without biases (which are folded into the requantiser)."""
        return self.in_channels * self.out_channels * self.kernel**2

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one image."""
        return self.weights * self.out_pixels


@dataclass(frozen=True, kw_only=True)
class Workload:
    """Layers in execution order; the first reads the image, the last gives the logits."""

    name: str
    image_elements: int
    layers: tuple[Layer, ...]

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
        """Every integer of ``Layer``, and ``weights`` and ``macs``, as arrays of shape (layers,)."""
        names = [field.name for field in fields(Layer) if field.name != "name"] + ["weights", "macs"]
        return {name: np.array([getattr(layer, name) for layer in self.layers], np.int64) for name in names}


class StridePlace(enum.Enum):
    """Which convolution of a bottleneck block halves the image."""

    FIRST_1X1 = "first-1x1"
    """As published: He et al., "Deep residual learning" (3.8e9 multiply-adds), and the authors' code
    of the pre-activation form (github.com/KaimingHe/resnet-1k-layers, resnet-pre-act.lua)."""
    MIDDLE_3X3 = "middle-3x3"
    """As in fb.resnet.torch and torchvision ("ResNet-50 v1.5", 4.09e9 multiply-adds)."""


def resnet50(stride_place: StridePlace = StridePlace.FIRST_1X1) -> Workload:
    """Pre-activation ResNet-50 at 224 x 224 (He et al., "Identity mappings", 2016): 54 matrix layers.

    The residual stream is not quantised by PACT: it is read once per block, quantised for the
    block's convolutions, and the block's result is added to it in place.
    """
    stem = 112**2 * 64
    layers = [
        Layer(
            name="conv1",
            in_channels=3,
            out_channels=64,
            kernel=7,
            stride=2,
            out_pixels=112**2,
            act_elements=224**2 * 3 + stem,
        )
    ]
    channels, size = 64, 56
    for stage, (blocks, width) in enumerate(((3, 64), (4, 128), (6, 256), (3, 512)), 2):
        for block in range(blocks):
            stride = 2 if stage > 2 and block == 0 else 1
            layers += _bottleneck(
                f"conv{stage}_{block + 1}",
                channels=channels,
                width=width,
                size=size,
                stride=stride,
                stride_place=stride_place,
            )
            channels, size = 4 * width, size // stride
    layers.append(
        Layer(
            name="fc",
            in_channels=2048,
            out_channels=1000,
            kernel=1,
            stride=1,
            out_pixels=1,
            act_elements=2048 + 1000,
        )
    )
    return Workload(name="resnet50", image_elements=224**2 * 3, layers=tuple(layers))


def _bottleneck(
    name: str, *, channels: int, width: int, size: int, stride: int, stride_place: StridePlace
) -> list[Layer]:
    """One block: projection where the shape changes, then 1x1, 3x3, 1x1."""
    early = stride_place is StridePlace.FIRST_1X1
    before, after = size**2, (size // stride) ** 2
    middle = after if early else before
    block_input, stream = channels * before, 4 * width * after
    layers = []
    if channels != 4 * width:
        projection = Layer(
            name=f"{name}_proj",
            in_channels=channels,
            out_channels=4 * width,
            kernel=1,
            stride=stride,
            out_pixels=after,
            act_elements=block_input,
            stream_elements=stream,
        )
        layers.append(projection)
    return [
        *layers,
        Layer(
            name=f"{name}_1x1a",
            in_channels=channels,
            out_channels=width,
            kernel=1,
            stride=stride if early else 1,
            out_pixels=middle,
            act_elements=block_input + width * middle,
            stream_elements=stream,
        ),
        Layer(
            name=f"{name}_3x3",
            in_channels=width,
            out_channels=width,
            kernel=3,
            stride=1 if early else stride,
            out_pixels=after,
            act_elements=width * (middle + after),
            stream_elements=stream,
        ),
        Layer(
            name=f"{name}_1x1b",
            in_channels=width,
            out_channels=4 * width,
            kernel=1,
            stride=1,
            out_pixels=after,
            # The result goes into the stream, and its quantised copy to the next block.
            act_elements=width * after + stream,
            stream_elements=stream,
        ),
    ]
