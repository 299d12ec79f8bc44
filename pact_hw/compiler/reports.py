"""What is said of a compiled network: a line a layer, and what the host makes of the results."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from ..golden.network import Tensors
from ..golden.offset import weight_sums
from ..spec import NetworkSpec
from ..spec.core import CoreSpec
from ..spec.core_schedule import operation_cycles
from ..spec.network import INPUT
from ..spec.program import Destination, Opcode
from .compiled import LayerReport, Logits
from .model import Model
from .residence import Residence
from .work import Store, Work


def layer_reports(
    network: NetworkSpec,
    core: CoreSpec,
    residence: Residence,
    model: Model,
    works: Sequence[Work | Store],
    steps: Sequence[int],
    operations: Sequence[dict[str, int]],
) -> Iterator[LayerReport]:
    """Each layer as it was compiled; ``steps`` are those that the operations belong to."""
    own: dict[str, list[int]] = defaultdict(list)
    for index, work in enumerate(works):
        own[work.layer].append(index)
    data: dict[str, int] = defaultdict(int)
    loaded: dict[str, int] = defaultdict(int)
    from_image: dict[str, int] = defaultdict(int)
    word = model.word_bytes(core.word_bits)
    sizes = {
        Destination.WEIGHTS: model.word_bytes(core.weight_word_bits),
        Destination.CONSTANTS: model.word_bytes(core.constant_word_bits),
        Destination.ACTIVATIONS: word,
    }
    image = residence.placements[INPUT].words * word
    for transfer, reader in zip(model.transfers, model.readers, strict=True):
        destination = Destination(transfer["destination"])
        if destination is Destination.PROGRAM:
            continue
        size, reads = transfer["words"] * sizes[destination], works[reader].layer
        data[reads] += size
        if destination is Destination.ACTIVATIONS:
            (from_image if transfer["source"] < image else loaded)[reads] += size
    # What the image brings again: lines that two strips read, or another layer.
    for layer in network.layers:
        loaded[layer.name] += max(0, from_image[layer.name] - image)
        image = max(0, image - from_image[layer.name])
    for layer in network.layers:
        mine = own[layer.name]
        computed = [work for i in mine if isinstance(work := works[i], Work)]
        cycles = sum(operation_cycles(core, operations[i]) for i in mine)
        slots = sum(_slice_macs(work) for work in computed)
        yield LayerReport(
            name=layer.name,
            operations=tuple(mine),
            macs=sum(work.macs for work in computed),
            cycles=cycles,
            slice_macs=slots,
            utilisation=slots / (cycles * core.array.macs_per_cycle),
            bytes_in=data[layer.name],
            loaded_bytes=loaded[layer.name],
            stored_bytes=sum(operations[i]["words"] for i in mine) * word,
            words=max(live_words(residence, steps[i]) for i in mine),
        )


def live_words(residence: Residence, step: int) -> int:
    """Words of the activation buffer that are in use during a step."""
    return sum(life.words for life in residence.lives.values() if life.first <= step <= life.last)


def _slice_macs(work: Work) -> int:
    """Useful MACs, each as often as it has pairs of slices; of a narrow mode several make a wide one."""
    wide = 1 if work.mode is None else work.mode.beat_parts**2
    return work.macs * work.act_slices * work.weight_slices // wide


def logits_of(
    network: NetworkSpec,
    tensors: Tensors,
    residence: Residence,
    works: Sequence[Work | Store],
    operations: Sequence[dict[str, int]],
) -> Logits:
    """Where the results of the last layer lie, and what they mean."""
    layer = network.layers[-1]
    rows = [
        (work.first_n + n, work.top + y, work.left + x)
        for work, fields in zip(works, operations, strict=True)
        if isinstance(work, Work) and work.layer == layer.name
        for n, y, x in result_order(fields)
    ]
    add = tensors[f"{layer.name}.add"].tolist() if layer.bias_shift is not None else [0]
    return Logits(
        slots=residence.placements[layer.name].slots,
        shape=network.shapes[layer.name],
        rows=tuple(rows),
        offset=tuple((layer.act.min * weight_sums(layer, tensors)).tolist()),
        shift=layer.bias_shift or 0,
        add=tuple(add),
    )


def result_order(fields: dict[str, int]) -> Iterator[tuple[int, int, int]]:
    """n-tile, line and pixel of every row of results of a raw operation, in order."""
    f = fields
    if f["opcode"] != Opcode.MATRIX:
        for y, x, n in np.ndindex(f["tiles_y"], f["tiles_x"], f["n_tiles"]):
            yield n, y, x
        return
    loops = ("tiles_y", "tiles_x", "n_tiles", "block_y", "block_x", "grid_y", "grid_x")
    for ty, tx, n, by, bx, gy, gx in np.ndindex(*(f[name] for name in loops)):
        y = (ty * f["grid_y"] + gy) * f["block_y"] + by
        x = (tx * f["grid_x"] + gx) * f["block_x"] + bx
        if y < f["out_height"] and x < f["out_width"]:
            yield n, y, x
