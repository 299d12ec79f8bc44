"""Weights as slices of the array's width, and everything as words in memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..golden.matmul import Int64, decode_weights
from ..spec import LayerSpec, WeightEncoding, WeightFormat
from .limits import HINT

Codes = npt.NDArray[np.uint16]


def slices(layer: LayerSpec, codes: npt.NDArray[np.integer], array: WeightFormat, most: int) -> Codes:
    """``layer``'s weight ``codes`` as slices of ``array``'s format, lowest first: slices x codes.shape.

    Slice j counts 2**(bits j) times. Odd weights compose without a rest, because sum_j 2**(bits j)
    (2 q_j - (2**bits - 1)) = 2 q - (2**(bits slices) - 1); two's complement by signed digits.

    Raises:
        InputError: the array's slices cannot compose the weights.
    """
    assert layer.weight is not None
    values = decode_weights(codes, layer.weight)
    if array.encoding is WeightEncoding.ODD:
        found = _odd(layer, values, array.bits)
    else:
        found = _signed_digits(layer, values, array)
    if len(found) > most:
        raise InputError(
            f"layer {layer.name!r}: its {layer.weight.bits}-bit weights take {len(found)} slices of "
            f"{array.bits} bits, the core has {most}: {HINT}"
        )
    return found


def _odd(layer: LayerSpec, values: Int64, bits: int) -> Codes:
    assert layer.weight is not None
    if layer.weight.encoding is not WeightEncoding.ODD:
        raise InputError(
            f"layer {layer.name!r}: {layer.weight.encoding.value} weights cannot run on an array of odd ones"
        )
    count = -(-layer.weight.bits // bits)
    q = (values + (1 << bits * count) - 1) >> 1
    return np.stack([(q >> bits * j) & ((1 << bits) - 1) for j in range(count)]).astype(np.uint16)


def _signed_digits(layer: LayerSpec, values: Int64, array: WeightFormat) -> Codes:
    bits, found = array.bits, []
    rest = values
    while True:
        digit = ((rest - array.min) & ((1 << bits) - 1)) + array.min
        found.append((digit & ((1 << bits) - 1)).astype(np.uint16))
        rest = (rest - digit) >> bits
        if not rest.any():
            return np.stack(found)
        if bits == 1 and (rest > 0).any():
            raise InputError(f"layer {layer.name!r}: weights above 0 cannot run on an array of 1-bit ones")


def to_bits(values: npt.NDArray[np.integer], bits: int) -> npt.NDArray[np.uint8]:
    """N x elements values of ``bits`` bits as n x (elements * bits) bits, lowest first."""
    if bits <= 8:
        spread = np.unpackbits(values.astype(np.uint8)[..., None], axis=-1, bitorder="little")[..., :bits]
    else:
        spread = ((values[..., None].astype(np.int64) >> np.arange(bits)) & 1).astype(np.uint8)
    return spread.reshape(len(values), -1)


def to_bytes(bits: Sequence[npt.NDArray[np.uint8]], word_bytes: int) -> bytes:
    """Words whose bits are given in parts, lowest first: little endian, ``word_bytes`` each, tail zero."""
    packed = np.packbits(np.concatenate(bits, axis=1), axis=1, bitorder="little")
    return np.pad(packed, ((0, 0), (0, word_bytes - packed.shape[1]))).tobytes()


def from_bytes(data: bytes, word_bytes: int, bits: int, elements: int) -> Int64:
    """The inverse for words of ``elements`` values of ``bits`` bits: words x elements, unsigned."""
    words = np.frombuffer(data, np.uint8).reshape(-1, word_bytes)
    spread = np.unpackbits(words, axis=1, bitorder="little")[:, : elements * bits]
    values: Int64 = spread.reshape(len(words), elements, bits).astype(np.int64) @ (1 << np.arange(bits))
    return values
