"""What a core executes: operations and transfers, and how they lie in memory.

A **program** is a list of operations, each ``WORDS`` 32-bit words, one field a word, in the order of
``FIELDS``; the last one is an ``Opcode.END``. A **transfer list** says what the bus brings, in order:
records of ``TRANSFER_FIELDS``. Both run on their own; they meet in two counters: an operation
waits for ``after_transfers`` transfers to be complete, a transfer for ``after_operations`` operations.
Weights need no counter: the weight buffer is a ring that fills as far as there is room.

Word addresses are those of the named buffer. ``line``, ``pixel``... are strides in such words. A
*pixel* of a tensor is ``planes * groups`` words: plane by plane, in each ``groups`` of ``word_channels``
channels. Where a field counts in *lane groups* or *column groups*, these are parts of a word
(``CoreSpec.lane_groups``, ``col_groups``), so that an address is ``word * parts + part``.

Matrix operation (``MATRIX``), loops from the outermost::

    for ty < tiles_y, tx < tiles_x:                   # the loader fills one patch per row of the array:
        for row = gy * grid_x + gx < rows:            #   output block (gy, gx) of the tile
            for py < patch_y, px < patch_x, word < pixel_words:
                word of the source, or 0 beyond the image      # one word a cycle
        for n < n_tiles:                              # cols output channels at a time
            for y < block_y, x < block_x:             # a pixel of every row's block at a time
                for a < act_slices, w < weight_slices:         # one pass
                    for ky < kernel_y, kx < kernel_x, c < channel_beats: one beat
                    # then every row's cols sums leave, row 0 first, one row each drain_step cycles,
                    # while the next pass runs, whose last beat waits for the end of this
                # behind the last pass: requantised, and written where the pixel lies in the image

Row (gy, gx) computes output pixel ``oy = ty * tile_out_y + gy * block_y + y``, ``ox`` likewise; what lies
beyond ``out_height x out_width`` is not written. Addresses are sums of strides, for ``ox`` as for ``oy``::

    input line  origin_y + ty * tile_y + gy * row_y + py * load_step
    its word    source + origin + ty * tile_y_words + gy * row_y_words + py * load_y_words
                       + tx * tile_x_words + gx * row_x_words + px * load_x_words + word
    patch       n * act_n + y * act_y + x * act_x + a * act_slice + ky * act_kernel_y + kx * act_kernel_x + c
    result      out + ty * out_tile_y + gy * out_row_y + y * out_y
                    + tx * out_tile_x + gx * out_row_x + x * out_x + n + plane * out_plane
    residual    like the result, with residual_... instead of out_...; where n counts from residual_first on
                residual_count, else there is none

Pass (a, w) counts ``2 ** (a * act_bits + w * weight_bits)`` times (of the widest mode). In the weight buffer
an n-tile's beats lie in the order w, ky, kx, c; every pixel and every a reads them again.

Where ``diagonal`` is 1 (``Depthwise.DIAGONAL``), column col multiplies, in lane 0 only, channel
``n % col_groups * cols + col`` of the whole patch word: addresses are multiples of ``lane_groups``, and
``n // col_groups`` stands for n in them. Nothing is corrected behind the array; a weight is a sign, the
highest of its b bits, and a magnitude: odd ones have the other bits, one further left, and 1; two's
complement ones the value without its sign. A product is ``magnitude * (2**act_bits - 1 - activation if sign
else activation)``. What is too much, ``2**act_bits - 1`` times each negative weight's magnitude in every
pass, the compiler takes back in ``add``. tx may count words of channels: then ``tile_x`` and ``tile_out_x``
are 0, and each tile has weights of its own in the buffer.

Window operation (``SUM``, ``MAX``): the same results, but what is summed up is the residual operand::

    for ty < tiles_y, tx < tiles_x, n < n_tiles:      # an output pixel each; blocks are one pixel
        for gy < grid_y, gx < grid_x:                 # its window: kernel_y x kernel_x pixels
            the residual operand (gy, gx), 0 beyond the image      # drain_step cycles
        # behind the last: requantised, and written to out + ty * out_tile_y + tx * out_tile_x + n

    input line  origin_y + ty * tile_out_y + gy, which must be less than out_height

A maximum is of whole levels and is requantised as well: by 1.

Modes (composable arrays; else the last three fields are 0, and not fetched). ``mode`` is the index of the
array's ``CoreMode``, ``out_mode`` and ``residual_mode`` those of the tensor that is written and of the
residual operand or the windows' source. Lane groups and column groups are those of the widest and of the
narrowest codes: in mode m, c counts ``beat_parts`` lane groups, and n ``level_parts`` column groups of a
tensor; all addresses are multiples of these. A word consists of blocks of ``lanes * operand_words`` words of
the widest width, ``operand_words`` (n) a lane. The beat at lane group g of a block has in each lane the k
codes of words ``0, n/k, 2 n/k ...`` further on than bit-reversed g; they go to these words of the array's
port, and the weights to the same words of theirs: operand ``(i, j)`` of a lane is code i of the j-th of them,
its weight code j of the i-th. Wider levels than the widest codes lie in planes of these; narrower ones have
one plane.

``raw`` results of either leave in the order in which they are computed, ``cols`` sums of 32 bits a pixel:
each such row takes a whole number of bus beats in memory, tail zero, and rows lie back to back, ``memory``
bytes behind the results' address. They are the sums over codes: what offset binary adds is taken back by the
host.

A store (``STORE``) writes ``words`` words of the activation buffer, from ``source`` on, to memory, ``memory``
bytes behind the input's address: as an activation transfer brings them. Its place and its size in memory are
multiples of 64 bytes. When an operation ends the memory has answered to all that it wrote, so that a transfer
which waits for that operation finds it there.

The first transfer brings the program; the first operation is fetched when it is complete.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import NamedTuple

from ..errors import InputError

WORD_BITS = 32


class Opcode(enum.IntEnum):
    """What an operation does."""

    END = 0
    MATRIX = 1
    SUM = 2
    MAX = 3
    STORE = 4


class Destination(enum.IntEnum):
    """Where a transfer goes, and what its source address is relative to."""

    PROGRAM = 0
    """32-bit words; model address."""
    WEIGHTS = 1
    """Weight words, into the ring; model address."""
    CONSTANTS = 2
    """Constant words; model address."""
    ACTIVATIONS = 3
    """Activation words; input address."""


class Field(NamedTuple):
    """A number in a record: two's complement if ``signed``."""

    name: str
    bits: int
    signed: bool = False


