"""CIFAR-10 (Krizhevsky, 2009): 32 x 32 colour images of ten classes, in the two layouts it is published in.

- ``cifar-10-batches-bin``: records of 3,073 bytes, the label and then 1,024 red, green and blue pixels;
- ``cifar-10-batches-py``: the same as pickled dictionaries, read without executing the pickle's code.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import InputError
from ...files import read
from .files import find_folder
from .images import Images
from .plain_pickle import load_plain_pickle

_RECORD = 1 + 3 * 32 * 32
_TRAIN = tuple(f"data_batch_{i}" for i in range(1, 6))
_BINARY = tuple(f"{name}.bin" for name in (*_TRAIN, "test_batch"))
_PYTHON = (*_TRAIN, "test_batch")


def _from_bytes(path: Path) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    records = np.fromfile(path, dtype=np.uint8)
    if len(records) == 0 or len(records) % _RECORD:
        raise InputError(f"{path}: {len(records)} bytes are no whole number of records of {_RECORD} bytes")
    records = records.reshape(-1, _RECORD)
    return records[:, 1:], records[:, 0].astype(np.int64)


def _from_pickle(path: Path) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    batch: Any = load_plain_pickle(path)
    if not isinstance(batch, dict):
        raise InputError(f"{path}: is no dictionary of images and labels")
    entries = {k.decode() if isinstance(k, bytes) else k: v for k, v in batch.items()}
    pixels, labels = entries.get("data"), np.array(entries.get("labels", ()), dtype=np.int64)
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.shape != (len(labels), 3072):
        raise InputError(f"{path}: 'data' must be bytes, 3072 for each of the {len(labels)} 'labels'")
    return pixels, labels


def _read(path: Path) -> Images:
    pixels, labels = read(path, lambda: (_from_bytes if path.suffix == ".bin" else _from_pickle)(path))
    if len(labels) == 0 or not 0 <= labels.min() <= labels.max() <= 9:
        raise InputError(f"{path}: labels must be from 0 to 9")
    return Images(levels=np.ascontiguousarray(pixels).reshape(-1, 3, 32, 32), labels=labels)


def _layout(data: Path) -> tuple[Path, str]:
    """The folder that holds CIFAR-10, and the suffix of its files."""
    try:
        return find_folder(data, "CIFAR-10", folders=("cifar-10-batches-bin",), files=_BINARY), ".bin"
    except InputError as missing:
        try:
            return find_folder(data, "CIFAR-10", folders=("cifar-10-batches-py",), files=_PYTHON), ""
        except InputError:
            python = f"or the python layout's files in {data}/cifar-10-batches-py/"
            raise InputError(f"{missing}, {python}") from None


def cifar10(data: Path) -> tuple[Images, Images]:
    """Training and test images, in the official order (B x 3 x 32 x 32).

    Raises:
        InputError: the files are not there, or are not CIFAR-10.
    """
    folder, suffix = _layout(data)
    parts = [_read(folder / f"{name}{suffix}") for name in _TRAIN]
    training = Images(
        levels=np.concatenate([part.levels for part in parts]),
        labels=np.concatenate([part.labels for part in parts]),
    )
    return training, _read(folder / f"test_batch{suffix}")
