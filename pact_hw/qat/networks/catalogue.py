"""The float networks by name, with what they are fed and by which recipe they are trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from ...errors import InputError
from ...spec.formats import check_int
from .alexnet import AlexNetBN
from .digits import DigitsNet
from .mobilenet import MobileNetV2
from .preact_resnet import PreActResNet
from .resnet import ResNet
from .resnet_cifar import resnet20
from .svhn import SvhnNet

MAX_SEED = (1 << 32) - 1
"""What every generator of random numbers that we use accepts."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One network: how it is built, its images (C, Y, X), its data set and the paper's recipe.

    ``stream`` are patterns of the activations that have the residual width, where the network keeps its
    residual stream apart.
    """

    build: Callable[[], nn.Module]
    input_shape: tuple[int, int, int]
    data_set: str
    recipe: str
    stream: tuple[str, ...] = ()


def _imagenet(build: Callable[[], nn.Module]) -> Entry:
    return Entry(build=build, input_shape=(3, 224, 224), data_set="imagenet", recipe="resnet")


def _cifar(build: Callable[[], nn.Module], stream: tuple[str, ...] = ()) -> Entry:
    return Entry(
        build=build,
        input_shape=(3, 32, 32),
        data_set="cifar10",
        recipe="cifar10",
        stream=stream,
    )


CATALOGUE: dict[str, Entry] = {
    "digits": Entry(build=DigitsNet, input_shape=(1, 8, 8), data_set="digits", recipe="digits"),
    "resnet20": _cifar(resnet20),
    "resnet20-b": _cifar(partial(resnet20, option="B")),
    "resnet20-stream": _cifar(partial(resnet20, stream=True), stream=("relu", "*.relu2")),
    "svhn": Entry(build=SvhnNet, input_shape=(3, 40, 40), data_set="svhn", recipe="svhn"),
    "alexnet-bn": Entry(build=AlexNetBN, input_shape=(3, 227, 227), data_set="imagenet", recipe="alexnet"),
    "preact-resnet18": _imagenet(partial(PreActResNet, 18)),
    "preact-resnet50": _imagenet(partial(PreActResNet, 50)),
    "resnet18": _imagenet(partial(ResNet, 18)),
    "resnet50": _imagenet(partial(ResNet, 50)),
    "mobilenet-v2": _imagenet(MobileNetV2),
}


def entry(name: str) -> Entry:
    """The catalogue's entry.

    Raises:
        InputError: there is no such network.
    """
    if name not in CATALOGUE:
        raise InputError(f"network must be one of {', '.join(CATALOGUE)}, not {name!r}")
    return CATALOGUE[name]


def float_network(name: str, seed: int = 0) -> nn.Module:
    """The network called ``name``, whose initial weights depend on ``seed`` only.

    Raises:
        InputError: there is no such network, or ``seed`` is out of range.
    """
    check_int("seed", seed, 0, MAX_SEED)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return entry(name).build()
