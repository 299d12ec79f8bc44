"""The state of an unfinished training: safetensors and lines of JSON, so that a kill loses an epoch at most.

Everything random is drawn from generators seeded by the training's seed and the epoch, so a training
that goes on from the end of an epoch takes exactly the steps that it would have taken.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ..errors import InputError
from ..files import atomic_path, read, write_text

STATE = "resume.safetensors"
LOG = "metrics.jsonl"


def save_state(
    folder: Path, model: nn.Module, optimiser: torch.optim.Optimizer, *, epoch: int, training: dict[str, Any]
) -> None:
    """Write the state behind ``epoch`` epochs of the ``training`` (what it was asked to do)."""
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    for index, values in optimiser.state_dict()["state"].items():
        for name, value in values.items():
            if value is not None:
                tensors[f"optimiser.{index}.{name}"] = torch.as_tensor(value)
    metadata = {"pact_hw": json.dumps({"epoch": epoch, "training": training}, sort_keys=True)}
    with atomic_path(folder / STATE) as path:
        save_file({name: tensor.contiguous().clone() for name, tensor in tensors.items()}, path, metadata)


def load_state(
    folder: Path, model: nn.Module, optimiser: torch.optim.Optimizer, *, training: dict[str, Any]
) -> int:
    """Restore the state in ``folder``; the number of epochs behind it, 0 where there is none.

    Raises:
        InputError: the state is damaged, or that of another training.
    """
    path = folder / STATE
    if not path.exists():
        return 0

    def load() -> tuple[Any, dict[str, Tensor]]:
        with safe_open(path, framework="pt") as file:
            found = json.loads(file.metadata()["pact_hw"])
            return found, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118

    found, tensors = read(path, load)
    if found["training"] != training:
        theirs = found["training"]
        name = min(k for k in {*theirs, *training} if theirs.get(k) != training.get(k))
        raise InputError(
            f"{path}: is of another training ({name} {theirs.get(name)!r}, not {training.get(name)!r}): "
            "choose another folder, or remove it"
        )
    states: dict[int, dict[str, Tensor]] = {}
    for full, tensor in tensors.items():
        kind, _, rest = full.partition(".")
        if kind == "optimiser":
            index, _, name = rest.partition(".")
            states.setdefault(int(index), {})[name] = tensor

    def restore() -> None:
        model.load_state_dict({k[6:]: t for k, t in tensors.items() if k.startswith("model.")})
        optimiser.load_state_dict({**optimiser.state_dict(), "state": states})

    read(path, restore)
    return int(found["epoch"])


def remove_state(folder: Path) -> None:
    """The training is finished: its checkpoint takes over."""
    (folder / STATE).unlink(missing_ok=True)


class Log:
    """``metrics.jsonl``: one JSON object a line; lines beyond ``epoch`` are from before a kill and go."""

    def __init__(self, folder: Path, epoch: int) -> None:
        self.path = folder / LOG
        lines = read_log(folder) if self.path.exists() and epoch else []
        kept = [line for line in lines if line["epoch"] <= epoch]
        write_text(self.path, "".join(json.dumps(line) + "\n" for line in kept))

    def write(self, **line: Any) -> None:
        """Append one line."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, allow_nan=False) + "\n")


def read_log(folder: Path) -> list[dict[str, Any]]:
    """The lines of ``metrics.jsonl``; a last line that a kill cut short is left out.

    Raises:
        InputError: there is none, or a line is not JSON.
    """
    path = folder / LOG

    def load() -> list[dict[str, Any]]:
        text = path.read_text(encoding="utf-8")
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]

    return read(path, load)
