"""A trained PyTorch network as a QONNX file, compared with its executor quantiser by quantiser."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx

from ..progress import SILENT, Progress
from ..qat.checkpoint import CHECKPOINT
from ..qat.networks.catalogue import entry
from ..qat.normalise import Normalise
from ..qat.pact import ActQuantiser
from ..qat.quantised import load_quantised
from ..spec.layer import Shape
from .check import COUNTS, FLOAT_ERROR
from .executors import batch, executor
from .files import read_model
from .graph_writer import write_qonnx
from .tensors import Array
from .torch_writer import TorchWriter

Counts = dict[str, dict[str, int]]


class _Follower(fx.Interpreter):
    """Runs a network in float64 on the executor's own levels, so that a difference is counted once."""

    def __init__(
        self, model: fx.GraphModule, found: dict[str, Array], layers: dict[str, dict[str, int]]
    ) -> None:
        super().__init__(model)
        self.theirs, self.layers = found, layers

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        module = self.module.get_submodule(str(n.target)) if n.op == "call_module" else None
        if not isinstance(module, ActQuantiser):
            return result
        value = module.alpha.item() / module.format.max
        theirs = torch.from_numpy(np.rint(self.theirs[n.name] / np.float32(value)).astype(np.float64))
        (read, *_), _ = self.fetch_args_kwargs_from_env(n)
        z: Tensor = read / value
        wrong = (result / value).round() != theirs
        near = (z - z.floor() - 0.5).abs() <= float(FLOAT_ERROR) * max(1.0, z.abs().max().item())
        ties = int((wrong & near).sum())
        counts = self.layers.setdefault(str(n.target), dict.fromkeys(COUNTS, 0))
        counts["levels_compared"] += theirs.numel()
        counts["level_mismatches"] += int(wrong.sum()) - ties
        counts["float_ties"] += ties
        return theirs * value


def export_torch(
    model: fx.GraphModule,
    shape: Shape,
    out: Path,
    *,
    images: int = 2,
    seed: int = 0,
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Write ``model``, which ``quantise`` made and reads ``shape``, to ``out``; run it on random inputs.

    Every quantiser is compared with PyTorch in float64: ``levels_compared``, ``level_mismatches``, and
    ``float_ties``, levels that the executor's float32 rounds the other way, the exact value being that
    near to a tie; ``class_mismatches`` counts other classes behind equal levels, float32's ties apart.

    Raises:
        InputError: a part of the model has no form in QONNX here.
    """
    model = copy.deepcopy(model).eval()
    writer = TorchWriter(model, shape)
    write_qonnx(out, writer.model())
    written = read_model(out)
    name, execute = executor(written, [*writer.quantisers, written.output])
    reference = copy.deepcopy(model).double()
    pixels = any(isinstance(module, Normalise) for module in model.modules())
    layers: Counts = {}
    classes, rng = 0, np.random.default_rng(seed)
    with progress.task(f"compare with {name}", total=images) as advance, torch.no_grad():
        for _ in range(images):
            image = (
                rng.integers(0, 256, (1, *shape), dtype=np.uint8) if pixels else rng.normal(size=(1, *shape))
            )
            found = execute(batch(written, image))
            ours = _Follower(reference, found, layers).run(torch.from_numpy(image)).flatten(1)
            theirs = torch.from_numpy(found[written.output].astype(np.float64)).flatten(1)
            chosen = theirs.gather(1, ours.argmax(1, keepdim=True))
            slack = float(FLOAT_ERROR) * ours.abs().max().item()
            classes += int((chosen[:, 0] < theirs.amax(1) - slack).sum())
            advance(1)
    return {
        "file": str(out),
        "executor": name,
        "images": images,
        **{key: sum(counts[key] for counts in layers.values()) for key in COUNTS},
        "class_mismatches": classes,
        "layers": layers,
    }


def is_checkpoint(folder: Path) -> bool:
    """Whether ``folder`` holds a trained network."""
    return (folder / CHECKPOINT).is_file()


def export_checkpoint(
    folder: Path, out: Path, *, images: int = 2, seed: int = 0, progress: Progress = SILENT
) -> dict[str, Any]:
    """``export_torch`` of the trained network in ``folder``."""
    model, made_of = load_quantised(folder)
    shape = entry(made_of.network).input_shape
    return export_torch(model, shape, out, images=images, seed=seed, progress=progress)
