"""SVHN (Netzer et al., 2011), cropped digits: 32 x 32 colour images in MATLAB files.

The paper's network reads 40 x 40 pixels: ``size`` resizes them (bilinear, as Pillow does it).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ...errors import InputError
from ...files import read
from .files import find_folder
from .images import Images
from .resize import resize

FILES = ("train_32x32.mat", "test_32x32.mat")


def _read(path: Path, size: int) -> Images:
    from scipy.io import loadmat

    def load() -> tuple[Any, Any]:
        found = loadmat(path, variable_names=("X", "y"))
        return found["X"], found["y"]

    pixels, labels = read(path, load)
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[:3] != (32, 32, 3):
        raise InputError(f"{path}: X must be bytes, 32 x 32 x 3 x images, not {pixels.dtype} {pixels.shape}")
    labels = np.asarray(labels).reshape(-1).astype(np.int64)
    if len(labels) != pixels.shape[3] or not len(labels) or not 1 <= labels.min() <= labels.max() <= 10:
        raise InputError(f"{path}: y must be {pixels.shape[3]} labels from 1 to 10")
    levels = np.ascontiguousarray(pixels.transpose(3, 2, 0, 1))
    return Images(levels=resize(levels, size), labels=labels % 10)  # the file calls the digit 0 ten


def svhn(data: Path, *, size: int = 40) -> tuple[Images, Images]:
    """Training and test images (B x 3 x size x size).

    Raises:
        InputError: the files are not there, or are not SVHN.
    """
    folder = find_folder(data, "SVHN (cropped digits)", folders=("svhn",), files=FILES)
    training, test = (_read(folder / name, size) for name in FILES)
    return training, test
