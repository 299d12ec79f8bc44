"""The conversion of networks that are lists of layers (until none is)."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors import safe_open

from ..files import write_json
from ..network_files import required_requantiser, save_network
from ..progress import SILENT, Progress
from ..spec import SCHEMA_VERSION, RequantiserSpec
from .checkpoint import CHECKPOINT, METADATA, load_checkpoint
from .compare import compare_levels
from .data import DATA
from .integers import WIDEST, to_integers

EXACTNESS = "exactness.json"


def is_listed(folder: Path) -> bool:
    """Whether the checkpoint in ``folder`` is one of those; not whether it is a good one."""
    try:
        with safe_open(folder / CHECKPOINT, framework="pt") as file:
            return "weights" not in json.loads((file.metadata() or {}).get(METADATA, "{}"))
    except Exception:  # whoever reads it next says what is wrong
        return True


def convert_listed(
    folder: Path, out: Path, progress: Progress = SILENT, *, requantiser: RequantiserSpec = WIDEST
) -> dict[str, Any]:
    """Convert the checkpoint in ``folder``; write ``network.json``, ``weights.npz``, ``exactness.json``.

    Returns what ``exactness.json`` holds: over the held-out images ``levels_compared`` and
    ``level_mismatches`` against the float64 network (and by layer, with the proof's channels,
    thresholds and widths), ``logit_mismatches``, ``class_mismatches``, the integer network's
    ``accuracy``, and ``requantiser``, the narrowest one that holds the network's constants.

    Raises:
        InputError: the checkpoint is unusable, or a layer cannot be made exact within ``requantiser``.
    """
    network, seed = load_checkpoint(folder)
    network.double()
    spec, tensors, proofs = to_integers(network, requantiser, progress)
    _, held_out = DATA[network.name](seed)
    result = compare_levels(network, spec, tensors, held_out, progress)
    needed = required_requantiser(spec, tensors)
    exactness = {
        "schema": SCHEMA_VERSION,
        "network_digest": spec.digest,
        **result,
        "channels": sum(proof["channels"] for proof in proofs.values()),
        "thresholds_checked": sum(proof["thresholds_checked"] for proof in proofs.values()),
        **{
            widest: max(proof[widest] for proof in proofs.values())
            for widest in ("widest_mult_bits", "widest_add_bits", "widest_shift")
        },
        "layers": {name: {**counts, **proofs[name]} for name, counts in result["layers"].items()},
        "requantiser": {**asdict(needed), "kind": needed.kind.value},
    }
    save_network(out, spec, tensors)
    write_json(out / EXACTNESS, exactness)
    return exactness
