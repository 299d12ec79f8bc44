"""Float parameters from a file of arrays by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from ...errors import InputError
from ...files import read

_COUNTER = "num_batches_tracked"


def load_parameters(model: nn.Module, path: Path) -> None:
    """Load the arrays of ``path`` (.npz, names as in ``state_dict``) into ``model``.

    Batch normalisation's counters may be missing.

    Raises:
        InputError: the file cannot be read, or an array is missing, unknown, misshapen or not finite.
    """

    def arrays() -> dict[str, np.ndarray]:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}

    found, state = read(path, arrays), model.state_dict()
    wanted = {name for name in state if not name.endswith(_COUNTER)}
    if difference := (found.keys() - state.keys()) | (wanted - found.keys()):
        raise InputError(f"{path}: array {min(difference)!r} is missing or does not belong to the network")
    for name, array in found.items():
        if array.shape != tuple(state[name].shape):
            raise InputError(f"{path}: {name!r} is {list(array.shape)}, expected {list(state[name].shape)}")
        if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
            raise InputError(f"{path}: {name!r} has values that are not finite numbers")
    model.load_state_dict({**state, **{name: torch.from_numpy(array) for name, array in found.items()}})
