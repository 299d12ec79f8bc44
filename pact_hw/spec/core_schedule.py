"""Cycles of a core's operations: an exact function of their fields, as long as memory is fast enough.

An operation takes ``fetch_cycles``, then what its kind takes. The cycles in which a core waits for the
memory (its counter ``stalls``) come on top: while it waits, everything waits.

Matrix operation: the loader fills the patches of tile t + 1 while tile t is computed. A pass issues its
beats one a cycle; its last beat waits until the sums of the pass before have left (``rows * drain_step``
cycles from that pass's last beat on).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .core import CoreSpec
from .program import FIELDS, MODE_FIELDS, Opcode

START_CYCLES = 1
"""From the start to the first operation's fetch, when the program is there."""
LOAD_LATENCY = 2
"""From the loader's last read of a tile to the first beat that reads the patch."""
DRAIN_LATENCY = 3
"""From a pass's last beat to the first row's turn: operands, sums and shadow registers."""
REQUANTISE_LATENCY = 4
"""From the operand's arrival to the first written plane: sum, product, total, level."""
RAW_LATENCY = 1
"""From a row's turn to the sums' offer."""
STORE_LATENCY = 2
"""Of a store, beside a cycle a word: the first word's reading; the end, when all are taken."""
END_CYCLES = 2
"""Of the ``END``: one word."""


def fetched_words(core: CoreSpec) -> int:
    """Words of an operation that a core fetches: fields that it has."""
    return len(FIELDS) - (0 if core.array.modes else MODE_FIELDS)


def fetch_cycles(core: CoreSpec) -> int:
    """From one operation's end to the next one's begin: a word a cycle, memory, and the check."""
    return fetched_words(core) + 2


def operand_cycles(fields: Mapping[str, int]) -> int:
    """Cycles from a row's turn to the arrival of its residual operand."""
    return max(1, fields.get("residual_planes", 0))


def tail_cycles(core: CoreSpec, fields: Mapping[str, int]) -> int:
    """Cycles from the last row's turn to the operation's end."""
    if fields.get("raw", 0):
        return operand_cycles(fields) + RAW_LATENCY
    behind = core.requantise_steps - 1 + REQUANTISE_LATENCY + fields["out_planes"] - 1
    return operand_cycles(fields) + behind


def matrix_cycles(core: CoreSpec, fields: Mapping[str, int]) -> int:
    """Cycles of a matrix operation from its start to its end."""
    f = fields
    load = f["grid_y"] * f["grid_x"] * f["patch_y"] * f["patch_x"] * f["pixel_words"]
    beats = f["kernel_y"] * f["kernel_x"] * f["channel_beats"]
    drain = core.array.rows * f["drain_step"]
    passes = f["n_tiles"] * f["block_y"] * f["block_x"] * f["act_slices"] * f["weight_slices"]
    tiles = f["tiles_y"] * f["tiles_x"]
    # Cycles since the begin in which the last word was read, and the last beat issued, of a tile; ``end``
    # is the tile before, ``freed`` the one before that.
    loaded, end, freed = 0, -drain, 0
    lead = None
    for tile in range(tiles):
        loaded = max(loaded, freed) + load
        first = max(loaded + LOAD_LATENCY, end + 1)
        freed, end = max(end, 0), max(first + beats - 1, end + drain) + (passes - 1) * max(beats, drain)
        if lead == (lead := (end - loaded, end - freed)):  # steady: every further tile takes as long
            end += (tiles - 1 - tile) * (end - freed)
            break
    last_row = end + DRAIN_LATENCY + (core.array.rows - 1) * f["drain_step"]
    return last_row + tail_cycles(core, f)


def window_cycles(core: CoreSpec, fields: Mapping[str, int]) -> int:
    """Cycles of a window operation from its start to its end."""
    f = fields
    pixels = f["tiles_y"] * f["tiles_x"] * f["n_tiles"] * f["grid_y"] * f["grid_x"]
    return DRAIN_LATENCY + (pixels - 1) * f["drain_step"] + tail_cycles(core, f)


def operation_cycles(core: CoreSpec, fields: Mapping[str, int]) -> int:
    """Cycles of an operation, its fetching included."""
    if fields["opcode"] == Opcode.END:
        return END_CYCLES
    if fields["opcode"] == Opcode.MATRIX:
        return fetch_cycles(core) + matrix_cycles(core, fields)
    if fields["opcode"] == Opcode.STORE:
        return fetch_cycles(core) + fields["words"] + STORE_LATENCY
    return fetch_cycles(core) + window_cycles(core, fields)


def program_cycles(core: CoreSpec, operations: Sequence[Mapping[str, int]]) -> int:
    """Cycles from the start to the end of a program, of which ``operations`` are all but the ``END``."""
    return START_CYCLES + sum(operation_cycles(core, fields) for fields in operations) + END_CYCLES
