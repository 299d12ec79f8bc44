"""Products on their way into the simulator: ``vectors.npz``, and the sealed ``vectors.json`` beside it.

The JSON carries the digest of the hardware that the products are for and the SHA-256 of the npz, and
is itself sealed; the reader refuses all three mismatches.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pact_hw.errors import InputError
from pact_hw.files import atomic_path, read, read_json, write_json
from pact_hw.spec import HardwareSpec, seal, unseal

from .products import MatrixProduct, Scale, Thresholds

PLAIN = "plain"
"""As the caller asked for."""
RESET = "reset"
"""The product is started, reset in mid-stream, and run again."""
STALLS = "stalls"
"""With random stalls on every stream."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One pass of one product through the array."""

    product: int
    """Index into the products."""
    scenario: str
    stalls: float
    """Probability, per stream and cycle, that the bench does not offer a beat or does not take one."""
    seed: int


@dataclass(frozen=True, kw_only=True)
class Vectors:
    """What the bench is to do."""

    products: list[MatrixProduct]
    runs: list[Run]
    digest: str


def save_vectors(
    path: Path, spec: HardwareSpec, products: Sequence[MatrixProduct], runs: Sequence[Run]
) -> str:
    """Write ``path`` (JSON) and the npz beside it; returns the digest, which the results must repeat."""
    tensors: dict[str, Any] = {}
    for index, product in enumerate(products):
        tensors[f"{index}.act"] = product.act.astype(np.uint16)
        tensors[f"{index}.weight"] = product.weight.astype(np.uint16)
        if product.residual is not None:
            tensors[f"{index}.residual"] = product.residual
        if product.scale is not None:
            tensors |= {f"{index}.{name}": values for name, values in product.scale.columns.items()}
            if isinstance(product.scale, Scale):
                tensors[f"{index}.limit"] = np.array(product.scale.limit)
    npz = path.with_suffix(".npz")
    with atomic_path(npz) as temporary, temporary.open("wb") as file:
        np.savez(file, **tensors)
    document = seal(
        {
            "hardware_digest": spec.digest,
            "npz_sha256": hashlib.sha256(npz.read_bytes()).hexdigest(),
            "products": [{"name": product.name, "mode_bits": product.mode_bits} for product in products],
            "runs": [asdict(run) for run in runs],
        }
    )
    write_json(path, document)
    return str(document["digest"])


def load_vectors(path: Path, spec: HardwareSpec) -> Vectors:
    """What ``save_vectors`` wrote for ``spec``.

    Raises:
        InputError: a file is missing or damaged, or the products are for other hardware.
    """
    document = read_json(path)
    body = unseal(document, name=str(path))
    if body["hardware_digest"] != spec.digest:
        raise InputError(
            f"{path}: is for hardware {body['hardware_digest'][:12]}..., "
            f"but {spec.name} is {spec.digest[:12]}..."
        )
    npz = path.with_suffix(".npz")
    if read(npz, lambda: hashlib.sha256(npz.read_bytes()).hexdigest()) != body["npz_sha256"]:
        raise InputError(f"{npz}: its SHA-256 is not the one that {path.name} names: edited or damaged")

    def load() -> dict[str, Any]:
        with np.load(npz, allow_pickle=False) as archive:
            return {key: archive[key].astype(np.int64) for key in archive.files}

    tensors = read(npz, load)
    products = [_product(index, tensors, **named) for index, named in enumerate(body["products"])]
    runs = [Run(**run) for run in body["runs"]]
    return Vectors(products=products, runs=runs, digest=document["digest"])


def _product(index: int, tensors: dict[str, Any], *, name: str, mode_bits: int | None) -> MatrixProduct:
    scale: Scale | Thresholds | None = None
    if f"{index}.thresholds" in tensors:
        scale = Thresholds(thresholds=tensors[f"{index}.thresholds"], sign=tensors[f"{index}.sign"])
    elif f"{index}.limit" in tensors:
        columns = {key: tensors[f"{index}.{key}"] for key in ("mult", "add", "shift", "residual_mult")}
        scale = Scale(**columns, limit=int(tensors[f"{index}.limit"]))
    return MatrixProduct(
        name=name,
        act=tensors[f"{index}.act"],
        weight=tensors[f"{index}.weight"],
        scale=scale,
        residual=tensors.get(f"{index}.residual"),
        mode_bits=mode_bits,
    )
