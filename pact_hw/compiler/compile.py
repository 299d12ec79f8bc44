"""From a network and a core to a program."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ..errors import InputError
from ..golden.network import Tensors
from ..golden.offset import weight_sums
from ..spec import NetworkSpec
from ..spec.core import CoreSpec
from ..spec.core_schedule import operation_cycles
from ..spec.network import INPUT
from ..spec.program import FIELDS, WORDS, Opcode, encode
from .allocation import Life, allocate
from .compiled import Compiled, LayerReport, Logits
from .fields import operation_fields
from .limits import HINT
from .lowering import lower
from .model import Model
from .placement import Placement
from .plan import plan
from .strips import ODD_STRIPS
from .work import Work


def compile_network(
    network: NetworkSpec, tensors: Tensors, core: CoreSpec, *, bus_limited: bool = True
) -> Compiled:
    """``network`` as a program for ``core``; the same every time.

    Tiles are chosen so that the larger of cycles and bus beats is least; with ``bus_limited`` False the
    cycles alone, as if memory were infinitely fast.

    Raises:
        InputError: the network does not fit the core; the message names the layer, what it needs, and
            what there is.
    """
    return _Compiler(network, tensors, core, bus_limited).compiled()


class _Compiler:
    def __init__(self, network: NetworkSpec, tensors: Tensors, core: CoreSpec, bus_limited: bool) -> None:
        self._network, self._tensors, self._core = network, tensors, core
        lowered = lower(network, tensors, core)
        planned = [
            piece
            for work in lowered.works
            for piece in plan(work, lowered.placements, core, bus_limited=bus_limited)
        ]
        self._works = [work for work, _ in planned]
        self._tilings = [tiling for _, tiling in planned]
        self._lives = _lives(self._works, lowered.placements, network)
        self._bases = self._allocated()
        self._placements = {
            name: replace(place, base=self._bases.get(name, 0)) for name, place in lowered.placements.items()
        }
        self._image = lowered.image

    def _allocated(self) -> dict[str, int]:
        need, bases = allocate(self._lives)
        if need > self._core.activation_words:
            index = max(range(len(self._works)), key=self._live_words)
            raise InputError(
                f"layer {self._works[index].layer!r}: {self._live_words(index)} activation words are in use "
                f"while it runs, {need} are needed in all, the core has activation_words "
                f"{self._core.activation_words}: {HINT}"
            )
        return bases

    def _live_words(self, operation: int) -> int:
        """Activation words in use while an operation runs."""
        return sum(life.words for life in self._lives.values() if life.first <= operation <= life.last)

    def compiled(self) -> Compiled:
        """Everything."""
        model = Model(self._core)
        model.reserve_program(len(self._works))
        self._bring_strip(model, 0)
        operations = []
        for index, (work, tiling) in enumerate(zip(self._works, self._tilings, strict=True)):
            constants = model.constants(work, index)
            after = model.ready
            if tiling is not None:
                model.weights(work, tiling.weight_reads)
            if index == 0 or work.strip > self._works[index - 1].strip:
                self._bring_strip(model, work.strip + 1)
            fields = operation_fields(
                work, tiling, self._placements, self._core, constants=constants, after_transfers=after
            )
            try:
                encode(FIELDS, fields, WORDS)
            except InputError as error:
                raise InputError(f"layer {work.layer!r}: {error}") from None
            operations.append(fields)
        image = model.image(operations)
        return Compiled(
            network_digest=self._network.digest,
            core=self._core,
            operations=tuple(operations),
            transfers=tuple(model.transfers),
            model=image,
            placements={name: self._placements[name] for name in self._bases},
            image=self._image,
            logits=self._logits(operations),
            layers=tuple(self._reports(operations, model)),
        )

    def _bring_strip(self, model: Model, strip: int) -> None:
        """Bring a strip of the image, if there is one, when the one whose place it takes is used up."""
        image = self._image
        if strip >= image.strips:
            return
        place = self._placements[ODD_STRIPS if strip % 2 else INPUT]
        lines = min(image.lines, image.placement.height - strip * image.lines)
        readers = [
            index
            for index, work in enumerate(self._works)
            if work.source.tensor in (INPUT, ODD_STRIPS) and work.strip == strip - 2
        ]
        source = strip * image.lines * place.line * model.word_bytes(self._core.word_bits)
        model.strip(lines * place.line, place.base, source, max(readers, default=-1) + 1)

    def _logits(self, operations: list[dict[str, int]]) -> Logits:
        layer = self._network.layers[-1]
        rows = [
            (work.first_n + n, work.top + y, work.left + x)
            for work, fields in zip(self._works, operations, strict=True)
            if work.layer == layer.name
            for n, y, x in result_order(fields)
        ]
        add = self._tensors[f"{layer.name}.add"].tolist() if layer.bias_shift is not None else [0]
        return Logits(
            slots=self._placements[layer.name].slots,
            shape=self._network.shapes[layer.name],
            rows=tuple(rows),
            offset=tuple((layer.act.min * weight_sums(layer, self._tensors)).tolist()),
            shift=layer.bias_shift or 0,
            add=tuple(add),
        )

    def _reports(self, operations: list[dict[str, int]], model: Model) -> Iterator[LayerReport]:
        core, of_layer = self._core, defaultdict(list)
        for index, work in enumerate(self._works):
            of_layer[work.layer].append(index)
        weight, constant, word = (
            model.word_bytes(bits)
            for bits in (core.weight_word_bits, core.constant_word_bits, core.word_bits)
        )
        for layer in self._network.layers:
            mine = of_layer[layer.name]
            cycles = sum(operation_cycles(core, operations[i]) for i in mine)
            macs = sum(self._works[i].macs for i in mine)
            slots = sum(_slice_macs(self._works[i]) for i in mine)
            data = 0
            for i in mine:
                work, tiling = self._works[i], self._tilings[i]
                fresh = work.constants is not None and work.constants is not self._works[i - 1].constants
                data += work.n_tiles * constant if fresh else 0
                data += tiling.weight_reads * work.tile_weights * work.n_tiles * weight if tiling else 0
                data += self._image.placement.words * word if i == 0 else 0
            yield LayerReport(
                name=layer.name,
                operations=tuple(mine),
                macs=macs,
                cycles=cycles,
                slice_macs=slots,
                utilisation=slots / (cycles * core.array.macs_per_cycle),
                bytes_in=data,
                words=max(self._live_words(i) for i in mine),
            )


def _slice_macs(work: Work) -> int:
    """Useful MACs, each as often as it has pairs of slices; of a narrow mode several make a wide one."""
    wide = 1 if work.mode is None else work.mode.beat_parts**2
    return work.macs * work.act_slices * work.weight_slices // wide


def _lives(works: list[Work], placements: dict[str, Placement], network: NetworkSpec) -> dict[str, Life]:
    """From the operation that writes a tensor to the last one that reads it."""
    first, last = {INPUT: 0, ODD_STRIPS: 0}, {INPUT: 0, ODD_STRIPS: 0}
    for index, work in enumerate(works):
        first.setdefault(work.layer, index)
        for tensor in (work.layer, work.source.tensor, *([work.residual.tensor] if work.residual else [])):
            last[tensor] = index
    logits = network.layers[-1].name
    return {
        name: Life(place.words, first[name], last[name])
        for name, place in placements.items()
        if name != logits
    }


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
