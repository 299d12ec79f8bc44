"""The data sets by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ...errors import InputError
from .cifar10 import cifar10
from .digits import digits
from .image_folder import imagenet
from .images import Images, ImageSource
from .svhn import svhn

DATA: dict[str, Callable[[int], tuple[Images, Images]]] = {"digits": digits}
"""Those that need no folder, by the network's name; the argument is the split's seed."""


def load(name: str, folder: Path | None, *, size: int, seed: int = 0) -> tuple[ImageSource, ImageSource]:
    """Training and test images of the data set ``name``, of ``size`` pixels along both axes.

    Raises:
        InputError: its files are not in ``folder``; the line says which belong where.
    """
    if name in DATA:
        return DATA[name](seed)
    if folder is None:
        raise InputError(f"data set {name!r} is read from a folder: say which with --data DIR")
    if name == "cifar10":
        return cifar10(folder)
    return svhn(folder, size=size) if name == "svhn" else imagenet(folder, size=size)
