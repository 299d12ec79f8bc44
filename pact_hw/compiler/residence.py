"""Which tensors stay in the activation buffer, and which go to memory and come back in strips."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from ..errors import InputError
from ..spec import NetworkSpec
from ..spec.core import CoreSpec
from ..spec.network import INPUT
from ..spec.registers import BASE_ALIGNMENT
from .allocation import Life, allocate
from .limits import HINT
from .lowering import Lowered
from .placement import Placement
from .strip_heights import StripHeights, Strips
from .strips import Lines, cut, cut_lines, strip_name
from .work import Load, Step, Store, Work


class Stored(NamedTuple):
    """Lines of a tensor in memory."""

    lines: Lines
    address: int
    """Bytes behind the input's."""
    step: int | None
    """In which they are stored; none for the image."""


@dataclass(frozen=True)
class Residence:
    """A network's operations in order, and where everything lies that they read and write."""

    steps: list[Step]
    placements: dict[str, Placement]
    """Of every tensor, and of every strip of those in memory; the former then without an address."""
    lives: dict[str, Life]
    """In steps, of what lies in the activation buffer."""
    words: int
    """Of the activation buffer that are used."""
    memory: dict[str, list[Stored]]
    """Of each tensor that comes from memory in strips: where its lines lie there."""
    memory_bytes: int


def reside(lowered: Lowered, network: NetworkSpec, core: CoreSpec) -> Residence:
    """Everything in the activation buffer if it fits; else the largest tensors in memory, as many as must.

    A layer that reads or writes a tensor in memory is run in strips: so many lines of its result as there
    is room for, and where there is, the next strip's operands come while one is computed.

    Raises:
        InputError: not even a line of a layer's result at a time fits.
    """
    return _Planner(lowered, network, core).residence()


class _TooSmallError(Exception):
    """A layer does not fit.

    Attributes:
        layer: Its number.
        need: Words that it takes at least.
    """

    def __init__(self, layer: int, need: int) -> None:
        super().__init__()
        self.layer, self.need = layer, need


