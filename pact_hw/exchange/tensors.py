"""The numbers in a model: every size is checked before anything is unpacked."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError

Array = npt.NDArray[Any]

MAX_ELEMENTS = 1 << 27
"""Elements of one tensor."""
MAX_BYTES = 1 << 32
"""Of all tensors, at 8 bytes an element."""

# TensorProto.DataType -> numpy's type, and the field that holds it where it is not raw bytes.
_TYPES: dict[int, tuple[str, str]] = {
    1: ("<f4", "float_data"),
    2: ("u1", "int32_data"),
    3: ("i1", "int32_data"),
    4: ("<u2", "int32_data"),
    5: ("<i2", "int32_data"),
    6: ("<i4", "int32_data"),
    7: ("<i8", "int64_data"),
    9: ("?", "int32_data"),
    11: ("<f8", "double_data"),
}
_EXTERNAL = 1  # TensorProto.DataLocation


def check_sizes(tensors: Iterable[Any]) -> None:
    """Refuse, with InputError, TensorProtos that are too large, one by one or together."""
    left = MAX_BYTES
    for tensor in tensors:
        left -= 8 * math.prod(_shape(tensor))
        if left < 0:
            raise InputError(f"tensor {tensor.name!r}: the tensors have more than {MAX_BYTES} bytes in all")


def unpack(tensor: Any, folder: Path) -> Array:
    """The values of the TensorProto ``tensor``, which then holds them itself."""
    values = tensor_array(tensor, folder)
    tensor.ClearField("external_data")
    tensor.ClearField("data_location")
    tensor.raw_data = np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<")).tobytes()
    return values


def _shape(tensor: Any) -> tuple[int, ...]:
    shape = tuple(int(size) for size in tensor.dims)
    if any(size < 0 for size in shape) or math.prod(shape) > MAX_ELEMENTS or len(shape) > 8:
        raise InputError(
            f"tensor {tensor.name!r}: shape {shape} is not usable (at most {MAX_ELEMENTS} elements)"
        )
    return shape


def tensor_array(tensor: Any, folder: Path) -> Array:
    """The values of the TensorProto ``tensor``; those outside the file are read from ``folder`` only.

    Raises:
        InputError: its type, shape or amount of data is not usable, or a value is not finite.
    """
    name = tensor.name
    shape = _shape(tensor)
    count = math.prod(shape)
    if tensor.data_type not in _TYPES:
        raise InputError(f"tensor {name!r}: data type {tensor.data_type} is not supported")
    code, field = _TYPES[tensor.data_type]
    dtype = np.dtype(code)
    if tensor.data_location == _EXTERNAL:
        values = np.frombuffer(_external(tensor, folder, count * dtype.itemsize), dtype)
    elif tensor.HasField("raw_data"):
        if len(tensor.raw_data) != count * dtype.itemsize:
            raise InputError(
                f"tensor {name!r}: {len(tensor.raw_data)} bytes of data, but shape {shape} needs "
                f"{count * dtype.itemsize}"
            )
        values = np.frombuffer(tensor.raw_data, dtype)
    else:
        given = getattr(tensor, field)
        if len(given) != count:
            raise InputError(f"tensor {name!r}: {len(given)} values, but shape {shape} needs {count}")
        values = np.array(given, dtype=np.float64 if dtype.kind == "f" else np.int64).astype(dtype)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise InputError(f"tensor {name!r} has a value that is NaN or infinite")
    return values.astype(dtype.newbyteorder("=")).reshape(shape)


def _external(tensor: Any, folder: Path, size: int) -> bytes:
    """``size`` bytes of the file in ``folder`` that ``tensor`` names."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    where = f"tensor {tensor.name!r}: its data file {location!r}"
    root = folder.resolve()
    try:
        path = (root / location).resolve()
        offset, length = int(entries.get("offset", "0")), int(entries.get("length", str(size)))
    except (OSError, ValueError, RuntimeError):
        raise InputError(f"{where} cannot be used") from None
    if not location or not path.is_relative_to(root):
        raise InputError(f"{where} is not inside the model's folder")
    if not path.is_file():
        raise InputError(f"{where} does not exist")
    if length != size or offset < 0 or offset + size > path.stat().st_size:
        raise InputError(f"{where} does not hold the {size} bytes that its shape needs")
    with path.open("rb") as file:
        file.seek(offset)
        data: bytes = file.read(size)
    return data
