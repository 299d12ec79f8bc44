"""An integer network on disk: the sealed ``network.json``, and its tensors in ``weights.npz``.

The JSON holds the structure and the SHA-256 of every tensor; so nobody works on tensors that are
not the ones that were converted.
"""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import InputError
from .files import atomic_path, read, read_json, write_json
from .spec import LayerKind, LayerSpec, NetworkSpec, RequantiserSpec, seal, signed_bits, unseal

NETWORK = "network.json"
WEIGHTS = "weights.npz"

Arrays = dict[str, npt.NDArray[np.int64]]


def expected_tensors(layer: LayerSpec) -> dict[str, tuple[tuple[int, ...], int, int]]:
    """Shape, lowest and highest value of each of ``layer``'s tensors, by full name."""
    n, k = layer.out_channels, layer.kernel
    weight: tuple[int, ...] = (
        (n, layer.in_channels, k, k) if layer.kind is LayerKind.CONV else (n, layer.in_channels)
    )
    tensors: dict[str, tuple[tuple[int, ...], int, int]] = {"weight": (weight, 0, layer.weight.levels)}
    if layer.out is not None:  # the ranges are those of the widest RequantiserSpec
        tensors["mult"] = ((n,), -(1 << 47), (1 << 47) - 1)
        tensors["add"] = ((n,), -(1 << 61), (1 << 61) - 1)
        tensors["shift"] = ((n,), 0, 60)
        if layer.residual is not None:
            tensors["residual_mult"] = tensors["mult"]
    return {f"{layer.name}.{name}": value for name, value in tensors.items()}


def required_requantiser(network: NetworkSpec, tensors: Arrays) -> RequantiserSpec:
    """The narrowest requantiser that holds every layer's constants and levels."""

    def values(*names: str) -> list[int]:
        """The lowest and the highest of the tensors of these kinds, and 0."""
        found = [tensor for name, tensor in tensors.items() if name.rpartition(".")[2] in names]
        return [0, *(int(bound) for tensor in found for bound in (tensor.min(), tensor.max()))]

    def bits(*names: str) -> int:
        return max(2, signed_bits(min(values(*names)), max(values(*names))))

    return RequantiserSpec(
        mult_bits=bits("mult", "residual_mult"),
        add_bits=bits("add"),
        max_shift=max(values("shift")),
        level_bits=max((x.out.bits for x in network.layers if x.out), default=1),
        residual_bits=max((x.residual_act.bits for x in network.layers if x.residual_act), default=1),
    )


def _digest(tensor: npt.NDArray[np.int64]) -> str:
    """SHA-256 of the values as little-endian 64-bit integers, row-major."""
    return hashlib.sha256(np.ascontiguousarray(tensor, dtype="<i8").tobytes()).hexdigest()


def _check(network: NetworkSpec, tensors: Arrays, where: str) -> None:
    """Refuse tensors that are not exactly what ``network`` needs."""
    expected = {name: e for layer in network.layers for name, e in expected_tensors(layer).items()}
    if difference := tensors.keys() ^ expected.keys():
        raise InputError(f"{where}: tensor {min(difference)!r} is missing or does not belong to the network")
    for name, (shape, low, high) in expected.items():
        tensor = tensors[name]
        if tensor.shape != shape:
            raise InputError(f"{where}: tensor {name!r} has shape {tensor.shape}, expected {shape}")
        if not low <= tensor.min() <= tensor.max() <= high:
            raise InputError(f"{where}: tensor {name!r} has values outside {low}..{high}")


def save_network(folder: Path, network: NetworkSpec, tensors: Arrays) -> None:
    """Write ``weights.npz``, then ``network.json``, each atomically."""
    _check(network, tensors, str(folder / WEIGHTS))
    with atomic_path(folder / WEIGHTS) as path:
        np.savez_compressed(path, allow_pickle=False, **{name: tensors[name] for name in sorted(tensors)})
    body: dict[str, Any] = {
        "network": network.to_json(),
        "network_digest": network.digest,
        "tensors_sha256": {name: _digest(tensor) for name, tensor in sorted(tensors.items())},
    }
    write_json(folder / NETWORK, seal(body))


def _read_tensors(path: Path, network: NetworkSpec) -> Arrays:
    expected = {name: e for layer in network.layers for name, e in expected_tensors(layer).items()}
    with zipfile.ZipFile(path) as archive:  # nothing larger than expected is unpacked
        for member in archive.infolist():
            shape = expected.get(member.filename.removesuffix(".npy"), ((0,), 0, 0))[0]
            if member.file_size > 8 * int(np.prod(shape, dtype=object)) + 4096:
                raise InputError(f"{path}: {member.filename!r} is too large or is not the network's")
    with np.load(path, allow_pickle=False) as archive:
        tensors = {name: archive[name] for name in archive.files}
    for name, tensor in tensors.items():
        if tensor.dtype != np.int64:
            raise InputError(f"{path}: tensor {name!r} is {tensor.dtype}, expected int64")
    return tensors


def load_network(folder: Path) -> tuple[NetworkSpec, Arrays]:
    """The network and its tensors in ``folder``, every shape, range and digest checked.

    Raises:
        InputError: a file is missing, damaged, or was edited since the conversion.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    manifest, weights = folder / NETWORK, folder / WEIGHTS
    body = unseal(read_json(manifest), name=str(manifest))
    try:
        network = NetworkSpec.from_json(body["network"])
        digests = dict(body["tensors_sha256"])
    except InputError as error:
        raise InputError(f"{manifest}: {error}") from None
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{manifest}: {type(error).__name__}: {error}") from None
    tensors = read(weights, lambda: _read_tensors(weights, network))
    _check(network, tensors, str(weights))
    for name, tensor in tensors.items():
        if digests.get(name) != _digest(tensor):
            raise InputError(f"{weights}: tensor {name!r} was edited since the conversion; convert again")
    return network, tensors
