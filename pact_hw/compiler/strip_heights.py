"""How many lines at a time: what strips of a layer take of the activation buffer, and roughly how long."""

from __future__ import annotations

from collections.abc import Collection
from math import gcd
from typing import NamedTuple

from ..spec.core import CoreSpec
from ..spec.registers import BASE_ALIGNMENT
from .image_layout import OVERHEAD
from .placement import Placement
from .strips import Lines, cut_lines, lines_read
from .tiling import bus_beats
from .work import Work


class Strips(NamedTuple):
    """How a layer is cut."""

    lines: int
    """Of its result, at a time."""
    ahead: bool
    """Whether a strip's operands come while the one before is computed."""


class StripHeights:
    """The strips of one layer, some of whose tensors, ``spilled``, are in memory."""

    def __init__(
        self, works: list[Work], placements: dict[str, Placement], spilled: Collection[str], core: CoreSpec
    ) -> None:
        self._works = [work for work in works if work.source.words]  # others are borders
        self._placements, self._spilled, self._core = placements, spilled, core
        self.height = max(work.top + work.out_height for work in self._works)

    def read(self, part: Lines) -> dict[str, Lines]:
        """Lines of the tensors in memory that a strip of the result reads."""
        found: dict[str, Lines] = {}
        for work in self._works:
            for tensor, lines in lines_read(work, part).items():
                if tensor in self._spilled:
                    other = found.get(tensor, lines)
                    found[tensor] = Lines(min(lines.top, other.top), max(lines.end, other.end))
        return found

    def _words_read(self, part: Lines) -> int:
        return sum(lines.height * self._placements[tensor].line for tensor, lines in self.read(part).items())

    def stored_words(self, lines: int) -> int:
        """Words that are stored of so many ``lines`` of the result: whole bursts; none if it stays."""
        layer = self._works[0].layer
        if layer not in self._spilled:
            return 0
        word_bytes = bus_beats(self._core, self._core.word_bits) * self._core.bus_bits // 8
        unit = BASE_ALIGNMENT // gcd(BASE_ALIGNMENT, word_bytes)
        return -(-lines * self._placements[layer].line // unit) * unit

    def words(self, strips: Strips) -> int:
        """Words of the buffer that are in use at once."""
        parts = cut_lines(self.height, strips.lines)
        read = [self._words_read(part) for part in [*parts[:3], *parts[-2:]]]
        if strips.ahead:
            read = [sum(pair) for pair in zip(read, [*read[1:], 0], strict=True)]
        return max(read) + self.stored_words(strips.lines)

    def best(self, most: int, room: int) -> Strips | None:
        """The quickest strips of ``most`` lines or fewer that take no more than ``room`` words, if any do."""
        numbers = range(-(-self.height // most), self.height + 1)
        heights = sorted({-(-self.height // number) for number in numbers}, reverse=True)
        found = []
        for ahead in (False, True):
            strips = (Strips(lines, ahead) for lines in heights)
            found += [next((each for each in strips if self.words(each) <= room), None)]
        return min((strips for strips in found if strips is not None), key=self._time, default=None)

    def _time(self, strips: Strips) -> float:
        """Roughly the layer's cycles: operands come before a strip or, as weights do, beside it."""
        core = self._core
        parts = cut_lines(self.height, strips.lines)
        read = [self._words_read(part) * bus_beats(core, core.word_bits) for part in parts]
        before = read[0] if strips.ahead else sum(read)
        weights = sum(work.n_tiles * work.tile_weights for work in self._works) * len(parts)
        macs = sum(work.macs * work.act_slices * work.weight_slices for work in self._works)
        beside = sum(read) - before + weights * bus_beats(core, core.weight_word_bits)
        return before + max(macs / core.array.macs_per_cycle, beside) + len(parts) * OVERHEAD
