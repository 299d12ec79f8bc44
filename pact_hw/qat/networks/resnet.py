"""ResNet-18 and -50 for 224 x 224 images: activation behind the addition (He et al., arXiv 1512.03385).

The stride of a bottleneck is in its 3 x 3 convolution. Parameters have torchvision's names.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from ..normalise import Normalise

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

WIDTHS = (64, 128, 256, 512)
"""Channels of the four stages (a bottleneck's output has four times as many)."""

BLOCKS = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3)}
"""Blocks of the four stages, by depth."""


def conv(in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    """A convolution without bias that keeps the size at stride 1."""
    return nn.Conv2d(in_channels, out_channels, kernel, stride=stride, padding=kernel // 2, bias=False)


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions."""

    expansion = 1

    def __init__(self, in_channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv(in_channels, width, 3, stride), nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU()
        self.conv2, self.bn2 = conv(width, width, 3), nn.BatchNorm2d(width)
        self.downsample = projection(in_channels, width, stride)
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """B x C x Y x X to the block's output."""
        y = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        z: Tensor = self.relu2(y + self.downsample(x))
        return z


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3 and 1 x 1 convolutions."""

    expansion = 4

    def __init__(self, in_channels: int, width: int, stride: int) -> None:
        super().__init__()
        out = self.expansion * width
        self.conv1, self.bn1, self.relu1 = conv(in_channels, width, 1), nn.BatchNorm2d(width), nn.ReLU()
        self.conv2, self.bn2, self.relu2 = conv(width, width, 3, stride), nn.BatchNorm2d(width), nn.ReLU()
        self.conv3, self.bn3, self.relu3 = conv(width, out, 1), nn.BatchNorm2d(out), nn.ReLU()
        self.downsample = projection(in_channels, out, stride)

    def forward(self, x: Tensor) -> Tensor:
        """B x C x Y x X to the block's output."""
        y = self.relu1(self.bn1(self.conv1(x)))
        y = self.bn3(self.conv3(self.relu2(self.bn2(self.conv2(y)))))
        z: Tensor = self.relu3(y + self.downsample(x))
        return z


def projection(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """The shortcut: a 1 x 1 convolution where the shape changes."""
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    return nn.Sequential(conv(in_channels, out_channels, 1, stride), nn.BatchNorm2d(out_channels))


Kind = type[BasicBlock] | type[Bottleneck]


def stages(depth: int, block: Callable[[int, int, int], nn.Module], expansion: int) -> list[nn.Sequential]:
    """The four stages; ``block`` takes input channels, width and stride."""
    result, channels = [], 64
    for stage, (width, count) in enumerate(zip(WIDTHS, BLOCKS[depth], strict=True)):
        blocks = []
        for index in range(count):
            blocks.append(block(channels, width, 2 if stage and not index else 1))
            channels = width * expansion
        result.append(nn.Sequential(*blocks))
    return result


class ResNet(nn.Module):
    """ResNet of ``depth`` 18 or 50 for 1,000 classes."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        kind: Kind = BasicBlock if depth < 50 else Bottleneck
        self.normalise = Normalise(MEAN, STD)
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        self.layer1, self.layer2, self.layer3, self.layer4 = stages(depth, kind, kind.expansion)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(512 * kind.expansion, 1000)

    def forward(self, levels: Tensor) -> Tensor:
        """Logits (B x 1000) of images of uint8 levels (B x 3 x 224 x 224)."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(self.normalise(levels)))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        logits: Tensor = self.fc(self.avgpool(x).flatten(1))
        return logits
