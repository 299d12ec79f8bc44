"""A compiled network: what the core is given, and what the bench and the host must know."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..files import atomic_path, read, read_json, write_json
from ..golden.matmul import Int64
from ..spec import seal, unseal
from ..spec.core import RESULT_BITS, CoreSpec
from .image import Image
from .placement import Placement, placement_from_json, placement_to_json
from .weights import from_bytes, to_bits, to_bytes

DOCUMENT = "compiled.json"
MODEL = "model.bin"


@dataclass(frozen=True, kw_only=True)
class LayerReport:
    """One layer as it was compiled."""

    name: str
    operations: tuple[int, ...]
    macs: int
    cycles: int
    """Predicted, stalls aside."""
    utilisation: float
    """``slice_macs`` over what the array could have done in these cycles."""
    slice_macs: int
    """Useful MACs, each counted once for every pair of slices of its operands; in a narrow mode of a
    composable array so many once as make a product of the widest."""
    bytes_in: int
    """That the bus brings: weights and constants, the image, and what was stored."""
    loaded_bytes: int
    """Of these activations but the image's first bytes, each once: what did not stay in the buffer."""
    stored_bytes: int
    """Activations written to memory."""
    words: int
    """Activation words in use while it runs."""


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A layer's result in the activation buffer, or a strip of it, which lies there for a while."""

    placement: Placement
    top: int
    """Lines of the result above the strip."""
    operations: tuple[int, ...]
    """Those that write it; it is whole behind the last."""


