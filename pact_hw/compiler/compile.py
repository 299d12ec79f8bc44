"""From a network and a core to a program."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from ..errors import InputError
from ..golden.network import Tensors
from ..spec import NetworkSpec
from ..spec.core import RESULT_BITS, CoreSpec
from ..spec.program import FIELDS, WORDS, encode
from .as_products import as_products
from .compiled import Compiled, Piece
from .fields import operation_fields, store_fields
from .limits import check_fields
from .lowering import lower
from .model import Model
from .plan import plan
from .reports import layer_reports, logits_of, result_order
from .residence import Residence, reside
from .tiling import Tiling
from .work import Load, Store, Work


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
    digest = network.digest
    network, tensors = as_products(network, tensors, core.array)
    lowered = lower(network, tensors, core)
    residence = reside(lowered, network, core)
    program = _Program(residence, core, bus_limited)
    image = program.model.image(program.operations)
    names = [layer.name for layer in network.layers]
    return Compiled(
        network_digest=digest,
        core=core,
        operations=tuple(program.operations),
        transfers=tuple(program.model.transfers),
        readers=tuple(program.model.readers),
        model=image,
        placements={name: residence.placements[name] for name in lowered.placements if name != names[-1]},
        pieces={name: tuple(program.pieces(name)) for name in names[:-1]},
        image=lowered.image,
        memory={
            name: tuple((*lines, address) for lines, address, _ in strips)
            for name, strips in residence.memory.items()
        },
        memory_bytes=residence.memory_bytes,
        activation_words=residence.words,
        logits=logits_of(network, tensors, residence, program.works, program.operations),
        layers=tuple(
            layer_reports(
                network, core, residence, program.model, program.works, program.steps, program.operations
            )
        ),
    )


class _Program:
    """Operations and transfers of a network whose tensors have their places."""

    def __init__(self, residence: Residence, core: CoreSpec, bus_limited: bool) -> None:
        self._residence, self._core = residence, core
        self.model = Model(core)
        self.works: list[Work | Store] = []
        self.steps: list[int] = []
        """Of each operation: the step that it belongs to."""
        tilings: list[Tiling | None] = []
        self._ends: list[int] = []
        """Of each step: the operation behind its last."""
        for number, step in enumerate(residence.steps):
            planned: list[tuple[Work | Store, Tiling | None]] = [(step.work, None)]
            if isinstance(step.work, Work):
                planned = [*plan(step.work, residence.placements, core, bus_limited=bus_limited)]
            self.works += [work for work, _ in planned]
            tilings += [tiling for _, tiling in planned]
            self.steps += [number] * len(planned)
            self._ends.append(len(self.works))
        self.model.reserve_program(len(self.works))
        self._result_bytes = 0
        self.operations = [
            self._operation(index, work, tiling)
            for index, (work, tiling) in enumerate(zip(self.works, tilings, strict=True))
        ]

    def _operation(self, index: int, work: Work | Store, tiling: Tiling | None) -> dict[str, int]:
        """The fields of operation ``index``; before, what it needs is brought."""
        model, core = self.model, self._core
        placements = self._residence.placements
        step = self.steps[index]
        if index == 0 or self.steps[index - 1] != step:
            for load in self._residence.steps[step].loads:
                model.activations(load, placements[load.tensor].base, self._after(load), index)
        if isinstance(work, Store):
            fields = store_fields(work, placements, core, after_transfers=model.ready)
        else:
            constants = model.constants(work, index)
            after = model.ready
            if tiling is not None:
                model.weights(work, tiling.weight_reads, index)
            fields = operation_fields(
                work, tiling, placements, core, constants=constants, after_transfers=after,
                memory=self._result_bytes if work.out is None else 0,
            )  # fmt: skip
            if work.out is None:
                row_bytes = model.word_bytes(core.array.cols * RESULT_BITS)
                self._result_bytes += sum(1 for _ in result_order(fields)) * row_bytes
        try:
            encode(FIELDS, fields, WORDS)
        except InputError as error:
            raise InputError(f"layer {work.layer!r}: {error}") from None
        check_fields(work.layer, fields, core)
        return fields

    def _after(self, load: Load) -> int:
        """Operations that must have ended: those that use its place, or store what it brings."""
        lives, placements = self._residence.lives, self._residence.placements
        life, base = lives[load.tensor], placements[load.tensor].base
        before = [
            other.last
            for name, other in lives.items()
            if other.last < life.first
            and placements[name].base < base + life.words
            and base < placements[name].base + other.words
        ]
        if load.stored is not None:
            before.append(load.stored)
        return max((self._ends[step] for step in before), default=0)

    def pieces(self, layer: str) -> Iterator[Piece]:
        """What ``layer`` writes: all of its result, or strip by strip."""
        writers = defaultdict(list)
        for index, work in enumerate(self.works):
            if isinstance(work, Work) and work.layer == layer:
                writers[work.written, work.target_top].append(index)
        for (tensor, top), operations in writers.items():
            place = self._residence.placements[tensor]
            yield Piece(placement=place, top=top, operations=tuple(operations))
