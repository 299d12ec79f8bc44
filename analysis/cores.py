"""Cycles of a layer on the cores of a chip, for arrays of designs and all layers at once.

A layer is ``channel_tiles`` independent pieces of output channels (of all groups) by its pixels (of the
whole batch). The cores share it out in the way that takes the fewest cycles: c of them beat channels, and
cores // c pixels. Every core then runs its share as its kind does:

- ``PACT``: a tile is one kernel tap, ``rows`` input and ``cols`` output channels; its pixels stream
  through, one a cycle, while the next tile's weights shift in (``rows`` cycles, hidden unless there are
  fewer pixels). Each layer adds fill and drain (``rows + cols`` cycles) and
  ``Constants.layer_start_cycles``. Narrow groups (depthwise) share a tile, each on its own rows and
  columns. A MAC of 2n bits is two MACs of n bits, as in the paper: a layer at twice the chip's precision
  runs on half as many cores.
- our own arrays: exactly ``pact_hw.spec.schedule`` of each core's share; groups run one after the other.
  The MACs have one precision: a wider layer is cut into digits, which takes
  ceil(act / act_bits) ceil(weight / weight_bits) passes. A composable array runs each layer in the
  narrowest mode that holds its operands, which has so many more lanes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from .system import FITTED, Constants, CoreKind, Floats, System, Widths
from .workloads import Ints, Workload

OUTPUT_LATENCY_CYCLES = 2
"""``HardwareSpec.array_latency_cycles`` of an output-stationary array (checked by a test)."""


@dataclass(frozen=True, kw_only=True)
class CoreWork:
    """How the cores run each layer; shape (designs, layers)."""

    cycles: Floats
    """If no transfer were ever waited for."""
    pixel_cores: Floats
    """How many cores the image is cut for."""
    channel_cores: Floats


def compute(workload: Workload, system: System, widths: Widths, constants: Constants = FITTED) -> CoreWork:
    """Cycles and split of every layer and batch."""
    count = {
        CoreKind.PACT: _pact,
        CoreKind.OUTPUT_STATIONARY: _output_stationary,
        CoreKind.WEIGHT_STATIONARY: _weight_stationary,
        CoreKind.COMPOSABLE: _output_stationary,
    }[system.core]
    return count(workload.columns, system, widths, constants)


def _ceil(a: Floats | Ints, b: Floats) -> Floats:
    result: Floats = np.ceil(a / b)
    return result


def _split(
    channel_tiles: Floats, pixels: Floats, cores: Floats, cycles: Callable[[Floats], Floats]
) -> tuple[Floats, Floats, Floats]:
    """The fewest ``ceil(channel_tiles / c) * cycles(ceil(pixels / p))`` over c p <= cores; and p and c.

    For T tiles only the smallest c of every ceil(T / c) can be the best: those up to the root of T, and
    ceil(T / q) for q up to that root.
    """
    most = int(channel_tiles.max())
    root = math.isqrt(most) + 1
    few = min(root, int(cores.max()), most)
    candidates: list[Floats] = [np.full_like(cores, c) for c in range(1, few + 1)]
    shape = np.broadcast_shapes(channel_tiles.shape, pixels.shape, cores.shape)
    best, best_p, best_c = np.full(shape, np.inf), np.ones(shape), np.ones(shape)
    for q in range(1, root + 1 if few < min(cores.max(), most) else 1):
        candidates.append(np.ceil(channel_tiles / q))
    for candidate in candidates:
        c = np.minimum(candidate, cores)
        p = np.floor(cores / c)
        found = np.ceil(channel_tiles / c) * cycles(np.ceil(pixels / p))
        better = found < best
        best = np.where(better, found, best)
        best_p, best_c = np.where(better, p, best_p), np.where(better, c, best_c)
    return best, best_p, best_c


def _pieces(layers: Mapping[str, Ints], system: System) -> tuple[Floats, Floats]:
    """Groups and pixels of the whole batch: what every image has for itself are further groups."""
    batch = system.batch[:, None]
    per_image = layers["per_image"].astype(bool)
    groups = layers["groups"] * np.where(per_image, batch, 1.0)
    pixels = layers["out_pixels"] * np.where(per_image, 1.0, batch)
    return groups.astype(np.float64), pixels.astype(np.float64)


def _pact(layers: Mapping[str, Ints], system: System, widths: Widths, constants: Constants) -> CoreWork:
    rows, cols = system.rows[:, None], system.cols[:, None]
    equivalent = system.cores[:, None] * system.bits[:, None] / np.maximum(widths.act, widths.weight)
    cores = np.maximum(1.0, np.floor(equivalent))
    slowdown = np.maximum(1.0, 1.0 / equivalent)  # one narrow core makes a wide product in several passes
    groups, pixels = _pieces(layers, system)
    inputs = layers["in_channels"] / layers["groups"]
    outputs = layers["out_channels"] / layers["groups"]
    together = np.clip(np.minimum(rows // inputs, cols // outputs), 1.0, groups)
    channel_tiles = np.ceil(groups / together) * _ceil(outputs, cols)
    beats, pixel_cores, channel_cores = _split(
        channel_tiles, pixels, cores, lambda share: np.maximum(share, rows)
    )
    passes = layers["kernel"] ** 2 * _ceil(inputs, rows)
    cycles: Floats = passes * beats * slowdown + rows + cols + constants.layer_start_cycles
    return CoreWork(cycles=cycles, pixel_cores=pixel_cores, channel_cores=channel_cores)


def _own(
    layers: Mapping[str, Ints], system: System, widths: Widths
) -> tuple[Floats, Floats, Floats, Floats, Floats, Floats]:
    rows, cols, lanes = system.rows[:, None], system.cols[:, None], system.lanes[:, None]
    groups, pixels = _pieces(layers, system)
    channel_tiles = groups * _ceil(layers["out_channels"] / layers["groups"], cols)
    made = (system.act_bits, system.weight_bits)
    if system.core is CoreKind.COMPOSABLE:
        made = (system.bits, system.bits)
        lanes = lanes * system.products(np.maximum(widths.act, widths.weight))
    digits = _ceil(widths.act, made[0][:, None]) * _ceil(widths.weight, made[1][:, None])
    return rows, cols, lanes, pixels, channel_tiles, digits


def _output_stationary(
    layers: Mapping[str, Ints], system: System, widths: Widths, constants: Constants
) -> CoreWork:
    rows, cols, lanes, pixels, channel_tiles, digits = _own(layers, system, widths)
    cores = np.broadcast_to(system.cores[:, None], channel_tiles.shape)
    tile = _ceil(layers["reduction"], lanes) * digits + (OUTPUT_LATENCY_CYCLES - 1) + cols
    tiles, pixel_cores, channel_cores = _split(channel_tiles, _ceil(pixels, rows), cores, lambda share: share)
    cycles = tiles * tile + system.requantiser_cycles[:, None]
    return CoreWork(cycles=cycles, pixel_cores=pixel_cores, channel_cores=channel_cores)


def _weight_stationary(
    layers: Mapping[str, Ints], system: System, widths: Widths, constants: Constants
) -> CoreWork:
    rows, _cols, lanes, pixels, channel_tiles, digits = _own(layers, system, widths)
    cores = np.broadcast_to(system.cores[:, None], channel_tiles.shape)
    latency = rows + 1
    cycles, pixel_cores, channel_cores = _split(
        channel_tiles, pixels, cores, lambda share: rows + share + latency
    )
    passes = _ceil(layers["reduction"], rows * lanes) * digits
    return CoreWork(cycles=cycles * passes, pixel_cores=pixel_cores, channel_cores=channel_cores)
