"""The networks that the models are run on, by name."""

from __future__ import annotations

from collections.abc import Callable

from pact_hw.errors import InputError

from .alexnet import alexnet
from .layer import Ints, Layer, Operand, Workload
from .mobilenet import mobilenet_v2
from .resnet import StridePlace, resnet18, resnet50, resnet50_v15
from .transformer import bert_base

__all__ = [
    "NETWORKS",
    "Ints",
    "Layer",
    "Operand",
    "StridePlace",
    "Workload",
    "alexnet",
    "bert_base",
    "mobilenet_v2",
    "network",
    "resnet18",
    "resnet50",
    "resnet50_v15",
]

NETWORKS: dict[str, Callable[[], Workload]] = {
    "resnet18": resnet18,
    "resnet50": resnet50,
    "resnet50-v1.5": resnet50_v15,
    "alexnet": alexnet,
    "mobilenet_v2": mobilenet_v2,
    "bert_base": bert_base,
}


def network(name: str) -> Workload:
    """The network of this name.

    Raises:
        InputError: there is none.
    """
    if name not in NETWORKS:
        raise InputError(f"network must be one of {', '.join(NETWORKS)}, not {name!r}")
    return NETWORKS[name]()
