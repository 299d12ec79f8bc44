"""Checkpoints: float parameters in safetensors (never pickle), what they belong to in its metadata."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..errors import InputError
from ..files import atomic_path, read
from ..spec import SCHEMA_VERSION, canonical_json
from ..spec.formats import check_int
from .networks import MAX_SEED, Network, Widths, build

CHECKPOINT = "checkpoint.safetensors"
METADATA = "pact_hw"


def save_checkpoint(folder: Path, network: Network, *, seed: int) -> None:
    """Write ``checkpoint.safetensors`` atomically."""
    assert network.widths is not None, "a float twin has no checkpoint"
    description = {
        "schema": SCHEMA_VERSION,
        "network": network.name,
        **asdict(network.widths),
        "seed": seed,
    }
    # One member only: safetensors writes several in no fixed order.
    metadata = {METADATA: canonical_json(description)}
    with atomic_path(folder / CHECKPOINT) as path:
        save_file({name: t.contiguous() for name, t in network.state_dict().items()}, path, metadata)


def _read_file(path: Path) -> tuple[Any, dict[str, Tensor]]:
    with safe_open(path, framework="pt") as file:
        description = json.loads((file.metadata() or {}).get(METADATA, "null"))
        return description, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def check_tensors(path: Path, tensors: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    """Refuse tensors that are not a usable state of the network."""
    if difference := tensors.keys() ^ expected.keys():
        raise InputError(f"{path}: tensor {min(difference)!r} is missing or does not belong to the network")
    for name, tensor in tensors.items():
        wanted = expected[name]
        if tensor.shape != wanted.shape or tensor.dtype != wanted.dtype:
            raise InputError(
                f"{path}: tensor {name!r} is {tensor.dtype} {list(tensor.shape)}, "
                f"expected {wanted.dtype} {list(wanted.shape)}"
            )
        if not torch.isfinite(tensor).all():
            raise InputError(f"{path}: tensor {name!r} has values that are not finite")
        if name.endswith(".alpha") and not tensor > 0:
            raise InputError(f"{path}: {name} must be positive, not {tensor.item()}")
        if name.endswith(".running_var") and not (tensor >= 0).all():
            raise InputError(f"{path}: tensor {name!r} has negative variances")


def load_checkpoint(folder: Path) -> tuple[Network, int]:
    """The network in ``folder``, in evaluation mode, and the seed of its training.

    Raises:
        InputError: the file is missing, damaged, not safetensors, or not of a network that we know.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    path = folder / CHECKPOINT
    description, tensors = read(path, lambda: _read_file(path))
    if not isinstance(description, dict):
        raise InputError(f"{path}: is not a checkpoint of pact-hw")
    schema = description.get("schema")
    if schema != SCHEMA_VERSION:
        raise InputError(f"{path}: schema {schema!r} is not supported, expected {SCHEMA_VERSION}")
    try:
        widths = Widths(**{name: description[name] for name in ("act_bits", "weight_bits", "edge_bits")})
        name, seed = str(description["network"]), check_int("seed", description["seed"], 0, MAX_SEED)
    except KeyError as error:
        raise InputError(f"{path}: metadata: {type(error).__name__}: {error}") from None
    network = build(name, widths, seed)
    check_tensors(path, tensors, network.state_dict())
    network.load_state_dict(tensors)
    return network.eval(), seed
