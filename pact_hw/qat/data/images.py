"""Images as unsigned integer levels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt


class ImageSource(Protocol):
    """Labelled images that can be read in batches of any order."""

    def __len__(self) -> int:
        """How many images."""

    def batch(self, index: npt.NDArray[np.int64]) -> Images:
        """The images at ``index``, in its order."""


@dataclass(frozen=True, kw_only=True)
class Images:
    """``levels`` (B x C x Y x X, uint8, 0..255) and ``labels`` (B, int64)."""

    levels: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, index: npt.NDArray[np.int64]) -> Images:
        """The images at ``index``, in its order."""
        return Images(levels=self.levels[index], labels=self.labels[index])
