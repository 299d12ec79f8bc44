"""Every level of every layer of the integer network against the fake-quantised PyTorch network."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, fx

from ... import golden
from ...progress import SILENT, Progress
from ..normalise import Normalise
from .forward import IntegerNetwork
from .integers import Converted

BATCH = 50
GOLDEN_IMAGES = 8
"""Images that the naive reference runs as well; it takes seconds for each."""


class _Recorder(fx.Interpreter):
    """Runs a graph and keeps what some of its nodes give."""

    def __init__(self, model: fx.GraphModule, wanted: Sequence[str]) -> None:
        super().__init__(model)
        self.wanted, self.found = set(wanted), dict[str, Tensor]()

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if n.name in self.wanted:
            self.found[n.name] = result
        return result


def levels_of(converted: Converted, model: fx.GraphModule, images: Tensor) -> dict[str, Tensor]:
    """By layer what PyTorch gives for ``images``, in levels (the logits in units of the integer ones).

    Not rounded: a value is an integer up to floating point's own error.
    """
    recorder = _Recorder(model, [node for node, _ in converted.nodes.values()])
    with torch.no_grad():
        recorder.run(images)
    return {
        layer: recorder.found[node].double() / float(value)
        for layer, (node, value) in converted.nodes.items()
    }


def compare(
    converted: Converted,
    model: fx.GraphModule,
    images: npt.NDArray[np.integer],
    labels: npt.NDArray[np.int64],
    *,
    progress: Progress = SILENT,
    batch: int = BATCH,
    golden_images: int = GOLDEN_IMAGES,
) -> dict[str, Any]:
    """Count the levels that differ over ``images`` (pixels or levels, as the network takes them).

    ``model`` is in evaluation mode; in float64, where its sums are exact enough, 0 is expected. The
    integers come from ``IntegerNetwork``; for the first ``golden_images`` also from ``golden``, and
    the two are compared.
    """
    network, tensors = converted.network, converted.tensors
    integers = IntegerNetwork(network, tensors)
    last = network.layers[-1].name
    layers = {name: {"levels_compared": 0, "level_mismatches": 0} for name in converted.nodes if name != last}
    logit_mismatches = golden_mismatches = golden_values = 0
    classes: list[npt.NDArray[np.int64]] = []
    integer_classes: list[npt.NDArray[np.int64]] = []
    with progress.task("compare levels", total=len(images)) as advance:
        for start in range(0, len(images), batch):
            chosen = images[start : start + batch]
            levels = golden.input_levels(network, tensors, chosen)
            theirs = levels_of(converted, model, _as_input(converted, model, chosen))
            if start < golden_images:
                count = min(golden_images - start, len(chosen))
                reference = golden.run(network, tensors, levels[:count])
            for name, ours in _with_input(integers, levels):
                if start < golden_images and name in reference:
                    golden_values += reference[name].size
                    golden_mismatches += int((ours[:count].numpy() != reference[name]).sum())
                if name not in theirs:
                    continue
                rounded = theirs[name].reshape(ours.shape).round()
                differ = int((rounded != ours.double()).sum())
                if name == last:
                    logit_mismatches += differ
                    classes.append(rounded.flatten(1).argmax(1).numpy())
                    integer_classes.append(ours.flatten(1).argmax(1).numpy())
                else:
                    layers[name]["levels_compared"] += ours.numel()
                    layers[name]["level_mismatches"] += differ
            advance(len(chosen))
    float_class, integer_class = np.concatenate(classes), np.concatenate(integer_classes)
    return {
        "images": len(images),
        "levels_compared": sum(counts["levels_compared"] for counts in layers.values()),
        "level_mismatches": sum(counts["level_mismatches"] for counts in layers.values()),
        "logit_mismatches": logit_mismatches,
        "class_mismatches": int((float_class != integer_class).sum()),
        "golden_values_compared": golden_values,
        "golden_mismatches": golden_mismatches,
        "accuracy": float((integer_class == labels).mean()),
        "layers": layers,
    }


def compare_float32(
    converted: Converted,
    model: fx.GraphModule,
    images: npt.NDArray[np.integer],
    *,
    progress: Progress = SILENT,
    batch: int = BATCH,
) -> dict[str, Any]:
    """The same count for PyTorch in float32, which rounds: how many levels, and whether any class."""
    single = copy.deepcopy(model).float()
    counts = compare(
        converted, single, images, np.zeros(len(images), dtype=np.int64), progress=progress, batch=batch,
        golden_images=0,
    )  # fmt: skip
    return {name: counts[name] for name in ("levels_compared", "level_mismatches", "class_mismatches")}


def _with_input(integers: IntegerNetwork, levels: npt.NDArray[np.int64]) -> Iterator[tuple[str, Tensor]]:
    yield "input", torch.from_numpy(levels)
    yield from integers.outputs(levels)


def _as_input(converted: Converted, model: fx.GraphModule, images: npt.NDArray[np.integer]) -> Tensor:
    """What ``model`` reads: pixels where it normalises them itself, else the levels' real values."""
    if any(isinstance(module, Normalise) for module in model.modules()):
        return torch.from_numpy(np.ascontiguousarray(images, dtype=np.uint8))
    dtype = next(model.parameters()).dtype
    return torch.from_numpy(np.asarray(images, dtype=np.float64)).to(dtype) * float(
        converted.nodes["input"][1]
    )
