"""Reading pickles of plain data and numpy arrays without executing anything that they name."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import InputError


class _NdArray:
    """Stands where the pickle names the class of arrays; nothing is made of it."""


def _array(*_: Any) -> np.ndarray:
    """What ``numpy._reconstruct`` gives: an array whose state follows in the pickle."""
    return np.empty(0, dtype=np.uint8)


def _dtype(name: str | bytes, *_: Any) -> np.dtype[Any]:
    return np.dtype(name.decode() if isinstance(name, bytes) else name)


def _encode(text: str, encoding: str = "latin1") -> bytes:
    return text.encode("latin1")


_HARMLESS = {
    ("numpy.core.multiarray", "_reconstruct"): _array,
    ("numpy._core.multiarray", "_reconstruct"): _array,
    ("numpy", "ndarray"): _NdArray,
    ("numpy", "dtype"): _dtype,
    ("_codecs", "encode"): _encode,
}


class _PlainUnpickler(pickle.Unpickler):
    """Finds arrays and their types; every other name is refused before anything runs."""

    def find_class(self, module: str, name: str) -> Any:
        """The harmless object called ``module.name``."""
        try:
            return _HARMLESS[module, name]
        except KeyError:
            raise InputError(f"names {module}.{name}, which is no plain data") from None


def load_plain_pickle(path: Path) -> Any:
    """What the pickle at ``path`` holds: dictionaries, lists, strings, numbers and numpy arrays.

    Raises:
        InputError: it names anything else; nothing of it has run then.
    """
    with path.open("rb") as file:
        try:
            return _PlainUnpickler(file, encoding="bytes").load()
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
