"""Resizing of images of bytes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def resize(levels: npt.NDArray[np.uint8], size: int) -> npt.NDArray[np.uint8]:
    """``levels`` (B x C x Y x X) bilinearly to B x C x size x size; unchanged where it has the size."""
    if levels.shape[2:] == (size, size):
        return levels
    from PIL import Image

    result = np.empty((*levels.shape[:2], size, size), dtype=np.uint8)
    for image, out in zip(levels.reshape(-1, *levels.shape[2:]), result.reshape(-1, size, size), strict=True):
        out[:] = np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR))
    return result
