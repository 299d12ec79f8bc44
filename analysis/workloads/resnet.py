"""ResNet-18 and -50, pre-activation (He et al., "Identity mappings in deep residual networks", 2016).

The residual stream is not quantised by PACT: it is read once per block, quantised for the block's
convolutions, and the block's result is added to it in place.
"""

from __future__ import annotations

import enum

from .layer import Layer, Workload

SIZE = 224


class StridePlace(enum.Enum):
    """Which convolution of a bottleneck block halves the image."""

    FIRST_1X1 = "first-1x1"
    """As published: He et al., "Deep residual learning" (3.8e9 multiply-adds), and the authors' code
    of the pre-activation form (github.com/KaimingHe/resnet-1k-layers, resnet-pre-act.lua)."""
    MIDDLE_3X3 = "middle-3x3"
    """As in fb.resnet.torch and torchvision ("ResNet-50 v1.5", 4.09e9 multiply-adds)."""


def resnet50(stride_place: StridePlace = StridePlace.FIRST_1X1) -> Workload:
    """ResNet-50 at 224 x 224: 54 matrix layers."""
    layers = [_stem()]
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
    return _network("resnet50", [*layers, _classifier(channels)])


def resnet50_v15() -> Workload:
    """ResNet-50 as torchvision has it: the stride is in the 3 x 3."""
    return resnet50(StridePlace.MIDDLE_3X3)


def resnet18() -> Workload:
    """ResNet-18 at 224 x 224: 21 matrix layers."""
    layers = [_stem()]
    channels, size = 64, 56
    for stage, width in enumerate((64, 128, 256, 512), 2):
        for block in range(2):
            stride = 2 if stage > 2 and block == 0 else 1
            layers += _basic(
                f"conv{stage}_{block + 1}", channels=channels, width=width, size=size, stride=stride
            )
            channels, size = width, size // stride
    return _network("resnet18", [*layers, _classifier(channels)])


def _network(name: str, layers: list[Layer]) -> Workload:
    return Workload(name=name, image_elements=SIZE**2 * 3, layers=tuple(layers))


def _stem() -> Layer:
    pixels = 112**2
    return Layer(
        name="conv1",
        in_channels=3,
        out_channels=64,
        kernel=7,
        stride=2,
        out_pixels=pixels,
        act_elements=SIZE**2 * 3 + 64 * pixels,
        in_width=SIZE,
    )


def _classifier(channels: int) -> Layer:
    return Layer(
        name="fc",
        in_channels=channels,
        out_channels=1000,
        kernel=1,
        stride=1,
        out_pixels=1,
        act_elements=channels + 1000,
    )


def _projection(name: str, channels: int, out: int, size: int, stride: int) -> list[Layer]:
    """The 1 x 1 convolution of the shortcut where a block changes the stream's shape, else none."""
    if channels == out:
        return []
    after = (size // stride) ** 2
    return [
        Layer(
            name=f"{name}_proj",
            in_channels=channels,
            out_channels=out,
            kernel=1,
            stride=stride,
            out_pixels=after,
            act_elements=channels * size**2,
            stream_elements=out * after,
            in_width=size,
        )
    ]


def _bottleneck(
    name: str, *, channels: int, width: int, size: int, stride: int, stride_place: StridePlace
) -> list[Layer]:
    """One block: projection where the shape changes, then 1x1, 3x3, 1x1."""
    early = stride_place is StridePlace.FIRST_1X1
    small = size // stride
    before, after = size**2, small**2
    middle = after if early else before
    block_input, stream = channels * before, 4 * width * after
    return [
        *_projection(name, channels, 4 * width, size, stride),
        Layer(
            name=f"{name}_1x1a",
            in_channels=channels,
            out_channels=width,
            kernel=1,
            stride=stride if early else 1,
            out_pixels=middle,
            act_elements=block_input + width * middle,
            stream_elements=stream,
            in_width=size,
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
            in_width=small if early else size,
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
            in_width=small,
        ),
    ]


def _basic(name: str, *, channels: int, width: int, size: int, stride: int) -> list[Layer]:
    """One block: projection where the shape changes, then 3x3, 3x3."""
    small = size // stride
    before, after = size**2, small**2
    stream = width * after
    return [
        *_projection(name, channels, width, size, stride),
        Layer(
            name=f"{name}_3x3a",
            in_channels=channels,
            out_channels=width,
            kernel=3,
            stride=stride,
            out_pixels=after,
            act_elements=channels * before + width * after,
            stream_elements=stream,
            in_width=size,
        ),
        Layer(
            name=f"{name}_3x3b",
            in_channels=width,
            out_channels=width,
            kernel=3,
            stride=1,
            out_pixels=after,
            act_elements=width * after + stream,
            stream_elements=stream,
            in_width=small,
        ),
    ]
