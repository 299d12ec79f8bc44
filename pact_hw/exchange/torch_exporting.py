"""A trained PyTorch network as a QONNX file, compared with its executor quantiser by quantiser."""

from __future__ import annotations

import copy
import operator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn

from ..progress import SILENT, Progress
from ..qat.checkpoint import CHECKPOINT
from ..qat.layers import QuantConv2d, QuantLinear
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
        self.reach: dict[fx.Node, Tensor] = {}
        """By node what its terms add up to without their signs: what float32's error is relative to."""

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if not isinstance(result, Tensor):
            return result
        module = self.module.get_submodule(str(n.target)) if n.op == "call_module" else None
        if not isinstance(module, ActQuantiser):
            self.reach[n] = self._reach(n, module, result)
            return result
        value = module.alpha.item() / module.format.max
        theirs = torch.from_numpy(np.rint(self.theirs[n.name] / np.float32(value)).astype(np.float64))
        (read, *_), _ = self.fetch_args_kwargs_from_env(n)
        z: Tensor = read / value
        reach = (self.reach[n.all_input_nodes[0]] / value).clamp(min=1)
        wrong = (result / value).round() != theirs
        near = (z - z.floor() - 0.5).abs() <= float(FLOAT_ERROR) * reach
        ties = int((wrong & near).sum())
        counts = self.layers.setdefault(str(n.target), dict.fromkeys(COUNTS, 0))
        counts["levels_compared"] += theirs.numel()
        counts["level_mismatches"] += int(wrong.sum()) - ties
        counts["float_ties"] += ties
        levels: Tensor = theirs * value
        self.reach[n] = levels.abs()
        return levels

    def _reach(self, n: fx.Node, module: Any, result: Tensor) -> Tensor:
        given = [self.reach[x] for x in n.all_input_nodes if x in self.reach]
        if isinstance(module, QuantConv2d | QuantLinear):
            # Worked out by the layer itself, of absolute values.
            bias = None if module.bias is None else nn.Parameter(module.bias.abs())
            layer = copy.copy(module)
            layer._parameters = {**module._parameters, "bias": bias}
            layer._modules = {"weight_quantiser": _Magnitudes(module.weight_quantiser)}
            reach: Tensor = layer(given[0])
            return reach
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            shape = (1, -1, *[1] * (result.ndim - 2))
            variance, mean = module.running_var, module.running_mean
            assert variance is not None
            assert mean is not None
            factor, offset = 1 / (variance + module.eps).sqrt(), torch.zeros_like(mean)
            if module.affine:
                factor, offset = factor * module.weight.abs(), module.bias.abs()
            return factor.reshape(shape) * (given[0] + mean.abs().reshape(shape)) + offset.reshape(shape)
        if n.target in (operator.add, torch.add):
            return sum(given[1:], given[0])
        return result.abs()


class _Magnitudes(nn.Module):
    """The absolute values of a layer's quantised weights."""

    def __init__(self, quantiser: nn.Module) -> None:
        super().__init__()
        self.quantiser = quantiser

    def forward(self, weight: Tensor) -> Tensor:
        """``|quantiser(weight)|``."""
        magnitudes: Tensor = self.quantiser(weight).abs()
        return magnitudes


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
    # As in the conversion: a weight near a tie may have another code in float32.
    model = copy.deepcopy(model).eval().double()
    writer = TorchWriter(model, shape)
    write_qonnx(out, writer.model())
    written = read_model(out)
    name, execute = executor(written, [*writer.quantisers, written.output])
    pixels = any(isinstance(module, Normalise) for module in model.modules())
    layers: Counts = {}
    classes, rng = 0, np.random.default_rng(seed)
    with progress.task(f"compare with {name}", total=images) as advance, torch.no_grad():
        for _ in range(images):
            image = (
                rng.integers(0, 256, (1, *shape), dtype=np.uint8) if pixels else rng.normal(size=(1, *shape))
            )
            found = execute(batch(written, image))
            ours = _Follower(model, found, layers).run(torch.from_numpy(image)).flatten(1)
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
