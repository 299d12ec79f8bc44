"""The SVHN network of DoReFa-Net (Zhou et al., arXiv 1606.06160), which PACT uses: seven convolutions."""

from __future__ import annotations

from torch import Tensor, nn

from ..normalise import Normalise


def _conv(in_channels: int, out_channels: int, kernel: int, padding: int = 0) -> list[nn.Module]:
    conv = nn.Conv2d(in_channels, out_channels, kernel, padding=padding, bias=False)
    return [conv, nn.BatchNorm2d(out_channels)]


class SvhnNet(nn.Module):
    """Images of 40 x 40 pixels; 42 M multiply-accumulates each."""

    def __init__(self) -> None:
        super().__init__()
        self.normalise = Normalise((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
        self.features = nn.Sequential(
            nn.Conv2d(3, 48, 5),
            nn.MaxPool2d(2),
            nn.ReLU(),
            *_conv(48, 64, 3, padding=1),
            nn.ReLU(),
            *_conv(64, 64, 3, padding=1),
            nn.MaxPool2d(2),
            nn.ReLU(),
            *_conv(64, 128, 3),
            nn.ReLU(),
            *_conv(128, 128, 3, padding=1),
            nn.ReLU(),
            *_conv(128, 128, 3),
            nn.ReLU(),
            nn.Dropout(0.5),
            *_conv(128, 512, 5),
            nn.ReLU(),
        )
        self.classifier = nn.Linear(512, 10)

    def forward(self, levels: Tensor) -> Tensor:
        """Logits (B x 10) of images of uint8 levels (B x 3 x 40 x 40)."""
        logits: Tensor = self.classifier(self.features(self.normalise(levels)).flatten(1))
        return logits
