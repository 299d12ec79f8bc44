"""Layers in strips: some lines of the result at a time, from as many of the operands as these read."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import NamedTuple

from .work import Work


class Lines(NamedTuple):
    """Lines of a tensor, its border's included, from ``top`` to before ``end``."""

    top: int
    end: int

    def __str__(self) -> str:
        return f"{self.top}:{self.end}"

    @property
    def height(self) -> int:
        """How many there are."""
        return self.end - self.top


def source_lines(work: Work, result: Lines) -> Lines:
    """Lines of the source's tensor that ``result``, lines of the layer's output, reads."""
    source, (kernel, stride, padding) = work.source, work.y
    first = min(max(0, result.top * stride - padding), source.height - 1)
    end = max(first + 1, min(source.height, (result.end - 1) * stride - padding + kernel))
    return Lines(source.top + first, source.top + end)


def residual_lines(work: Work, result: Lines) -> Lines:
    """Lines of the residual operand's tensor that ``result`` reads."""
    assert work.residual is not None
    top, stride = work.residual.top, work.residual.stride
    return Lines(top + result.top * stride, top + (result.end - 1) * stride + 1)


def lines_read(work: Work, result: Lines) -> dict[str, Lines]:
    """Lines of each tensor that ``result`` reads."""
    found = {}
    if work.source.words:
        found[work.source.tensor] = source_lines(work, result)
    if work.residual is not None:
        mine, other = residual_lines(work, result), found.get(work.residual.tensor)
        both = mine if other is None else Lines(min(mine.top, other.top), max(mine.end, other.end))
        found[work.residual.tensor] = both
    return found


def strip_name(tensor: str, lines: Lines, reader: str = "") -> str:
    """What a strip is called, as it was written or as ``reader`` has it brought."""
    return f"{tensor}[{lines}]" + (f" for {reader}" if reader else "")


def cut(work: Work, result: Lines, read: dict[str, Lines], memory: Collection[str]) -> Work:
    """``work`` for the lines ``result`` of its output.

    Of tensors in ``memory`` the lines ``read`` are in the buffer, and ``result``; of others everything.
    """
    source, residual = work.source, work.residual
    mine = source_lines(work, result)
    top, name = mine.top, source.tensor
    if source.tensor in memory:
        lines = read[source.tensor]
        top, name = mine.top - lines.top, strip_name(source.tensor, lines, work.layer)
    if residual is not None and residual.tensor in memory:
        lines = read[residual.tensor]
        residual = replace(
            residual,
            tensor=strip_name(residual.tensor, lines, work.layer),
            top=residual.top - lines.top,
        )
    written = work.layer in memory
    return replace(
        work,
        source=replace(source, tensor=name, top=top, height=mine.height),
        y=work.y._replace(padding=work.y.padding + mine.top - source.top),
        residual=residual,
        top=result.top,
        out_height=result.height,
        target=strip_name(work.layer, result) if written else "",
        target_top=result.top if written else 0,
        macs=work.macs * result.end // work.out_height - work.macs * result.top // work.out_height,
    )


def cut_lines(height: int, lines: int) -> list[Lines]:
    """``height`` lines, ``lines`` at a time."""
    return [Lines(top, min(top + lines, height)) for top in range(0, height, lines)]
