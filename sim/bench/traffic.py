"""What a product looks like at an array's ports: beats in, beats out, in the order of ``spec.schedule``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from pact_hw.golden import matmul
from pact_hw.spec import Dataflow, Drain, HardwareSpec, MacKind, RequantiserKind, RequantiserSpec

from ..products import MatrixProduct, Scale, Thresholds
from .packing import Int64, pack, pad

Beats = Iterator[tuple[str, ...]]
"""Binary text for every payload port of a stream, in the order of ``PAYLOADS``."""

SCALE_COLUMNS = {
    RequantiserKind.MULTIPLY_SHIFT: ("mult", "add", "shift", "limit", "residual_mult", "raw"),
    RequantiserKind.THRESHOLD: ("thresholds", "negative", "raw"),
}
PAYLOADS = {
    (Dataflow.OUTPUT_STATIONARY, "in"): ("in_act", "in_weight", "in_last"),
    (Dataflow.WEIGHT_STATIONARY, "weight"): ("weight_data",),
    (Dataflow.WEIGHT_STATIONARY, "in"): ("in_act", "in_last"),
}
MODES = {MacKind.COMPOSABLE: ("in_mode",), MacKind.BIT_SERIAL: ("in_next_plane",)}
"""What the operand streams of some arrays have beside these."""
TEXT_CACHE_BYTES = 64 << 20
"""How much packed text of activation tiles is kept for the next columns of the product."""


def payloads(spec: HardwareSpec, name: str) -> tuple[str, ...]:
    """The payload ports of stream ``name`` of ``spec``."""
    if name == "scale":
        assert spec.requantiser is not None
        residual = ("residual",) if spec.requantiser.residual_bits else ()
        return tuple(f"scale_{column}" for column in (*scale_columns(spec.requantiser), *residual))
    return PAYLOADS[spec.dataflow, name] + (MODES.get(spec.mac_kind, ()) if name == "in" else ())


def scale_columns(requantiser: RequantiserSpec) -> list[str]:
    """The constants of a beat of ``scale``."""
    columns = SCALE_COLUMNS[requantiser.kind]
    return [name for name in columns if name != "residual_mult" or requantiser.residual_bits]


@dataclass(frozen=True, kw_only=True, eq=False)
class Traffic:
    """A product's beats."""

    sources: dict[str, Beats]
    """By stream; the first one's first beat starts the count of cycles."""
    expected: Int64
    """Output beats x values, padding of M and N included: every value that leaves the array."""
    last: npt.NDArray[np.bool_]
    """Output beats: whether ``out_last`` goes with them."""
    value_bits: int
    signed: bool
    where: Callable[[int, int], str]
    """Output beat and element to words."""


def traffic(spec: HardwareSpec, product: MatrixProduct) -> Traffic:
    """The beats of ``product`` on ``spec``."""
    if spec.dataflow is Dataflow.OUTPUT_STATIONARY:
        return _output_stationary(spec, product)
    return _weight_stationary(spec, product)


