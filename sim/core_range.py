"""A part of a compiled network: some layers, whose operands are put into the buffer from outside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from pact_hw.compiler import Compiled
from pact_hw.errors import InputError
from pact_hw.golden.matmul import Int64
from pact_hw.spec import NetworkSpec
from pact_hw.spec.network import INPUT
from pact_hw.spec.program import (
    FIELDS,
    TRANSFER_FIELDS,
    TRANSFER_WORDS,
    WORD_BITS,
    WORDS,
    Destination,
    encode,
)
from pact_hw.spec.registers import BASE_ALIGNMENT


@dataclass(frozen=True, kw_only=True)
class Part:
    """Layers ``first`` to ``last`` of a network, compiled to run on their own."""

    compiled: Compiled
    transfers_offset: int
    """Of the transfer list, in the model's bytes."""
    operands: tuple[str, ...]
    """Layers whose outputs must be in the buffer, in the order of the input's bytes; ``input`` too."""

    def input_bytes(self, values: Mapping[str, Int64]) -> bytes:
        """What lies at the input address; ``values`` holds the levels (C x Y x X) of the operands."""
        compiled = self.compiled
        image = INPUT in self.operands
        data = bytearray(compiled.input_bytes(values[INPUT]) if image else compiled.memory_bytes)
        for name in self.operands:
            if name == INPUT:
                continue
            packed = _operand_bytes(compiled, name, values[name])
            line = compiled.placements[name].line * compiled.word_bytes
            for top, end, address in compiled.memory.get(name, ()):
                data[address : address + (end - top) * line] = packed[top * line : end * line]
            if name not in compiled.memory:
                data += packed
        return bytes(data)


def whole(compiled: Compiled) -> Part:
    """All layers."""
    return Part(compiled=compiled, transfers_offset=0, operands=(INPUT,))


def part(network: NetworkSpec, compiled: Compiled, first: str | None, last: str | None) -> Part:
    """The layers from ``first`` to ``last`` (None: from the beginning, to the end).

    Raises:
        InputError: there is no such layer, or ``last`` comes before ``first``.
    """
    names = [layer.name for layer in network.layers]
    for name in (first, last):
        if name is not None and name not in names:
            raise InputError(f"layers: {name!r} is not one of {', '.join(names)}")
    begin = 0 if first is None else names.index(first)
    end = len(names) if last is None else names.index(last) + 1
    if end <= begin:
        raise InputError(f"layers: {last!r} comes before {first!r}")
    if (begin, end) == (0, len(names)):
        return whole(compiled)
    layers = network.layers[begin:end]
    made = {layer.name for layer in layers}
    read = [name for layer in layers for name in (layer.source, layer.residual, *layer.concat) if name]
    operands = tuple(name for name in (INPUT, *names) if name in set(read) - made)
    return _cut(compiled, begin, end, operands)


def _cut(compiled: Compiled, begin: int, end: int, operands: tuple[str, ...]) -> Part:
    reports = compiled.layers[begin:end]
    first, stop = reports[0].operations[0], reports[-1].operations[-1] + 1
    operations = [dict(fields) for fields in compiled.operations[first:stop]]
    source, moved = compiled.memory_bytes, []
    # From the beginning the image comes as it always does; what comes in strips does so anyhow.
    for name in operands if begin else ():
        if name in compiled.memory:
            continue
        place = compiled.placements[name]
        moved.append(
            _transfer(Destination.ACTIVATIONS, place.words, 0 if name == INPUT else source, place.base)
        )
        source += 0 if name == INPUT else place.words * compiled.word_bytes
    program = _transfer(Destination.PROGRAM, (len(operations) + 1) * WORDS, len(compiled.model), 0)
    transfers = [program, *moved]
    kept = [0]
    """How many of the first so many transfers are kept."""
    # Constants may be shared, and lie where earlier ones lay: those before them come too, in order.
    constants = max(fields["after_transfers"] for fields in operations)
    for transfer, reader in zip(compiled.transfers, compiled.readers, strict=True):
        destination = transfer["destination"]
        keep = destination != Destination.PROGRAM and first <= reader < stop
        keep |= destination == Destination.CONSTANTS and len(kept) <= constants
        if keep:
            after = max(0, transfer["after_operations"] - first)
            transfers.append({**transfer, "after_operations": after})
        kept.append(kept[-1] + keep)
    for fields in operations:
        fields["after_transfers"] = 1 + len(moved) + kept[fields["after_transfers"]]
    model = compiled.model + _aligned(_program(compiled, operations))
    offset = len(model)
    model += b"".join(_words(encode(TRANSFER_FIELDS, t, TRANSFER_WORDS), 4) for t in transfers)
    to_the_end = end == len(compiled.layers)

    def behind(numbers: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(number - first for number in numbers)

    return Part(
        compiled=replace(
            compiled,
            operations=tuple(operations),
            transfers=tuple(transfers),
            model=model,
            layers=tuple(replace(report, operations=behind(report.operations)) for report in reports),
            pieces={
                report.name: tuple(
                    replace(piece, operations=behind(piece.operations))
                    for piece in compiled.pieces[report.name]
                )
                for report in reports
                if report.name in compiled.pieces
            },
            logits=compiled.logits if to_the_end else replace(compiled.logits, rows=()),
        ),
        transfers_offset=offset,
        operands=operands,
    )


def _transfer(destination: Destination, words: int, source: int, address: int) -> dict[str, int]:
    return {
        "destination": int(destination),
        "after_operations": 0,
        "address": address,
        "words": words,
        "source": source,
    }


def _bytes(compiled: Compiled, bits: int) -> int:
    bus = compiled.core.bus_bits
    return -(-bits // bus) * bus // 8


def _words(words: list[int], size: int) -> bytes:
    return b"".join(word.to_bytes(size, "little") for word in words)


def _aligned(data: bytes) -> bytes:
    return data + bytes(-len(data) % BASE_ALIGNMENT)


def _program(compiled: Compiled, operations: list[dict[str, int]]) -> bytes:
    words = [word for fields in operations for word in encode(FIELDS, fields, WORDS)] + [0] * WORDS
    return _words(words, _bytes(compiled, WORD_BITS))


def _operand_bytes(compiled: Compiled, name: str, levels: Int64) -> bytes:
    """A tensor as the bus brings it: each word in whole beats."""
    place = compiled.placements[name]
    bits = place.act_bits
    codes = np.zeros((place.height, place.width, place.groups * place.word_channels), dtype=np.int64)
    border = (place.border, place.border)
    codes[:, :, list(place.slots)] = np.pad(np.moveaxis(levels, 0, -1), (border, border, (0, 0))) - place.low
    words = place.pack(codes)
    each = (words[..., None] >> np.arange(bits) & 1).astype(np.uint8).reshape(len(words), -1)
    packed = np.packbits(each, axis=1, bitorder="little")
    size = compiled.word_bytes
    return np.pad(packed, ((0, 0), (0, size - packed.shape[1]))).tobytes()
