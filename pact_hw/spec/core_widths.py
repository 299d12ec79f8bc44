"""Widths of a core's addresses and of the registers that hold its operations' fields.

The generator builds the registers, and the compiler refuses what they cannot hold: one table for both.
"""

from __future__ import annotations

from .core import CoreSpec
from .program import FIELDS, MODE_FIELDS

_WORDS = {"source", "origin", "words"} | {
    f"{step}_{axis}_words" for step in ("load", "row", "tile") for axis in ("x", "y")
}
_PIXELS = {"source_height", "source_width", "out_height", "out_width", "tile_out_y", "tile_out_x"} | {
    f"{step}_{axis}" for step in ("origin", "row", "tile") for axis in ("x", "y")
}
_IN_PATCH = {"patch_y", "patch_x", "pixel_words", "block_y", "block_x"}
_GROUPS_IN_PATCH = {"kernel_y", "kernel_x", "channel_beats"}
MODES = {field.name for field in FIELDS[-MODE_FIELDS:]}
_NUMBERS = {field.name: number for number, field in enumerate(FIELDS)}
_FIELD_BITS = {field.name: field.bits for field in FIELDS}
SIGNED = {field.name for field in FIELDS if field.signed}


def address_bits(words: int) -> int:
    """Of an address of one of ``words``."""
    return (words - 1).bit_length()


def buffer_bits(core: CoreSpec) -> int:
    """Of an address in the activation buffer."""
    return address_bits(core.activation_words)


def word_bits(core: CoreSpec) -> int:
    """Of a number that should be such an address: one that is just beyond the buffer can be told."""
    return core.activation_words.bit_length()


def group_bits(core: CoreSpec) -> int:
    """Of an address in column groups: the word, then the group in it."""
    return word_bits(core) + address_bits(core.col_groups)


def pixel_bits(core: CoreSpec) -> int:
    """Of a line's or pixel's number: no image has more than the buffer has words. Two's complement."""
    return min(_FIELD_BITS["origin_y"], word_bits(core) + 1)


def lane_bits(core: CoreSpec) -> int:
    """Of an address in a patch, in lane groups."""
    return address_bits(core.patch_words * core.lane_groups)


def constant_bits(core: CoreSpec) -> int:
    """Of an address in the constants."""
    return address_bits(core.constant_words)


def mode_bits(core: CoreSpec) -> int:
    """Of a mode's index."""
    return max(1, (len(core.modes) - 1).bit_length())


def field_bits(core: CoreSpec, name: str) -> int:
    """Bits that field ``name`` of an operation has in this core.

    Some are as wide as what they are compared with or added to, whatever the core says of its programs.
    """
    bits = _sized_bits(core, name)
    if not core.field_bits or name in SIGNED or name in ("opcode", "limit", "out"):
        return bits
    return min(bits, core.field_bits[_NUMBERS[name]])


def _sized_bits(core: CoreSpec, name: str) -> int:
    """As many bits as the sizes of the core ask for."""
    bits = _FIELD_BITS[name]
    if name in _PIXELS:
        return pixel_bits(core)
    if name in _IN_PATCH:
        return min(bits, core.patch_words.bit_length())
    if name in _GROUPS_IN_PATCH:
        return min(bits, (core.patch_words * core.lane_groups).bit_length())
    if name in ("act_slices", "out_planes", "residual_planes"):
        return min(bits, core.act_planes.bit_length())
    if name == "weight_slices":
        return min(bits, core.weight_slices.bit_length())
    if name in _WORDS:
        return min(bits, word_bits(core))
    if name.startswith("act_") and name != "act_slices":
        return min(bits, lane_bits(core))
    if name in ("constants", "constants_tile_x"):
        return min(bits, constant_bits(core))
    if name in MODES:
        return mode_bits(core)
    if name == "limit":
        return min(bits, core.requantiser.level_bits)
    grouped = name in ("out", "residual") or name.startswith(("out_", "residual_"))
    if grouped and bits >= 24:
        return min(bits, group_bits(core))
    return bits
