"""The conversion as a command: checkpoint in, integer network and its exactness out."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ..files import write_json
from ..network_files import load_network, required_requantiser, save_network
from ..progress import SILENT, Progress
from ..spec import SCHEMA_VERSION, RequantiserSpec
from .conversion.compare import compare, compare_float32
from .conversion.integers import Converted, to_integers
from .conversion.requantiser import WIDEST, Fallback, Rules
from .data import load
from .networks.catalogue import entry
from .quantised import load_quantised

__all__ = ["EXACTNESS", "convert", "load_network"]

EXACTNESS = "exactness.json"
IMAGES = 1000
"""Test images that are compared, unless a number is given."""


def convert(
    folder: Path,
    out: Path,
    progress: Progress = SILENT,
    *,
    data: Path | None = None,
    images: int = IMAGES,
    requantiser: RequantiserSpec = WIDEST,
    fallback: Fallback = Fallback.THRESHOLDS,
) -> dict[str, Any]:
    """Convert the checkpoint in ``folder``; write ``network.json``, ``weights.npz``, ``exactness.json``.

    Compared over the first ``images`` test images of the network's data set (in ``data``).

    Returns what ``exactness.json`` holds: ``levels_compared`` and ``level_mismatches`` against the
    float64 network (and by layer, with the proof's channels, thresholds and widths),
    ``logit_mismatches``, ``class_mismatches``, the integer network's ``accuracy``; ``float32``, the
    same counts against PyTorch in float32, which rounds; ``fallbacks``, the layers whose requantiser
    is none of multiplication and shift, or approximate; ``requantiser``, the narrowest one that holds
    the network's constants.

    Raises:
        InputError: the checkpoint or the data are unusable, or a layer cannot be made exact within
            ``requantiser``, and ``fallback`` does not allow what could be done.
    """
    model, made_of = load_quantised(folder)
    known = entry(made_of.network)
    _, test = load(known.data_set, data, size=known.input_shape[-1], seed=made_of.seed)
    chosen = test.batch(np.arange(min(images, len(test))))
    model = model.double()
    converted = to_integers(
        model,
        name=made_of.network,
        input_shape=known.input_shape,
        rules=Rules(widths=requantiser, fallback=fallback),
        progress=progress,
    )
    result = compare(converted, model, chosen.levels, chosen.labels, progress=progress)
    single = compare_float32(converted, model, chosen.levels, progress=progress)
    exactness = summary(converted, result, asdict(made_of)) | {"float32": single}
    save_network(out, converted.network, converted.tensors)
    write_json(out / EXACTNESS, exactness)
    return exactness


def summary(converted: Converted, result: dict[str, Any], made_of: dict[str, Any]) -> dict[str, Any]:
    """The comparison and the proofs as one JSON object."""
    proofs = converted.proofs
    layers = {}
    for layer in converted.network.layers:
        if layer.name in result["layers"]:
            proof = {"channels": layer.out_channels, "thresholds_checked": 0, **proofs.get(layer.name, {})}
            kind = layer.requantiser.value if layer.requantised else "none"
            layers[layer.name] = {**result["layers"][layer.name], "requantiser": kind, **proof}
    needed = required_requantiser(converted.network, converted.tensors)
    return {
        "schema": SCHEMA_VERSION,
        "network_digest": converted.network.digest,
        **made_of,
        **result,
        "channels": sum(proof["channels"] for proof in proofs.values()),
        "thresholds_checked": sum(proof["thresholds_checked"] for proof in proofs.values()),
        **{
            widest: max((proof.get(widest, 0) for proof in proofs.values()), default=0)
            for widest in ("widest_mult_bits", "widest_add_bits", "widest_shift")
        },
        "fallbacks": {
            name: proof.get("approximation", {"by": Fallback.THRESHOLDS.value})
            for name, proof in proofs.items()
            if "fallback_channels" in proof
        },
        "layers": layers,
        "requantiser": {**asdict(needed), "kind": needed.kind.value},
    }
