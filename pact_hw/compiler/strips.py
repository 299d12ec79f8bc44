"""A first layer whose image comes in strips: an operation each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ..spec.network import INPUT
from .image import Image
from .work import Steps, Work

ODD_STRIPS = "input 1"
"""Where every second strip of the image is put."""


def in_strips(work: Work, image: Image) -> Iterator[Work]:
    """``work`` cut into the strips in which ``image`` comes, if it reads it."""
    if work.source.tensor != INPUT or image.strips == 1:
        yield work
        return
    for strip in range(image.strips):
        top = strip * image.lines
        lines = min(image.lines, work.out_height - top)
        yield replace(
            work,
            source=replace(work.source, tensor=ODD_STRIPS if strip % 2 else INPUT, height=lines),
            y=Steps(1, 1, top),  # output line ``top`` is the strip's line 0
            top=top,
            out_height=lines,
            strip=strip,
            macs=work.macs * lines // work.out_height,
        )
