"""AlexNet (Krizhevsky et al., 2012) with batch normalisation in place of local response normalisation."""

from __future__ import annotations

from torch import Tensor, nn

from ..normalise import Normalise
from .resnet import MEAN, STD


def _conv(
    c: int, k: int, kernel: int, *, stride: int = 1, padding: int = 0, groups: int = 1
) -> list[nn.Module]:
    conv = nn.Conv2d(c, k, kernel, stride=stride, padding=padding, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(k), nn.ReLU()]


def _linear(features: int, outputs: int) -> list[nn.Module]:
    return [nn.Linear(features, outputs, bias=False), nn.BatchNorm1d(outputs), nn.ReLU()]


class AlexNetBN(nn.Module):
    """Five convolutions (three of them in two groups) and three linear layers; 227 x 227 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.normalise = Normalise(MEAN, STD)
        self.features = nn.Sequential(
            *_conv(3, 96, 11, stride=4),
            nn.MaxPool2d(3, 2),
            *_conv(96, 256, 5, padding=2, groups=2),
            nn.MaxPool2d(3, 2),
            *_conv(256, 384, 3, padding=1),
            *_conv(384, 384, 3, padding=1, groups=2),
            *_conv(384, 256, 3, padding=1, groups=2),
            nn.MaxPool2d(3, 2),
        )
        self.classifier = nn.Sequential(
            *_linear(256 * 6 * 6, 4096), *_linear(4096, 4096), nn.Linear(4096, 1000)
        )

    def forward(self, levels: Tensor) -> Tensor:
        """Logits (B x 1000) of images of uint8 levels (B x 3 x 227 x 227)."""
        logits: Tensor = self.classifier(self.features(self.normalise(levels)).flatten(1))
        return logits
