"""A small residual network for scikit-learn's handwritten digits."""

from __future__ import annotations

from torch import Tensor, nn

from ..normalise import Normalise
from .resnet import conv


class DigitsNet(nn.Module):
    """8 x 8 pixels: 28 k weights, 0.38 M multiply-accumulates an image."""

    def __init__(self) -> None:
        super().__init__()
        self.normalise = Normalise((0.0,), (1.0,))
        self.stem, self.bn0, self.relu0 = conv(1, 16, 3), nn.BatchNorm2d(16), nn.ReLU()
        self.down, self.bn1, self.relu1 = conv(16, 32, 3, 2), nn.BatchNorm2d(32), nn.ReLU()
        self.block1, self.bn2, self.relu2 = conv(32, 32, 3), nn.BatchNorm2d(32), nn.ReLU()
        self.block2, self.bn3, self.relu3 = conv(32, 32, 3), nn.BatchNorm2d(32), nn.ReLU()
        self.head = nn.Linear(32 * 4 * 4, 10, bias=False)

    def forward(self, levels: Tensor) -> Tensor:
        """Logits (B x 10) of images of uint8 levels (B x 1 x 8 x 8)."""
        x = self.relu0(self.bn0(self.stem(self.normalise(levels))))
        x = self.relu1(self.bn1(self.down(x)))
        y = self.bn3(self.block2(self.relu2(self.bn2(self.block1(x)))))
        logits: Tensor = self.head(self.relu3(y + x).flatten(1))
        return logits
