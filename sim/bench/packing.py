"""Between numbers and the binary text in which the simulator's interface takes and gives values.

Text, and not integers, because whole tiles can then be packed by numpy and a beat is a slice.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Int64 = npt.NDArray[np.int64]


def pack(values: npt.NDArray[np.integer], bits: int) -> list[str]:
    """Each row of ``values`` (beats x elements) as binary text, element 0 in the lowest ``bits``.

    Negative values are written in two's complement.
    """
    beats, elements = values.shape
    word = ">i2" if bits <= 16 else ">i8"
    # Highest element first, as binary text is written; uint16 codes keep their bits in int16.
    ordered = np.ascontiguousarray(values[:, ::-1]).astype(word, casting="unsafe")
    in_bytes = ordered.view(np.uint8).reshape(beats, elements, -1)
    digits = np.unpackbits(in_bytes, axis=-1)[..., -bits:] + ord("0")
    text = digits.tobytes().decode("ascii")
    width = elements * bits
    return [text[start : start + width] for start in range(0, beats * width, width)]


def unpack(beats: list[str], bits: int, *, signed: bool) -> Int64:
    """The inverse of ``pack``: beats x elements."""
    digits = np.frombuffer("".join(beats).encode("ascii"), dtype=np.uint8) - ord("0")
    digits = digits.reshape(len(beats), -1, bits)[:, ::-1]
    extension = digits[..., :1] * np.uint8(signed)
    wide = np.concatenate([np.repeat(extension, 64 - bits, axis=-1), digits], axis=-1)
    return np.packbits(wide, axis=-1).view(">i8")[..., 0].astype(np.int64)


def pad(values: Int64, *multiples: int) -> Int64:
    """``values`` with zeros appended, so that each dimension is a multiple of its ``multiples``."""
    return np.pad(values, [(0, -size % step) for size, step in zip(values.shape, multiples, strict=True)])
