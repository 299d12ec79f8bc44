"""ResNet-18 and -50 with full pre-activation (He et al., arXiv 1603.05027), as in the PACT paper.

The sum is not activated: it is the residual stream, and each block normalises and activates what it
reads of it. Where the shape changes, the shortcut reads the activated value.
"""

from __future__ import annotations

from torch import Tensor, nn

from ..normalise import Normalise
from .resnet import MEAN, STD, conv, stages


def _shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Module | None:
    return None if stride == 1 and in_channels == out_channels else conv(in_channels, out_channels, 1, stride)


class PreActBasicBlock(nn.Module):
    """``conv2(relu2(bn2(conv1(relu1(bn1(x)))))) + x``."""

    expansion = 1

    def __init__(self, in_channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.bn1, self.relu1 = nn.BatchNorm2d(in_channels), nn.ReLU()
        self.conv1 = conv(in_channels, width, 3, stride)
        self.bn2, self.relu2 = nn.BatchNorm2d(width), nn.ReLU()
        self.conv2 = conv(width, width, 3)
        self.shortcut = _shortcut(in_channels, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """B x C x Y x X to the new residual stream."""
        a = self.relu1(self.bn1(x))
        y = self.conv2(self.relu2(self.bn2(self.conv1(a))))
        z: Tensor = y + (x if self.shortcut is None else self.shortcut(a))
        return z


class PreActBottleneck(nn.Module):
    """1 x 1, 3 x 3 and 1 x 1 convolutions, each behind its normalisation and activation."""

    expansion = 4

    def __init__(self, in_channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.bn1, self.relu1 = nn.BatchNorm2d(in_channels), nn.ReLU()
        self.conv1 = conv(in_channels, width, 1)
        self.bn2, self.relu2 = nn.BatchNorm2d(width), nn.ReLU()
        self.conv2 = conv(width, width, 3, stride)
        self.bn3, self.relu3 = nn.BatchNorm2d(width), nn.ReLU()
        self.conv3 = conv(width, self.expansion * width, 1)
        self.shortcut = _shortcut(in_channels, self.expansion * width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """B x C x Y x X to the new residual stream."""
        a = self.relu1(self.bn1(x))
        y = self.conv2(self.relu2(self.bn2(self.conv1(a))))
        y = self.conv3(self.relu3(self.bn3(y)))
        z: Tensor = y + (x if self.shortcut is None else self.shortcut(a))
        return z


class PreActResNet(nn.Module):
    """Pre-activation ResNet of ``depth`` 18 or 50 for 1,000 classes."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        kind: type[PreActBasicBlock] | type[PreActBottleneck]
        kind = PreActBasicBlock if depth < 50 else PreActBottleneck
        self.normalise = Normalise(MEAN, STD)
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        self.layer1, self.layer2, self.layer3, self.layer4 = stages(depth, kind, kind.expansion)
        self.bn = nn.BatchNorm2d(512 * kind.expansion)
        self.relu = nn.ReLU()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(512 * kind.expansion, 1000)

    def forward(self, levels: Tensor) -> Tensor:
        """Logits (B x 1000) of images of uint8 levels (B x 3 x 224 x 224)."""
        x = self.maxpool(self.conv1(self.normalise(levels)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        logits: Tensor = self.fc(self.avgpool(self.relu(self.bn(x))).flatten(1))
        return logits
