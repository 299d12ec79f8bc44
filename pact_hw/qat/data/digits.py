"""scikit-learn's handwritten digits, which come with the package."""

from __future__ import annotations

import numpy as np

from .images import Images

HELD_OUT = 0.2
"""The share of the images that training never sees."""


def digits(seed: int) -> tuple[Images, Images]:
    """1,797 handwritten digits (8 x 8 pixels of 0..16), as training and held-out part.

    The split keeps the classes' shares and depends on ``seed`` only.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)
    levels = np.rint(images * (255 / 16)).astype(np.uint8).reshape(-1, 1, 8, 8)
    parts = train_test_split(
        levels, labels.astype(np.int64), test_size=HELD_OUT, random_state=seed, stratify=labels
    )
    train_levels, test_levels, train_labels, test_labels = parts
    return (
        Images(levels=train_levels, labels=train_labels),
        Images(levels=test_levels, labels=test_labels),
    )
