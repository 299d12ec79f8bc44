"""MobileNetV2 (Sandler et al., 2018), width 1.0 at 224 x 224: depthwise convolutions, few weights."""

from __future__ import annotations

from .layer import Layer, Workload

SIZE = 224
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
"""Table 2 of the paper: expansion, output channels, blocks, stride of the first."""


def mobilenet_v2() -> Workload:
    """MobileNetV2: 53 matrix layers."""
    layers = [_layer("conv1", 3, 32, SIZE, 112, kernel=3)]
    channels, size = 32, 112
    for stage, (expansion, width, blocks, first_stride) in enumerate(_STAGES, 2):
        for block in range(blocks):
            after = size // (first_stride if block == 0 else 1)
            layers += _block(f"conv{stage}_{block + 1}", channels, width, expansion, size, after)
            channels, size = width, after
    layers += [_layer("conv9", channels, 1280, size, size), _layer("fc", 1280, 1000, 1, 1)]
    return Workload(name="mobilenet_v2", image_elements=SIZE**2 * 3, layers=tuple(layers))


def _layer(
    name: str,
    inputs: int,
    outputs: int,
    before: int,
    after: int,
    *,
    kernel: int = 1,
    groups: int = 1,
    stream: int = 0,
) -> Layer:
    return Layer(
        name=name,
        in_channels=inputs,
        out_channels=outputs,
        kernel=kernel,
        stride=before // after,
        groups=groups,
        out_pixels=after**2,
        act_elements=inputs * before**2 + outputs * after**2,
        stream_elements=stream,
        in_width=before,
    )


def _block(name: str, channels: int, width: int, expansion: int, before: int, after: int) -> list[Layer]:
    """Expand, depthwise, project; a shortcut where the shape stays."""
    stream = width * after**2 if channels == width and before == after else 0
    hidden = channels * expansion
    layers = [
        _layer(f"{name}_dw", hidden, hidden, before, after, kernel=3, groups=hidden, stream=stream),
        _layer(f"{name}_project", hidden, width, after, after, stream=stream),
    ]
    if expansion > 1:
        layers.insert(0, _layer(f"{name}_expand", channels, hidden, before, before, stream=stream))
    return layers
