"""Pooling as integer layers: a maximum, or a sum over windows whose size goes into the scale."""

from __future__ import annotations

from typing import Any

from torch import nn

from ...errors import InputError
from ...spec import LayerKind
from .affine import Affine
from .builder import Builder
from .values import Levels, Sums


def _square(path: str, **values: Any) -> list[int]:
    """Each value, which is a number or a pair of equal ones."""
    found = []
    for name, value in values.items():
        sizes = set(value) if isinstance(value, tuple | list) else {value}
        if len(sizes) != 1:
            raise InputError(f"module {path!r} cannot be converted: {name} {value} must be square")
        found.append(int(sizes.pop()))
    return found


def _windows(x: Levels, kernel: int, stride: int, padding: int) -> tuple[int, int]:
    y, width = ((size + 2 * padding - kernel) // stride + 1 for size in x.shape[1:])
    return y, width


def _check(path: str, x: Levels, module: Any, kernel: int, stride: int, padding: int) -> None:
    """Refuse pooling of parts of layers, and windows that lie partly outside (``ceil_mode``)."""
    if not x.plain or x.flat:
        raise InputError(f"module {path!r} cannot be converted: it pools a part of a layer, or a flat one")
    uneven = any((size + 2 * padding - kernel) % stride for size in x.shape[1:])
    if getattr(module, "ceil_mode", False) and uneven:
        raise InputError(f"module {path!r} cannot be converted: ceil_mode")


def max_pool(path: str, pool: nn.MaxPool2d, x: Levels, builder: Builder) -> Levels:
    """The greatest levels: of levels, and so worth the same."""
    kernel, stride, padding, dilation = _square(
        path,
        kernel=pool.kernel_size,
        stride=pool.stride,
        padding=pool.padding,
        dilation=pool.dilation,
    )
    if dilation != 1:
        raise InputError(f"module {path!r} cannot be converted: dilation {dilation}")
    _check(path, x, pool, kernel, stride, padding)
    geometry = {"kernel": kernel, "stride": stride, "padding": padding}
    return builder.maximum(path, x, (x.shape[0], *_windows(x, kernel, stride, padding)), geometry)


def average_pool(path: str, pool: nn.AvgPool2d | nn.AdaptiveAvgPool2d, x: Levels) -> Sums:
    """The exact sum of each window; an average is worth ``1 / (kernel * kernel)`` of it."""
    if isinstance(pool, nn.AdaptiveAvgPool2d):
        (count,) = _square(path, output_size=pool.output_size)
        (size,) = _square(path, input_size=x.shape[1:])
        if count < 1 or size % count:
            raise InputError(f"module {path!r} cannot be converted: {size} pixels to {count}")
        kernel = stride = size // count
        padding = 0
    else:
        kernel, stride, padding = _square(
            path, kernel=pool.kernel_size, stride=pool.stride, padding=pool.padding
        )
        if padding and not pool.count_include_pad:
            raise InputError(f"module {path!r} cannot be converted: windows of different sizes")
    _check(path, x, pool, kernel, stride, padding)
    size = getattr(pool, "divisor_override", None) or kernel * kernel
    window = kernel * kernel
    return Sums(
        path=path,
        kind=LayerKind.SUM,
        source=x,
        shape=(x.shape[0], *_windows(x, kernel, stride, padding)),
        affines=[Affine(scale=x.value / size)] * x.shape[0],
        intervals=[(window * x.act.min, window * x.act.max)] * x.shape[0],
        act=x.act,
        geometry={"kernel": kernel, "stride": stride, "padding": padding},
    )
