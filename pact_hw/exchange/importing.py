"""An ONNX or QONNX model as an integer network: read, proved, compared, written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..files import write_json
from ..network_files import save_network
from ..progress import SILENT, Progress
from ..qat.conversion.requantiser import Rules
from ..spec import SCHEMA_VERSION, NetworkSpec
from .check import compare
from .files import Model, read_model
from .layers import GridBuilder
from .operations import HANDLERS
from .reader import ModelReader

EXACTNESS = "exactness.json"


def to_network(
    model: Model, rules: Rules | None = None, progress: Progress = SILENT
) -> tuple[NetworkSpec, GridBuilder]:
    """``model`` as integer layers; the builder has the tensors and the proofs.

    Raises:
        InputError: a node cannot be computed in integers exactly; it is named.
    """
    builder = GridBuilder(rules or Rules())
    reader = ModelReader(model, builder, HANDLERS)
    with progress.task("read nodes, prove requantisers", total=len(model.nodes)) as advance:
        reader.read(advance)
    return builder.network(model.name), builder


def import_model(
    path: Path,
    out: Path,
    *,
    images: int = 4,
    seed: int = 0,
    rules: Rules | None = None,
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Write the model in ``path`` as ``network.json`` and ``weights.npz``, and what was found out.

    The executor of the model's own tools runs it on ``images`` random inputs, and every layer is
    compared: ``levels_compared``, ``level_mismatches``, ``float_ties`` (levels that the executor's
    float32 rounds the other way, the exact value being that near to a tie).

    Raises:
        InputError: the file is unusable, or a part of it has no exact integer form.
    """
    model = read_model(path)
    network, builder = to_network(model, rules, progress)
    counts = compare(model, network, builder, images=images, seed=seed, progress=progress)
    grid, shown = builder.input_grid, builder.observed.get("input")
    assert grid is not None
    result: dict[str, Any] = {
        "schema": SCHEMA_VERSION,
        "network_digest": network.digest,
        "source": path.name,
        "input": {
            "tensor": model.input,
            "levels_tensor": shown and shown[0],
            "scale": float(grid.scale),
            "lowest_level": grid.low,
            "highest_level": grid.high,
        },
        "logit_scale": float(builder.logit_value),
        **counts,
        "thresholds_checked": sum(proof["thresholds_checked"] for proof in builder.proofs.values()),
        "layers": {
            layer.name: {
                "kind": layer.kind.value,
                **builder.proofs.get(layer.name, {}),
                **counts["layers"].get(layer.name, {}),
            }
            for layer in network.layers
        },
    }
    save_network(out, network, builder.tensors)
    write_json(out / EXACTNESS, result)
    return result