@dataclass(frozen=True, kw_only=True)
class Logits:
    """What the host makes of the raw sums: ``(sum + offset) * 2**shift + add``."""

    slots: tuple[int, ...]
    shape: tuple[int, int, int]
    rows: tuple[tuple[int, int, int], ...]
    """Of each result row: n-tile, line, pixel."""
    offset: tuple[int, ...]
    shift: int
    add: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Compiled:
    """A network compiled for a core.

    ``model`` is the memory image, its ``transfers`` records first; all addresses in it are relative to
    where it is put, but for activations', which are relative to the input's.
    """

    network_digest: str
    core: CoreSpec
    operations: tuple[dict[str, int], ...]
    transfers: tuple[dict[str, int], ...]
    readers: tuple[int, ...]
    """Of each transfer: the operation for which it brings something, the first of several."""
    model: bytes
    placements: dict[str, Placement]
    """Of the input, and of every layer but the last; those in ``memory`` have no place of their own."""
    pieces: dict[str, tuple[Piece, ...]]
    """What every layer but the last writes into the buffer, from the top."""
    memory: dict[str, tuple[tuple[int, int, int], ...]]
    """Of each tensor that comes from memory in strips: first line, end, bytes from the input's address."""
    memory_bytes: int
    """From the input's address: the image, and what is stored."""
    activation_words: int
    """Words of the activation buffer that are used."""
    image: Image
    logits: Logits
    layers: tuple[LayerReport, ...]

    @property
    def cycles(self) -> int:
        """Predicted cycles of all operations, stalls aside."""
        return sum(layer.cycles for layer in self.layers)

    @property
    def result_bytes(self) -> int:
        """Bytes that the core writes."""
        return len(self.logits.rows) * self._row_bytes

    @property
    def _row_bytes(self) -> int:
        bus = self.core.bus_bits
        return -(-self.core.array.cols * RESULT_BITS // bus) * bus // 8

    @property
    def word_bytes(self) -> int:
        """Bytes in memory of a word of the activation buffer."""
        bus = self.core.bus_bits
        return -(-self.core.word_bits // bus) * bus // 8

    def input_bytes(self, levels: npt.NDArray[np.integer]) -> bytes:
        """What lies at the input address for an image of levels (C, Y, X), and room for what is stored."""
        bits = to_bits(self.image.words(levels), self.image.placement.act_bits)
        return to_bytes([bits], self.word_bytes).ljust(self.memory_bytes, b"\0")

    def decode(self, results: bytes) -> Int64:
        """The logits (N, OY, OX) in what the core wrote."""
        logits, cols = self.logits, self.core.array.cols
        rows = from_bytes(results[: self.result_bytes], self._row_bytes, RESULT_BITS, cols)
        rows = np.where(rows >> (RESULT_BITS - 1), rows - (1 << RESULT_BITS), rows)
        n_tiles = 1 + max(row[0] for row in logits.rows)
        sums = np.zeros((n_tiles, cols, *logits.shape[1:]), dtype=np.int64)
        for row, (n, y, x) in zip(rows, logits.rows, strict=True):
            sums[n, :, y, x] = row
        found = sums.reshape(-1, *logits.shape[1:])[list(logits.slots)]
        offset, add = (np.array(values).reshape(-1, 1, 1) for values in (logits.offset, logits.add))
        decoded: Int64 = ((found + offset) << logits.shift) + add
        return decoded

    @property
    def convolutions(self) -> float:
        """Utilisation of all layers with weights but the last."""
        layers = [layer for layer in self.layers[:-1] if layer.macs]
        cycles = sum(layer.cycles for layer in layers)
        return sum(layer.slice_macs for layer in layers) / max(1, cycles * self.core.array.macs_per_cycle)

    def summary(self) -> dict[str, Any]:
        """What a person wants to know, as plain JSON members."""
        return {
            "network_digest": self.network_digest,
            "core_digest": self.core.digest,
            "cycles": self.cycles,
            "convolutions": self.convolutions,
            "activation_words": self.activation_words,
            "model_bytes": len(self.model),
            "bytes_in": sum(layer.bytes_in for layer in self.layers),
            "loaded_bytes": sum(layer.loaded_bytes for layer in self.layers),
            "stored_bytes": sum(layer.stored_bytes for layer in self.layers),
            "memory_bytes": self.memory_bytes,
            "layers": [{**vars(layer), "operations": list(layer.operations)} for layer in self.layers],
        }

    def to_json(self) -> dict[str, Any]:
        """Everything but the model's bytes, as plain JSON members."""
        return {
            "network_digest": self.network_digest,
            "core": self.core.to_json(),
            "operations": list(self.operations),
            "transfers": list(self.transfers),
            "readers": list(self.readers),
            "placements": {name: placement_to_json(place) for name, place in self.placements.items()},
            "pieces": {
                name: [{**vars(piece), "placement": placement_to_json(piece.placement)} for piece in pieces]
                for name, pieces in self.pieces.items()
            },
            "memory": self.memory,
            "memory_bytes": self.memory_bytes,
            "activation_words": self.activation_words,
            "image": self.image.to_json(),
            "logits": vars(self.logits),
            "layers": [vars(layer) for layer in self.layers],
        }


def save_compiled(folder: Path, compiled: Compiled) -> None:
    """Write ``model.bin``, then the sealed ``compiled.json``, each atomically."""
    with atomic_path(folder / MODEL) as path:
        path.write_bytes(compiled.model)
    body = {**compiled.to_json(), "model_sha256": hashlib.sha256(compiled.model).hexdigest()}
    write_json(folder / DOCUMENT, seal(body))


def load_compiled(folder: Path) -> Compiled:
    """The compiled network in ``folder``.

    Raises:
        InputError: a file is missing, or was edited since it was compiled.
    """
    path = folder / DOCUMENT
    body = unseal(read_json(path), name=str(path))
    model = read(folder / MODEL, (folder / MODEL).read_bytes)
    try:
        if body["model_sha256"] != hashlib.sha256(model).hexdigest():
            raise InputError(f"{folder / MODEL}: was edited since it was compiled; compile it again")
        return Compiled(
            network_digest=body["network_digest"],
            core=CoreSpec.from_json(body["core"]),
            operations=tuple(body["operations"]),
            transfers=tuple(body["transfers"]),
            model=model,
            readers=tuple(body["readers"]),
            placements={name: placement_from_json(p) for name, p in body["placements"].items()},
            pieces={name: tuple(map(_piece, pieces)) for name, pieces in body["pieces"].items()},
            memory={name: tuple(tuple(strip) for strip in strips) for name, strips in body["memory"].items()},
            memory_bytes=body["memory_bytes"],
            activation_words=body["activation_words"],
            image=Image.from_json(body["image"]),
            logits=_logits(body["logits"]),
            layers=tuple(
                LayerReport(**{**layer, "operations": tuple(layer["operations"])}) for layer in body["layers"]
            ),
        )
    except InputError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: {type(error).__name__}: {error}") from None


def _piece(members: Mapping[str, Any]) -> Piece:
    return Piece(
        placement=placement_from_json(members["placement"]),
        top=members["top"],
        operations=tuple(members["operations"]),
    )


def _logits(members: Mapping[str, Any]) -> Logits:
    return Logits(
        slots=tuple(members["slots"]),
        shape=tuple(members["shape"]),
        rows=tuple(tuple(row) for row in members["rows"]),
        offset=tuple(members["offset"]),
        shift=members["shift"],
        add=tuple(members["add"]),
    )
