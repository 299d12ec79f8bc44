"""An integer network on disk as a QONNX file, compared with its executor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..golden import run
from ..network_files import load_network
from ..progress import SILENT, Progress
from .executors import batch, executor
from .files import read_model
from .graph_writer import write_qonnx
from .writer import to_qonnx


def export(
    folder: Path, out: Path, *, images: int = 2, seed: int = 0, progress: Progress = SILENT
) -> dict[str, Any]:
    """Write the network in ``folder`` to ``out``, and run what was written on random inputs.

    Returns ``levels_compared`` and ``level_mismatches`` over all layers (logits included), and whether
    images come as levels by a table (``pixel_table``), which is not part of the file.

    Raises:
        InputError: the folder holds no network, or QONNX could not say it exactly.
    """
    network, tensors = load_network(folder)
    write_qonnx(out, to_qonnx(network, tensors))
    model = read_model(out)
    layers: dict[str, dict[str, int]] = {}
    name, execute = executor(model, [layer.name for layer in network.layers])
    rng = np.random.default_rng(seed)
    act = network.input_act
    with progress.task(f"compare with {name}", total=images) as advance:
        for _ in range(images):
            levels = rng.integers(act.min, act.max + 1, (1, *model.shape))
            found = execute(batch(model, levels))
            for layer, ours in run(network, tensors, levels).items():
                counts = layers.setdefault(layer, {"levels_compared": 0, "level_mismatches": 0})
                counts["levels_compared"] += ours.size
                counts["level_mismatches"] += int((found[layer].reshape(ours.shape) != ours).sum())
            advance(1)
    totals = {
        key: sum(counts[key] for counts in layers.values()) for key in ("levels_compared", "level_mismatches")
    }
    return {
        "file": str(out),
        "network_digest": network.digest,
        "executor": name,
        "images": images,
        "pixel_table": network.pixel_bits is not None,
        **totals,
        "layers": layers,
    }
