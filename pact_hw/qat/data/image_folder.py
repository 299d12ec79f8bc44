"""ImageNet as folders of image files: ``train/CLASS/*.JPEG`` and ``val/CLASS/*.JPEG``.

Images are read when they are asked for: the shorter side is resized, and the middle is cut out.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from ...errors import InputError
from ...files import read
from .images import Images

SUFFIXES = (".jpeg", ".jpg", ".png")


class ImageFolder:
    """The image files below ``folder``, a folder a class; classes are numbered in the order of names."""

    def __init__(self, folder: Path, *, size: int, classes: list[str] | None = None) -> None:
        self.size = size
        self.classes = classes or sorted(path.name for path in folder.iterdir() if path.is_dir())
        number = {name: index for index, name in enumerate(self.classes)}
        self.files = [
            path for path in sorted(folder.glob("*/*")) if path.suffix.lower() in SUFFIXES and path.is_file()
        ]
        if not self.files:
            raise InputError(f"{folder}: no image files ({', '.join(SUFFIXES)}) in folders of classes")
        if unknown := {path.parent.name for path in self.files} - number.keys():
            raise InputError(f"{folder}: class {min(unknown)!r} has no folder among the training images")
        self.labels = np.array([number[path.parent.name] for path in self.files], dtype=np.int64)

    def __len__(self) -> int:
        return len(self.files)

    def batch(self, index: npt.NDArray[np.int64]) -> Images:
        """The images at ``index`` (B x 3 x size x size), in its order.

        Raises:
            InputError: a file is no image.
        """
        files = [self.files[i] for i in index]
        levels = np.stack([read(path, lambda path=path: _read(path, self.size)) for path in files])  # type: ignore[misc]
        return Images(levels=levels, labels=self.labels[index])


def _read(path: Path, size: int) -> npt.NDArray[np.uint8]:
    from PIL import Image

    with Image.open(path) as file:
        image = file.convert("RGB")
    short = min(image.size)
    side = round(size * 256 / 224)  # the usual margin: 256 for 224
    image = image.resize(
        (round(image.width * side / short), round(image.height * side / short)), Image.Resampling.BILINEAR
    )
    left, top = (image.width - size) // 2, (image.height - size) // 2
    return np.asarray(image.crop((left, top, left + size, top + size))).transpose(2, 0, 1)


def imagenet(data: Path, *, size: int = 224) -> tuple[ImageFolder, ImageFolder]:
    """Training and validation images.

    Raises:
        InputError: the folders are not there.
    """
    for folder in (data / "imagenet", data):
        if (folder / "train").is_dir() and (folder / "val").is_dir():
            training = ImageFolder(folder / "train", size=size)
            return training, ImageFolder(folder / "val", size=size, classes=training.classes)
    raise InputError(
        f"{data}: ImageNet is not here: image files belong in {data}/imagenet/train/CLASS/ "
        f"and {data}/imagenet/val/CLASS/"
    )
