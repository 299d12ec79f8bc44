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
from .golden.offset import offset_add
from .spec import (
    LayerKind,
    LayerSpec,
    NetworkSpec,
    RequantiserKind,
    RequantiserSpec,
    seal,
    signed_bits,
    unseal,
)
from .spec.network import INPUT

NETWORK = "network.json"
WEIGHTS = "weights.npz"

Arrays = dict[str, npt.NDArray[np.int64]]


Expected = dict[str, tuple[tuple[int, ...], int, int]]
"""Shape, lowest and highest value of each tensor, by full name."""

_MULT = (-(1 << 55), (1 << 55) - 1)  # the ranges are those of the widest RequantiserSpec
_ADD = (-(1 << 61), (1 << 61) - 1)


def expected_tensors(layer: LayerSpec) -> Expected:
    """What ``layer`` needs."""
    n, k = layer.out_channels, layer.kernel
    tensors: Expected = {}
    if layer.weight is not None:
        per_group = layer.in_channels // layer.groups
        shape = (n, per_group, k, k) if layer.kind is LayerKind.CONV else (n, per_group)
        tensors["weight"] = (shape, 0, layer.weight.levels)
    if layer.bias_shift is not None:
        tensors["add"] = ((n,), *_ADD)
    if layer.requantised and layer.out is not None:
        if layer.requantiser is RequantiserKind.THRESHOLD:
            rows = 1 if layer.residual_act is None else layer.residual_act.max - layer.residual_act.min + 1
            tensors["thresholds"] = ((n, rows, layer.out.max - layer.out.min), *_ADD)
            tensors["sign"] = ((n,), -1, 1)
        else:
            tensors |= {"mult": ((n,), *_MULT), "add": ((n,), *_ADD), "shift": ((n,), 0, 60)}
            if layer.residual is not None:
                tensors["residual_mult"] = tensors["mult"]
    return {f"{layer.name}.{name}": value for name, value in tensors.items()}


def _all_expected(network: NetworkSpec) -> Expected:
    expected = {name: e for layer in network.layers for name, e in expected_tensors(layer).items()}
    if network.pixel_bits is not None:
        table = (network.input_channels, 1 << network.pixel_bits)
        expected[f"{INPUT}.levels"] = (table, network.input_act.min, network.input_act.max)
    return expected


def required_requantiser(network: NetworkSpec, tensors: Arrays) -> RequantiserSpec:
    """The narrowest requantiser that holds every layer's constants and levels.

    Signed levels are taken in offset binary, as unsigned hardware has them (``golden.offset``).
    """
    layers = [
        layer
        for layer in network.layers
        if layer.requantised and layer.requantiser is RequantiserKind.MULTIPLY_SHIFT
    ]

    def values(*names: str) -> list[int]:
        """The lowest and the highest of the tensors of these kinds, and 0."""
        named = [f"{layer.name}.{name}" for layer in layers for name in names]
        found = [tensors[name] for name in named if name in tensors]
        return _bounds(found)

    def bits(bounds: list[int]) -> int:
        return max(2, signed_bits(min(bounds), max(bounds)))

    return RequantiserSpec(
        mult_bits=bits(values("mult", "residual_mult")),
        add_bits=bits(_bounds([offset_add(layer, tensors) for layer in layers])),
        max_shift=max(values("shift")),
        level_bits=max((x.out.bits for x in layers if x.out), default=1),
        residual_bits=max((x.residual_act.bits for x in layers if x.residual_act), default=1),
    )


def _bounds(found: list[npt.NDArray[np.int64]]) -> list[int]:
    return [0, *(int(bound) for tensor in found for bound in (tensor.min(), tensor.max()))]


def _digest(tensor: npt.NDArray[np.int64]) -> str:
    """SHA-256 of the values as little-endian 64-bit integers, row-major."""
    return hashlib.sha256(np.ascontiguousarray(tensor, dtype="<i8").tobytes()).hexdigest()


def _check(network: NetworkSpec, tensors: Arrays, where: str) -> None:
    """Refuse tensors that are not exactly what ``network`` needs."""
    expected = _all_expected(network)
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
        # Integers only (checked above), so that nothing is pickled; numpy before 2.2 has no way to say so.
        arrays: Any = {name: tensors[name] for name in sorted(tensors)}
        np.savez_compressed(path, **arrays)
    body: dict[str, Any] = {
        "network": network.to_json(),
        "network_digest": network.digest,
        "tensors_sha256": {name: _digest(tensor) for name, tensor in sorted(tensors.items())},
    }
    write_json(folder / NETWORK, seal(body))


def _read_tensors(path: Path, network: NetworkSpec) -> Arrays:
    expected = _all_expected(network)
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
