"""The data sets by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ...errors import InputError
from .cifar10 import cifar10
from .digits import digits
from .images import Images, ImageSource

DATA: dict[str, Callable[[int], tuple[Images, Images]]] = {"digits": digits}
"""Those that need no folder, by the network's name; the argument is the split's seed."""

DATA_SETS: dict[str, Callable[[Path], tuple[ImageSource, ImageSource]]] = {"cifar10": cifar10}
"""Those that are read from a folder: training and test images."""


def load(name: str, folder: Path | None, seed: int = 0) -> tuple[ImageSource, ImageSource]:
    """Training and test images of the data set ``name``.

    Raises:
        InputError: its files are not in ``folder``; the line says which belong where.
    """
    if name in DATA:
        return DATA[name](seed)
    if folder is None:
        raise InputError(f"data set {name!r} is read from a folder: give it with --data DIR")
    return DATA_SETS[name](folder)
