"""Where the groups of a grouped convolution lie: each reads and writes words of its own."""

from __future__ import annotations

from ..errors import InputError
from ..spec import LayerSpec
from .placement import Placement
from .slots import Slots


def group_starts(layer: LayerSpec, slots: Slots, cols: int, end: int | None) -> list[int]:
    """Group of ``cols`` columns at which each group's results start, and where the last one's end.

    Each writes up to the next one, and the last up to ``end`` (None: its last channel), so that ``slots``
    without a channel get code 0.

    Raises:
        InputError: two groups' results share columns.
    """
    step = layer.out_channels // layer.groups
    firsts = [min(slots[start : start + step]) for start in range(0, layer.out_channels, step)]
    ends = [max(slots[start : start + step]) for start in range(0, layer.out_channels, step)]
    starts = [0] + [first // cols for first in firsts[1:]]
    if any(last // cols >= start for last, start in zip(ends, starts[1:], strict=False)):
        raise InputError(f"layer {layer.name!r}: its groups' results share columns; they cannot be placed")
    return [*starts, ends[-1] // cols + 1 if end is None else end]


def channels_read(layer: LayerSpec, place: Placement, group: int) -> tuple[int, int, Slots]:
    """Of ``group``: first word and end within a plane of ``place``, and its channels' slots from there.

    Raises:
        InputError: two groups' channels share words.
    """
    if layer.groups == 1:
        return 0, place.groups, place.slots
    step, word = layer.in_channels // layer.groups, place.word_channels
    mine = place.slots[group * step : (group + 1) * step]
    first, end = min(mine) // word, max(mine) // word + 1
    others = set(place.slots) - set(mine)
    if any(first <= slot // word < end for slot in others):
        raise InputError(
            f"layer {layer.name!r}: groups of {step} channels share words of {word}: cannot be placed"
        )
    return first, end, tuple(slot - first * word for slot in mine)