def operand_words(spec: HardwareSpec, values: Int64, mode_bits: int | None, *, act: bool) -> Int64:
    """Operands (beats x PEs x lanes of the mode) as the words of their port (beats x words).

    Most arrays have a word for each value. Each lane of a composable one has W words of the widest
    width, of which a mode with n x n operands a lane uses n, W/n apart, with n operands in each:
    operand ``n i + j`` is the i-th in the j-th word for activations, the j-th in the i-th for weights.
    """
    if spec.mac_kind is not MacKind.COMPOSABLE:
        return values.reshape(len(values), -1)
    widest = spec.act.bits if act else spec.weight.bits
    n = widest // (mode_bits or widest)
    squares = values.reshape(*values.shape[:-1], spec.lanes, n, n)
    in_words = squares.swapaxes(-1, -2) if act else squares
    words = (in_words << (widest // n * np.arange(n))).sum(axis=-1)
    port = np.zeros((*words.shape[:-1], spec.operand_words), dtype=np.int64)
    port[..., :: spec.operand_words // n] = words
    return port.reshape(len(values), -1)


def _padded(product: MatrixProduct, *, m: int, k: int, n: int) -> MatrixProduct:
    """``product`` with zero levels, codes and constants, so that M, K and N are multiples of these."""
    return MatrixProduct(
        name=product.name,
        act=pad(product.act, m, k),
        weight=pad(product.weight, k, n),
        scale=product.scale and product.scale.padded(-product.shape[2] % n),
        residual=None if product.residual is None else pad(product.residual, m, n),
    )


def bit_planes(values: Int64, bits: int) -> Int64:
    """Operands (beats x ...) as planes of one bit each, the highest first, each of all beats."""
    return np.concatenate([values >> place & 1 for place in reversed(range(bits))])


def _mode_texts(spec: HardwareSpec, mode_bits: int | None, beats: int) -> list[list[str]]:
    """The text of ``MODES`` for each beat of a tile, ``beats`` of each plane."""
    if spec.mac_kind is MacKind.FIXED:
        return []
    if spec.mac_kind is MacKind.BIT_SERIAL:
        planes = mode_bits or spec.act.bits
        return [["0"] * beats + (["1"] + ["0"] * (beats - 1)) * (planes - 1)]
    index = spec.modes.index(mode_bits or spec.act.bits)
    return [[f"{index:0{(len(spec.modes) - 1).bit_length()}b}"] * beats]


def _output_stationary(spec: HardwareSpec, unpadded: MatrixProduct) -> Traffic:
    mode = spec.in_mode(unpadded.mode_bits)
    rows, cols, lanes = mode.rows, mode.cols, mode.lanes
    product = _padded(unpadded, m=rows, k=lanes, n=cols)
    m_tiles, beats, n_tiles = (
        size // step for size, step in zip(product.shape, (rows, lanes, cols), strict=True)
    )
    act = product.act.reshape(m_tiles, rows, beats, lanes).swapaxes(1, 2)
    weight = product.weight.reshape(beats, lanes, n_tiles, cols).transpose(2, 0, 3, 1)

    act_bits = rows * spec.lanes * spec.operand_words * spec.act.bits

    @lru_cache(maxsize=max(1, TEXT_CACHE_BYTES // (beats * act_bits)))
    def act_text(tile: int) -> list[str]:
        words = operand_words(spec, act[tile], unpadded.mode_bits, act=True)
        return pack(words if mode.planes == 1 else bit_planes(words, mode.planes), spec.beat_act_bits)

    def operands() -> Beats:
        last = ["0"] * (mode.planes * beats - 1) + ["1"]
        modes = _mode_texts(spec, unpadded.mode_bits, beats)
        for n_tile in range(n_tiles):
            weight_words = operand_words(spec, weight[n_tile], unpadded.mode_bits, act=False)
            weight_text = pack(weight_words, spec.weight.bits) * mode.planes
            for m_tile in range(m_tiles):
                yield from zip(act_text(m_tile), weight_text, last, *modes, strict=True)

    result = matmul(product.act, product.weight, mode.weight)
    sources: dict[str, Beats] = {"in": operands()}
    value_bits = spec.acc_bits
    if spec.requantiser is not None:
        sources["scale"] = _scales(spec, spec.requantiser, product)
        value_bits = max(spec.acc_bits, spec.requantiser.level_bits)
    if product.scale is not None:
        result = product.scale.levels(result, product.residual)
    expected = result.reshape(m_tiles, rows, n_tiles, cols).transpose(2, 0, 3, 1)
    if spec.drain is Drain.WIDE:
        expected = expected.swapaxes(2, 3)

    def where(beat: int, element: int) -> str:
        if spec.drain is Drain.WIDE:
            tile, (row, column) = beat, divmod(element, cols)
        else:
            (tile, column), row = divmod(beat, cols), element
        n_tile, m_tile = divmod(tile, m_tiles)
        return (
            f"row {m_tile * rows + row}, column {n_tile * cols + column} "
            f"(array row {row}, array column {column}, tile {tile})"
        )

    return Traffic(
        sources=sources,
        expected=expected.reshape(-1, spec.values_per_beat),
        last=np.tile(np.arange(1, spec.drain_cycles + 1) == spec.drain_cycles, n_tiles * m_tiles),
        value_bits=value_bits,
        signed=product.scale is None,
        where=where,
    )


def _constants(
    spec: HardwareSpec, requantiser: RequantiserSpec, product: MatrixProduct
) -> dict[str, tuple[Int64, int]]:
    """Every constant of all channels, N x values, and the bits of a value."""
    n = product.shape[2]
    zeros = np.zeros((n, 1), dtype=np.int64)
    raw = zeros + (product.scale is None)
    if requantiser.kind is RequantiserKind.THRESHOLD:
        none = Thresholds(thresholds=np.zeros((n, 1, 1), dtype=np.int64), sign=np.ones(n, dtype=np.int64))
        scale = product.scale if isinstance(product.scale, Thresholds) else none
        return {
            "thresholds": (scale.words(requantiser, spec.acc_bits), spec.acc_bits),
            "negative": ((scale.sign[:, None] < 0).astype(np.int64), 1),
            "raw": (raw, 1),
        }
    # acc * 1 + 0, and the sum before the shift goes out: the exact accumulator.
    zero = zeros[:, 0]
    plain = Scale(mult=zero + 1, add=zero, shift=zero, residual_mult=zero, limit=0)
    given = product.scale if isinstance(product.scale, Scale) else plain
    bits = {
        "mult": requantiser.mult_bits,
        "add": requantiser.add_bits,
        "shift": requantiser.shift_bits,
        "residual_mult": requantiser.mult_bits,
    }
    columns = {name: (values[:, None], bits[name]) for name, values in given.columns.items()}
    return columns | {"limit": (zeros + given.limit, requantiser.level_bits), "raw": (raw, 1)}


def _scales(spec: HardwareSpec, requantiser: RequantiserSpec, product: MatrixProduct) -> Beats:
    """The constants of every output beat: column by column, for each tile again."""
    m, _k, n = product.shape
    constants = _constants(spec, requantiser, product)
    columns = list(zip(*(pack(*constants[name]) for name in scale_columns(requantiser)), strict=True))
    residual = np.zeros((m, n), dtype=np.int64) if product.residual is None else product.residual
    for n0 in range(0, n, spec.cols):
        for m0 in range(0, m, spec.rows):
            tile = residual[m0 : m0 + spec.rows, n0 : n0 + spec.cols]
            bits = requantiser.residual_bits
            residuals = [(text,) for text in pack(tile.T, bits)] if bits else [()] * spec.cols
            for column, text in zip(columns[n0 : n0 + spec.cols], residuals, strict=True):
                yield (*column, *text)


def _weight_stationary(spec: HardwareSpec, unpadded: MatrixProduct) -> Traffic:
    rows, cols, lanes = spec.rows, spec.cols, spec.lanes
    product = _padded(unpadded, m=1, k=rows * lanes, n=cols)
    m = product.shape[0]
    k_tiles, n_tiles = product.shape[1] // (rows * lanes), product.shape[2] // cols
    act = product.act.reshape(m, k_tiles, rows * lanes)
    weight = product.weight.reshape(k_tiles, rows, lanes, n_tiles, cols).transpose(3, 0, 1, 4, 2)

    def weights() -> Beats:
        for tile in weight.reshape(-1, rows, cols * lanes):
            yield from zip(pack(tile[::-1], spec.weight.bits))  # the bottom row first

    @lru_cache(maxsize=max(1, TEXT_CACHE_BYTES // (m * rows * lanes * spec.act.bits)))
    def act_text(tile: int) -> list[str]:
        return pack(act[:, tile], spec.act.bits)

    def operands() -> Beats:
        last = ["0"] * (m - 1) + ["1"]
        for _n_tile in range(n_tiles):
            for k_tile in range(k_tiles):
                yield from zip(act_text(k_tile), last, strict=True)

    # Partial sums: the tiles over K are added up outside the array.
    expected = np.empty((n_tiles, k_tiles, m, cols), dtype=np.int64)
    for k_tile in range(k_tiles):
        terms = slice(k_tile * rows * lanes, (k_tile + 1) * rows * lanes)
        partial = matmul(act[:, k_tile], product.weight[terms], spec.weight)
        expected[:, k_tile] = partial.reshape(m, n_tiles, cols).swapaxes(0, 1)

    def where(beat: int, column: int) -> str:
        tile, row = divmod(beat, m)
        n_tile, k_tile = divmod(tile, k_tiles)
        return (
            f"row {row}, column {n_tile * cols + column} "
            f"(partial sum {k_tile}, array column {column}, tile {tile})"
        )

    return Traffic(
        sources={"weight": weights(), "in": operands()},
        expected=expected.reshape(-1, cols),
        last=np.tile(np.arange(m) == m - 1, n_tiles * k_tiles),
        value_bits=spec.acc_bits,
        signed=True,
        where=where,
    )
