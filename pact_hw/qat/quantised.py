"""Quantised networks of the catalogue: what they are made of, and their checkpoints."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, fx, nn

from ..errors import InputError
from ..files import atomic_path, read
from ..spec import SCHEMA_VERSION, canonical_json
from .checkpoint import CHECKPOINT, METADATA, check_tensors
from .dorefa import DoReFa
from .networks.catalogue import entry, float_network
from .pact import ALPHA_START, PACT
from .quantise import quantise
from .sawb import SAWB
from .weights import WeightQuantiser

WEIGHTS: dict[str, Callable[[int], WeightQuantiser]] = {"dorefa": DoReFa, "sawb": SAWB}
"""The weight quantisers by name."""


@dataclass(frozen=True, kw_only=True)
class Quantised:
    """A network of the catalogue and its widths, which mean what they mean in ``quantise``.

    ``seed`` decides the float network's initial weights, and the order and augmentation of its training.
    """

    network: str
    act_bits: int
    weight_bits: int
    edge_bits: int = 8
    residual_bits: int = 8
    tie_residuals: bool = False
    weights: str = "dorefa"
    seed: int = 0

    def __post_init__(self) -> None:
        entry(self.network)
        if self.weights not in WEIGHTS:
            raise InputError(f"weights must be one of {', '.join(WEIGHTS)}, not {self.weights!r}")

    def float_network(self) -> nn.Module:
        """The float network with its initial weights."""
        return float_network(self.network, self.seed)

    def quantise(self, model: nn.Module, *, alpha: float = ALPHA_START) -> fx.GraphModule:
        """``model``, a float network of this name, with quantised layers; the clips start at ``alpha``."""
        known = entry(self.network)
        return quantise(
            model,
            act_bits={"*": self.act_bits, **dict.fromkeys(known.stream, self.residual_bits)},
            weight_bits=self.weight_bits,
            edge_bits=self.edge_bits,
            residual_bits=self.residual_bits,
            tie_residuals=self.tie_residuals,
            weights=WEIGHTS[self.weights],
            alpha=alpha,
            input_quantiser=PACT(8, 1.0) if known.data_set == "digits" else None,
        )


def save_quantised(folder: Path, model: nn.Module, made_of: Quantised) -> None:
    """Write ``checkpoint.safetensors`` atomically."""
    description = canonical_json({"schema": SCHEMA_VERSION, **asdict(made_of)})
    with atomic_path(folder / CHECKPOINT) as path:
        tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
        save_file(tensors, path, {METADATA: description})


def load_quantised(folder: Path) -> tuple[fx.GraphModule, Quantised]:
    """The network in ``folder``, in evaluation mode, and what it is made of.

    Raises:
        InputError: the file is missing, damaged, not safetensors, or not of a network that we know.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    path = folder / CHECKPOINT

    def load() -> tuple[Any, dict[str, Tensor]]:
        with safe_open(path, framework="pt") as file:
            found = json.loads((file.metadata() or {}).get(METADATA, "null"))
            return found, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118

    description, tensors = read(path, load)
    if not isinstance(description, dict):
        raise InputError(f"{path}: is not a checkpoint of pact-hw")
    if (schema := description.pop("schema", None)) != SCHEMA_VERSION:
        raise InputError(f"{path}: schema {schema!r} is not supported, expected {SCHEMA_VERSION}")
    try:
        made_of = Quantised(**description)
    except TypeError as error:
        raise InputError(f"{path}: metadata: {error}") from None
    model = made_of.quantise(made_of.float_network())
    check_tensors(path, tensors, model.state_dict())
    model.load_state_dict(tensors)
    return model.eval(), made_of
