"""MobileNetV2 (Sandler et al., arXiv 1801.04381): depthwise convolutions, linear bottlenecks.

Not in the PACT paper: a test of generality. Parameters have torchvision's names.
"""

from __future__ import annotations

from torch import Tensor, nn

from ..normalise import Normalise
from .resnet import MEAN, STD

_STAGES = (
    # expansion, channels, blocks, stride of the first
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def _conv(c: int, k: int, kernel: int, *, stride: int = 1, groups: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(c, k, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(k), nn.ReLU6())


class InvertedResidual(nn.Module):
    """Expand (1 x 1), filter each channel (3 x 3), project (1 x 1) without activation."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = in_channels * expansion
        self.conv = nn.Sequential(
            *([] if expansion == 1 else [_conv(in_channels, hidden, 1)]),
            _conv(hidden, hidden, 3, stride=stride, groups=hidden),
            nn.Conv2d(hidden, out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels),
        )
        self.residual = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """B x C x Y x X to the block's output, which is not activated."""
        y: Tensor = self.conv(x)
        return x + y if self.residual else y


class MobileNetV2(nn.Module):
    """Width 1.0, 224 x 224 pixels, 1,000 classes."""

    def __init__(self) -> None:
        super().__init__()
        self.normalise = Normalise(MEAN, STD)
        features: list[nn.Module] = [_conv(3, 32, 3, stride=2)]
        channels = 32
        for expansion, out, blocks, first in _STAGES:
            for index in range(blocks):
                features.append(InvertedResidual(channels, out, 1 if index else first, expansion))
                channels = out
        self.features = nn.Sequential(*features, _conv(channels, 1280, 1))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, 1000))

    def forward(self, levels: Tensor) -> Tensor:
        """Logits (B x 1000) of images of uint8 levels (B x 3 x 224 x 224)."""
        logits: Tensor = self.classifier(self.pool(self.features(self.normalise(levels))).flatten(1))
        return logits