class _Planner:
    def __init__(self, lowered: Lowered, network: NetworkSpec, core: CoreSpec) -> None:
        self._core, self._image, self._placements = core, lowered.image, lowered.placements
        self._names = [layer.name for layer in network.layers]
        self._works: dict[str, list[Work]] = {name: [] for name in self._names}
        for work in lowered.works:
            self._works[work.layer].append(work)
        self._word_bytes = -(-core.word_bits // core.bus_bits) * core.bus_bits // 8
        self._touched = {name: list(dict.fromkeys(self._tensors(name))) for name in self._names}
        self._spans = {INPUT: (0, 0)}
        for index, name in enumerate(self._names):
            for tensor in self._touched[name]:
                first = self._spans.get(tensor, (index, index))[0]
                self._spans[tensor] = first, index

    def _tensors(self, layer: str) -> Iterator[str]:
        for work in self._works[layer]:
            yield from work.tensors

    def residence(self) -> Residence:
        """See ``reside``."""
        spilled = {INPUT} if self._image.strips > 1 else set()
        have = self._core.activation_words
        lost = dict.fromkeys(self._names, 0)  # words that are there, but not in one piece
        while True:
            try:
                strips = {
                    name: self._strips(index, spilled, have - lost[name])
                    for index, name in enumerate(self._names)
                }
            except _TooSmallError as small:
                victim = self._victim(small.layer, spilled)
                if victim is None:
                    name = self._names[small.layer]
                    need = small.need + lost[name]
                    raise InputError(
                        f"layer {name!r}: a line of its result at a time, with what is in use beside it, "
                        f"takes {need} activation words, the core has activation_words {have}: {HINT}"
                    ) from None
                spilled.add(victim)
                continue
            found = self._cut(strips, spilled)
            if found.words <= have:
                return found
            for name in self._names:
                ends = [
                    found.placements[tensor].base + life.words
                    for tensor, life in found.lives.items()
                    if found.steps[life.first].work.layer == name
                ]
                beyond = max(ends, default=0) - have
                lost[name] += max(beyond, have // 32 + 1) if beyond > 0 else 0

    def _resident_words(self, index: int, spilled: set[str]) -> int:
        """Of whole tensors that are in the buffer while a layer runs."""
        return sum(
            self._placements[tensor].words
            for tensor, (first, last) in self._spans.items()
            if first <= index <= last and tensor not in spilled
        )

    def _strips(self, index: int, spilled: set[str], budget: int) -> Strips:
        """How a layer is cut.

        Raises:
            _TooSmallError: there is no room for a line.
        """
        name = self._names[index]
        heights = self._heights(name, spilled)
        room = budget - self._resident_words(index, spilled)
        most = heights.height
        if self._image.strips > 1 and INPUT in self._touched[name]:
            most = self._image.lines
        strips = heights.best(most, room)
        if strips is None:
            raise _TooSmallError(index, budget - room + heights.words(Strips(1, ahead=False)))
        return strips

    def _heights(self, name: str, spilled: set[str]) -> StripHeights:
        return StripHeights(self._works[name], self._placements, spilled, self._core)

    def _cut(self, strips: dict[str, Strips], spilled: set[str]) -> Residence:
        """All layers in their ``strips``: lines, and whether operands come a strip ahead."""
        image, placements = self._image.placement, dict(self._placements)
        steps: list[Step] = []
        memory = {INPUT: [Stored(Lines(0, image.height), 0, None)]}
        size = -(-image.words * self._word_bytes // BASE_ALIGNMENT) * BASE_ALIGNMENT
        begins: dict[str, int] = {}
        stored: dict[str, int] = {}
        for name in self._names:
            works = self._works[name]
            steps += [Step(work=work) for work in works if not work.source.words]
            works = [work for work in works if work.source.words]
            (lines, ahead), heights = strips[name], self._heights(name, spilled)
            before = len(steps)
            for part in cut_lines(heights.height, lines):
                read = heights.read(part)
                loads: list[Load] = []
                for tensor, there in read.items():
                    strip = strip_name(tensor, there, name)
                    if strip in begins:
                        continue  # the strip before reads the same lines: they stay
                    placements[strip] = replace(self._placements[tensor], height=there.height, border=0)
                    begins[strip] = before if ahead else len(steps)
                    loads += self._loads(tensor, strip, there, memory)
                before = len(steps)
                if not spilled.intersection(self._touched[name]):
                    steps += [Step(work=work) for work in works]
                    continue
                cuts = [cut(work, part, read, spilled) for work in works]
                steps += [Step(work=cuts[0], loads=tuple(loads)), *(Step(work=work) for work in cuts[1:])]
                if name in spilled:
                    strip = strip_name(name, part)
                    placements[strip] = replace(self._placements[name], height=part.height)
                    stored[strip] = heights.stored_words(part.height)
                    store = Store(layer=name, tensor=strip, words=stored[strip], memory=size)
                    steps.append(Step(work=store))
                    memory.setdefault(name, []).append(Stored(part, size, len(steps) - 1))
                    size += stored[strip] * self._word_bytes
        if INPUT not in spilled:
            begins[INPUT] = 0
            del memory[INPUT]
            whole = Load(tensor=INPUT, first_word=0, words=image.words, memory=0)
            steps[0] = replace(steps[0], loads=(whole, *steps[0].loads))
        lives = {
            name: Life(stored.get(name, placements[name].words), *span)
            for name, span in _spans(steps, begins).items()
        }
        need, bases = allocate(lives)
        placed = {name: replace(place, base=bases.get(name, 0)) for name, place in placements.items()}
        return Residence(steps, placed, lives, need, memory, size)

    def _loads(
        self, tensor: str, strip: str, lines: Lines, memory: Mapping[str, list[Stored]]
    ) -> Iterator[Load]:
        """Transfers that bring ``lines`` of a tensor: one from each strip in which it was stored."""
        line = self._placements[tensor].line
        for there, address, step in memory[tensor]:
            common = Lines(max(there.top, lines.top), min(there.end, lines.end))
            if common.height > 0:
                yield Load(
                    tensor=strip,
                    first_word=(common.top - lines.top) * line,
                    words=common.height * line,
                    memory=address + (common.top - there.top) * line * self._word_bytes,
                    stored=step,
                )

    def _victim(self, index: int, spilled: set[str]) -> str | None:
        """The tensor that is to go to memory: one that the layer does not need, then the largest."""
        name = self._names[index]
        live = [
            tensor
            for tensor, (first, last) in self._spans.items()
            if first <= index <= last and tensor not in spilled
            and (tensor == INPUT or not self._placements[tensor].border)
        ]  # fmt: skip
        mine = self._touched[name]
        return max(live, key=lambda x: (x not in mine, self._placements[x].words), default=None)


def _spans(steps: list[Step], begins: dict[str, int]) -> dict[str, tuple[int, int]]:
    """The first and the last step in which each tensor or strip is in use."""
    found = {name: (first, first) for name, first in begins.items()}
    for index, step in enumerate(steps):
        for tensor in step.work.tensors:
            found[tensor] = found.get(tensor, (index, index))[0], index
    return found
