"""Every activation level of the integer network against the fake-quantised PyTorch network."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from .. import golden
from ..golden.network import Tensors
from ..progress import SILENT, Progress
from ..spec import NetworkSpec
from .data import Images
from .networks import Network
from .pact import PACT
from .structure import level_value

_BATCH = 64


def compare_levels(
    network: Network, spec: NetworkSpec, tensors: Tensors, images: Images, progress: Progress = SILENT
) -> dict[str, Any]:
    """Count the levels that differ, over all ``images`` and all layers that give levels.

    ``network`` is in evaluation mode; in float64 (where its sums are exact enough) 0 is expected.
    Its logits are rounded to the accumulators that they stand for before they are compared, so that
    a tie between two classes, which floating point breaks at random, is the same tie on both sides.
    """
    last = spec.layers[-1]
    assert last.weight is not None
    logit_value = float(level_value(network, last.source)) / last.weight.levels
    logit_mismatches = 0
    layers = {layer.name: {"levels_compared": 0, "level_mismatches": 0} for layer in spec.layers if layer.out}
    classes: list[np.ndarray] = []
    integer_classes: list[np.ndarray] = []
    with progress.task("compare levels", total=len(images)) as advance:
        for start in range(0, len(images), _BATCH):
            levels = images.levels[start : start + _BATCH]
            integers = golden.run(spec, tensors, levels)
            with torch.no_grad():
                values = network.activations(torch.from_numpy(levels))
            for name, counts in layers.items():
                act = network.layer(name).act
                assert isinstance(act, PACT)
                theirs = act.levels(values[name]).numpy()
                counts["levels_compared"] += theirs.size
                counts["level_mismatches"] += int((theirs != integers[name]).sum())
            logits = (values[last.name] / logit_value).round().long().numpy()
            integer_logits = integers[last.name].reshape(logits.shape)
            logit_mismatches += int((logits != integer_logits).sum())
            classes.append(logits.argmax(1))
            integer_classes.append(integer_logits.argmax(1))
            advance(len(levels))
    float_class, integer_class = np.concatenate(classes), np.concatenate(integer_classes)
    return {
        "images": len(images),
        "levels_compared": sum(counts["levels_compared"] for counts in layers.values()),
        "level_mismatches": sum(counts["level_mismatches"] for counts in layers.values()),
        "logit_mismatches": logit_mismatches,
        "class_mismatches": int((float_class != integer_class).sum()),
        "accuracy": float((integer_class == images.labels).mean()),
        "layers": layers,
    }