FIELDS = (
    Field("opcode", 3),
    Field("after_transfers", 16),
    # what is read
    Field("source", 24),  # word of pixel (0, 0)
    Field("source_height", 16),
    Field("source_width", 16),
    Field("pixel_words", 16),  # words that the loader copies a pixel
    Field("origin_y", 16, signed=True),  # input line of the first block's patch (or window) line 0
    Field("origin_x", 16, signed=True),
    Field("origin", 24, signed=True),  # origin_y * source line + origin_x * source pixel, in words
    # the loader's steps, each as input lines or pixels, and as source words
    Field("load_step", 4),  # input lines (pixels) from one patch line (pixel) to the next
    Field("load_x_words", 24),
    Field("load_y_words", 24),
    Field("row_x", 16),  # from one block of the grid to the next: block_x * stride
    Field("row_y", 16),
    Field("row_x_words", 24),
    Field("row_y_words", 24),
    Field("tile_x", 16),  # from one tile to the next: grid_x * block_x * stride
    Field("tile_y", 16),
    Field("tile_x_words", 24),
    Field("tile_y_words", 24),
    # loops
    Field("tiles_y", 12),
    Field("tiles_x", 12),
    Field("grid_y", 8),  # grid_y * grid_x = rows
    Field("grid_x", 8),
    Field("patch_y", 12),
    Field("patch_x", 12),
    Field("n_tiles", 16),
    Field("block_y", 12),
    Field("block_x", 12),
    Field("act_slices", 4),
    Field("weight_slices", 4),
    Field("kernel_y", 12),
    Field("kernel_x", 12),
    Field("channel_beats", 16),
    # the patch's strides, in lane groups
    Field("act_kernel_x", 20),
    Field("act_kernel_y", 20),
    Field("act_slice", 20),
    Field("act_x", 20),
    Field("act_y", 20),
    Field("act_n", 20),
    Field("diagonal", 1),  # a column reads its own channel
    # weights
    Field("weights_stay", 1),  # the whole operation's weights stay in the ring until its end
    # what is written: column groups
    Field("out_height", 16),
    Field("out_width", 16),
    Field("tile_out_y", 16),  # output lines from one tile to the next: grid_y * block_y
    Field("tile_out_x", 16),
    Field("out_planes", 4),
    Field("drain_step", 6),
    Field("out", 28),
    Field("out_plane", 24),
    Field("out_x", 24),
    Field("out_y", 28),
    Field("out_row_x", 24),  # block_x * out_x
    Field("out_row_y", 28),
    Field("out_tile_x", 24),  # tile_out_x * out_x
    Field("out_tile_y", 28),
    # the residual operand: column groups; n from residual_first on, for residual_count
    Field("residual_planes", 4),  # 0: none
    Field("residual", 28, signed=True),  # of n = 0, which may lie before the operand
    Field("residual_plane", 24),
    Field("residual_x", 24),
    Field("residual_y", 28),
    Field("residual_row_x", 24),
    Field("residual_row_y", 28),
    Field("residual_tile_x", 24),
    Field("residual_tile_y", 28),
    Field("residual_first", 16),
    Field("residual_count", 16),
    # requantiser
    Field("constants", 24),  # address of n = 0
    Field("constants_tile_x", 24),  # from one tx to the next: 0, unless these are of other channels
    Field("limit", 16),
    Field("raw", 1),  # sums go to the results, as they are; not written to the buffer
    # to memory
    Field("memory", 32),  # bytes: of raw sums from the results' address, of a store from the input's
    Field("words", 24),  # of a store
    # a composable array's modes: in a core without any, these words are not fetched
    Field("mode", 2),
    Field("out_mode", 2),
    Field("residual_mode", 2),
)
"""The members of an operation: strides are spelled out, so that the hardware adds and never multiplies."""

