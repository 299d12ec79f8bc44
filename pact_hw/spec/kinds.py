"""The kinds of arrays there are."""

from __future__ import annotations

import enum


class Dataflow(enum.Enum):
    """Which operand stays in the processing elements."""

    OUTPUT_STATIONARY = "output-stationary"
    """Each PE accumulates one output: rows are output pixels, cols are output channels."""
    WEIGHT_STATIONARY = "weight-stationary"
    """Each PE holds ``lanes`` weights: rows x lanes are reduction terms, cols are output channels;
    partial sums enter at the top of a column and leave at its bottom."""


class MacKind(enum.Enum):
    """How a PE multiplies."""

    FIXED = "fixed"
    """One pair of widths, set at generation."""
    COMPOSABLE = "composable"
    """One product of the widest operands, or four times as many of half the width, and so on, in each
    lane: chosen at run time, for a tile, by ``in_mode``. All are summed in one accumulator."""
    BIT_SERIAL = "bit-serial"
    """One bit of each activation a beat, by whole weights; as many beats as a tile's activations have
    bits: chosen at run time, for a tile, from 1 to the activations' width."""


class Drain(enum.Enum):
    """How sums leave an output-stationary array."""

    SHIFT = "shift"
    """Along the rows, a column a beat."""
    WIDE = "wide"
    """All at once, in one beat."""
