"""ResNet-20 for 32 x 32 images (He et al., arXiv 1512.03385, section 4.2), both kinds of shortcut."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - its usual name

from ..normalise import Normalise

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class PadShortcut(nn.Module):
    """Option A: every second pixel, and zeros for the new channels; no parameters."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.padding = (out_channels - in_channels) // 2

    def forward(self, x: Tensor) -> Tensor:
        """B x C x Y x X to B x (C + 2 padding) x Y/2 x X/2."""
        # Pooling of single pixels: x[:, :, ::2, ::2], but with a gradient that compiles to a fast loop.
        return F.pad(F.avg_pool2d(x, 1, 2), (0, 0, 0, 0, self.padding, self.padding))


def _shortcut(in_channels: int, out_channels: int, option: str) -> nn.Module:
    if in_channels == out_channels:
        return nn.Identity()
    if option == "A":
        return PadShortcut(in_channels, out_channels)
    conv = nn.Conv2d(in_channels, out_channels, 1, stride=2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels))


class Block(nn.Module):
    """``relu2(bn2(conv2(relu1(bn1(conv1(x))))) + shortcut(x))``; more channels mean half the pixels.

    With ``stream`` what the first convolution reads is activated once more. That changes nothing in
    the float network; quantised, the stream of the shortcuts can have more bits than what is multiplied.
    """

    def __init__(self, in_channels: int, out_channels: int, option: str, *, stream: bool = False) -> None:
        super().__init__()
        stride = 1 if in_channels == out_channels else 2
        self.relu0 = nn.ReLU() if stream else nn.Identity()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.shortcut = _shortcut(in_channels, out_channels, option)
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """B x C x Y x X to the block's output."""
        y = self.relu1(self.bn1(self.conv1(self.relu0(x))))
        y = self.bn2(self.conv2(y))
        z: Tensor = self.relu2(y + self.shortcut(x))
        return z


class ResNetCifar(nn.Module):
    """6 n + 2 layers in three stages of 16, 32 and 64 channels; ``option`` is the shortcuts' kind."""

    def __init__(self, blocks: int, *, option: str, stream: bool = False, classes: int = 10) -> None:
        super().__init__()
        self.normalise = Normalise(MEAN, STD)
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.relu = nn.ReLU()
        self.layer1 = self._stage(16, 16, blocks, option, stream)
        self.layer2 = self._stage(16, 32, blocks, option, stream)
        self.layer3 = self._stage(32, 64, blocks, option, stream)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(64, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight)

    @staticmethod
    def _stage(in_channels: int, channels: int, blocks: int, option: str, stream: bool) -> nn.Sequential:
        inputs = [in_channels] + [channels] * (blocks - 1)
        return nn.Sequential(*(Block(c, channels, option, stream=stream) for c in inputs))

    def forward(self, levels: Tensor) -> Tensor:
        """Logits (B x classes) of images of uint8 levels (B x 3 x 32 x 32)."""
        x = self.relu(self.bn1(self.conv1(self.normalise(levels))))
        x = self.layer3(self.layer2(self.layer1(x)))
        logits: Tensor = self.linear(self.pool(x).flatten(1))
        return logits


def resnet20(*, option: str = "A", stream: bool = False) -> ResNetCifar:
    """20 layers, 41 M multiply-accumulates an image."""
    return ResNetCifar(3, option=option, stream=stream)