MODE_FIELDS = 3
"""How many of the last fields only composable arrays have."""

WORDS = 80
"""32-bit words of an operation; those behind the fields are 0."""

TRANSFER_FIELDS = (
    Field("destination", 2),
    Field("after_operations", 16),
    Field("address", 24),  # first word of the destination; weights: not used
    Field("words", 24),
    Field("source", 32),  # bytes from the base address, a multiple of the bus
)
"""The members of a transfer record, one a 32-bit word; records are 8 words (32 bytes) apart. Each word
of the destination takes a whole number of bus beats in memory, lowest bits first."""

TRANSFER_WORDS = 8

assert len(FIELDS) <= WORDS


def encode(fields: tuple[Field, ...], values: Mapping[str, int], words: int) -> list[int]:
    """``values`` of ``fields`` (those not named are 0) as ``words`` 32-bit words, one field a word.

    Raises:
        InputError: a value does not fit its field, or there is no such field.
    """
    if unknown := values.keys() - {field.name for field in fields}:
        raise InputError(f"a program has no field {min(unknown)!r}")
    encoded = []
    for field in fields:
        value = values.get(field.name, 0)
        low = -(1 << (field.bits - 1)) if field.signed else 0
        high = (1 << (field.bits - field.signed)) - 1
        if not low <= value <= high:
            raise InputError(f"{field.name} in a program must be from {low} to {high}, not {value}")
        encoded.append(value & ((1 << field.bits) - 1))
    return encoded + [0] * (words - len(encoded))


def decode(fields: tuple[Field, ...], words: list[int]) -> dict[str, int]:
    """The inverse of ``encode``."""
    values = {}
    for field, word in zip(fields, words, strict=False):
        value = word & ((1 << field.bits) - 1)
        if field.signed and value >> (field.bits - 1):
            value -= 1 << field.bits
        values[field.name] = value
    return values
