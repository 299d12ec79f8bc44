"""Small float networks with every operation that is converted, and parameters that are anything but tame."""

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from pact_hw.qat.normalise import Normalise
from pact_hw.qat.pact import ActQuantiser


def conv(c, k, kernel=3, **options):
    return nn.Conv2d(c, k, kernel, padding=kernel // 2, bias=False, **options)


class Plain(nn.Module):
    """Strided, grouped and depthwise convolutions, with and without bias, max pooling, two linear layers."""

    def __init__(self):
        super().__init__()
        self.normalise = Normalise((0.4, 0.5, 0.3), (0.2, 0.25, 0.3))
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2, padding=1),
            conv(8, 8, groups=8), nn.BatchNorm2d(8), nn.ReLU(), conv(8, 12, 1, groups=4), nn.BatchNorm2d(12),
            nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(),
        )  # fmt: skip
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Linear(12, 7, bias=False), nn.BatchNorm1d(7), nn.ReLU(), nn.Linear(7, 5)
        )

    def forward(self, x):
        return self.classifier(self.features(self.normalise(x)))


class Residual(nn.Module):
    """Identity, option A and option B shortcuts; global average pooling."""

    def __init__(self):
        super().__init__()
        self.normalise = Normalise((0.4, 0.5, 0.3), (0.2, 0.25, 0.3))
        self.conv0, self.bn0 = conv(3, 4), nn.BatchNorm2d(4)
        self.conv1, self.bn1 = conv(4, 4), nn.BatchNorm2d(4)
        self.conv2, self.bn2 = conv(4, 8, stride=2), nn.BatchNorm2d(8)
        self.conv3, self.bn3 = conv(8, 6, stride=2), nn.BatchNorm2d(6)
        self.conv4, self.bn4 = conv(8, 6, 1, stride=2), nn.BatchNorm2d(6)
        self.head = nn.Linear(6, 4)

    def forward(self, x):
        x = F.relu(self.bn0(self.conv0(self.normalise(x))))
        x = F.relu(self.bn1(self.conv1(x)) + x)
        x = F.relu(self.bn2(self.conv2(x)) + F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 1, 3)))
        x = F.relu(self.bn3(self.conv3(x)) + self.bn4(self.conv4(x)))
        return self.head(x.mean((2, 3)))


class PreActivation(nn.Module):
    """A residual stream that is not activated, read through batch normalisation."""

    def __init__(self):
        super().__init__()
        self.normalise = Normalise((0.4, 0.5, 0.3), (0.2, 0.25, 0.3))
        self.conv0 = conv(3, 6)
        self.bn1, self.conv1, self.bn2, self.conv2 = (
            nn.BatchNorm2d(6),
            conv(6, 6),
            nn.BatchNorm2d(6),
            conv(6, 6),
        )
        self.bn3, self.conv3 = nn.BatchNorm2d(6), conv(6, 6, 1)
        self.bn4, self.head = nn.BatchNorm2d(6), nn.Linear(6, 4, bias=False)

    def forward(self, x):
        x = self.conv0(self.normalise(x))
        x = x + self.conv2(F.relu(self.bn2(self.conv1(F.relu(self.bn1(x))))))
        x = x + self.conv3(F.relu(self.bn3(x)))
        return self.head(F.avg_pool2d(F.relu(self.bn4(x)), 8).flatten(1))


class Dense(nn.Module):
    """Concatenation of activations and of pooled ones; average pooling in the middle; linear bottlenecks."""

    def __init__(self):
        super().__init__()
        self.normalise = Normalise((0.4, 0.5, 0.3), (0.2, 0.25, 0.3))
        self.conv0, self.bn0 = conv(3, 4), nn.BatchNorm2d(4)
        self.conv1, self.bn1 = conv(4, 3), nn.BatchNorm2d(3)
        self.conv2, self.bn2 = conv(7, 5, 1), nn.BatchNorm2d(5)
        self.conv3, self.bn3 = conv(5, 6), nn.BatchNorm2d(6)
        self.head = nn.Linear(6 * 4 * 4, 4)

    def forward(self, x):
        x = F.relu(self.bn0(self.conv0(self.normalise(x))))
        y = F.relu(self.bn1(self.conv1(x)))
        x = self.bn2(self.conv2(torch.cat([x, y], 1)))  # no activation: signed
        x = F.relu(self.bn3(self.conv3(F.avg_pool2d(x, 2))))
        return self.head(x.flatten(1))


NETWORKS = {network.__name__: network for network in (Plain, Residual, PreActivation, Dense)}
SHAPE = (3, 8, 8)


def images(count, seed=0):
    return torch.randint(
        0, 256, (count, *SHAPE), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed)
    )


def randomise(model, seed):
    """Random statistics, gammas of both signs and 0, a channel without variance, random clips; float64."""
    g = torch.Generator().manual_seed(seed)

    def uniform(low, high, like):
        return low + (high - low) * torch.rand(like.shape, generator=g, dtype=like.dtype)

    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                sign = torch.randint(0, 2, module.weight.shape, generator=g) * 2 - 1
                module.weight.copy_(sign * uniform(0.3, 2, module.weight))
                module.bias.copy_(uniform(-0.5, 1.5, module.bias))
                module.running_mean.copy_(uniform(-1, 1, module.bias))
                module.running_var.copy_(uniform(0.5, 4, module.bias))
                module.weight[0] = 0
                module.running_var[1] = 0
            if isinstance(module, ActQuantiser):
                module.alpha.copy_(uniform(0.7, 4, module.alpha))
    return model.double().eval()
