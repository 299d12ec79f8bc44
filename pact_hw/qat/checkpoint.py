"""What is common to checkpoints: their file, and the check of tensors from outside."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from ..errors import InputError

CHECKPOINT = "checkpoint.safetensors"
METADATA = "pact_hw"
"""The member of the file's metadata that says what its tensors belong to."""


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
