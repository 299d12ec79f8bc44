"""One integer layer of a network: what it reads, what it sums up, what it gives."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from typing import Any

from ..errors import InputError
from .formats import ActFormat, WeightEncoding, WeightFormat, check_int
from .requantiser import RequantiserKind

Shape = tuple[int, int, int]
"""Channels, height, width (C, Y, X)."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")


class LayerKind(enum.Enum):
    """What a layer computes before its requantiser."""

    CONV = "conv"
    """2-D convolution, K x C/groups x FY x FX weight codes, zero padding in the level domain."""
    LINEAR = "linear"
    """Matrix product over the flattened (C, Y, X) input; N x K weight codes."""
    SUM = "sum"
    """The sum over each channel's window: average pooling; with kernel 1 a requantiser alone."""
    MAX = "max"
    """The highest level in each channel's window (padding never is it); no requantiser."""
    CONCAT = "concat"
    """The channels of ``source``, then those of each of ``concat``."""

    @property
    def weighted(self) -> bool:
        """Whether the layer has weights, and so is a matrix product."""
        return self in (LayerKind.CONV, LayerKind.LINEAR)


@dataclass(frozen=True, kw_only=True)
class LayerSpec:
    """One integer layer: sums, then a requantiser (but for the logits, and for a maximum).

    ``source`` names the layer (or ``"input"``) that it reads; ``residual`` the one whose levels are
    added before requantising: output pixel (y, x) of channel n adds pixel (y, x) times
    ``residual_stride`` of the residual's channel ``n - residual_channel``, or 0 where there is none
    (the paper's option A shortcut).

    ``out`` is None for the layer whose accumulators are the logits. Where they have a bias, the
    logits are ``acc * 2**bias_shift + add``.
    """

    name: str
    kind: LayerKind
    source: str
    act: ActFormat
    weight: WeightFormat | None = None
    in_channels: int
    out_channels: int
    kernel: int = 1
    stride: int = 1
    padding: int = 0
    groups: int = 1
    concat: tuple[str, ...] = ()
    residual: str | None = None
    residual_act: ActFormat | None = None
    residual_stride: int = 1
    residual_channel: int = 0
    out: ActFormat | None = None
    requantiser: RequantiserKind = RequantiserKind.MULTIPLY_SHIFT
    bias_shift: int | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise InputError(f"layer name must match {_NAME.pattern}, not {self.name!r}")
        for name in ("in_channels", "out_channels"):
            check_int(name, getattr(self, name), 1, 1 << 20)
        check_int("kernel", self.kernel, 1, 15 if self.kind.weighted else 256)
        check_int("stride", self.stride, 1, 15 if self.kind.weighted else 256)
        check_int("padding", self.padding, 0, 15)
        check_int("residual_stride", self.residual_stride, 1, 15)
        check_int("residual_channel", self.residual_channel, 0, self.out_channels - 1)
        if self.bias_shift is not None:
            check_int("bias_shift", self.bias_shift, 0, 60)
        self._check_kind()
        if (self.residual is None) != (self.residual_act is None):
            raise InputError(f"layer {self.name!r}: residual and residual_act go together")
        if self.out is None and self.residual is not None:
            raise InputError(f"layer {self.name!r}: logits have no residual operand")
        if self.out is not None and self.bias_shift is not None:
            raise InputError(f"layer {self.name!r}: bias_shift is for logits; else the requantiser adds")

    def _check_kind(self) -> None:
        """Refuse members that the kind has no use for."""
        kind, name = self.kind, self.name
        geometry = (self.kernel, self.stride, self.padding)
        if kind is LayerKind.LINEAR and geometry != (1, 1, 0):
            raise InputError(f"layer {name!r}: a linear layer has kernel 1, stride 1 and padding 0")
        if kind.weighted != (self.weight is not None):
            raise InputError(
                f"layer {name!r}: {kind.value} goes {'with' if kind.weighted else 'without'} weights"
            )
        check_int("groups", self.groups, 1, self.in_channels if kind is LayerKind.CONV else 1)
        if self.in_channels % self.groups or self.out_channels % self.groups:
            raise InputError(
                f"layer {name!r}: {self.groups} groups must divide its input and output channels"
            )
        if kind is LayerKind.CONCAT:
            if not self.concat or geometry != (1, 1, 0):
                raise InputError(f"layer {name!r}: a concatenation has several sources and kernel 1")
        elif self.concat:
            raise InputError(f"layer {name!r}: only a concatenation has more than one source")
        if not kind.weighted and self.in_channels != self.out_channels:
            raise InputError(f"layer {name!r}: {kind.value} keeps the number of channels")
        if kind is LayerKind.MAX and (self.out != self.act or self.residual is not None):
            raise InputError(f"layer {name!r}: a maximum gives what it reads, {self.act}, and adds nothing")
        if kind is LayerKind.MAX and 2 * self.padding > self.kernel:
            raise InputError(
                f"layer {name!r}: padding {self.padding} is more than half of kernel {self.kernel}"
            )

    @property
    def reduction(self) -> int:
        """Terms of one output's sum (K of the matrix product)."""
        per_pixel = self.in_channels // self.groups if self.kind.weighted else 1
        return per_pixel * self.kernel * self.kernel

    @property
    def requantised(self) -> bool:
        """Whether the sums go through a requantiser."""
        return self.out is not None and self.kind is not LayerKind.MAX

    def out_shape(self, shape: Shape) -> Shape:
        """The output's (K, OY, OX) for an input of (C, Y, X); a linear layer flattens its input.

        Raises:
            InputError: the layer cannot read such an input.
        """
        c, y, x = shape
        linear = self.kind is LayerKind.LINEAR
        oy, ox = ((size + 2 * self.padding - self.kernel) // self.stride + 1 for size in (y, x))
        if (c * y * x if linear else c) != self.in_channels or min(oy, ox) < 1:
            raise InputError(f"layer {self.name!r} cannot read {self.source!r}, which has shape {shape}")
        return (self.out_channels, 1, 1) if linear else (self.out_channels, oy, ox)

    def check_residual(self, shape: Shape, residual: Shape) -> None:
        """Refuse a residual operand of shape ``residual`` that does not fit an output of ``shape``."""
        pixels = tuple(-(-size // self.residual_stride) for size in residual[1:])
        if pixels != shape[1:] or residual[0] + self.residual_channel > shape[0]:
            raise InputError(
                f"layer {self.name!r} of shape {shape} cannot add {self.residual!r} of shape {residual}"
            )

    def to_json(self) -> dict[str, Any]:
        """Plain JSON members."""
        weight = self.weight and {"bits": self.weight.bits, "encoding": self.weight.encoding.value}
        return {
            "name": self.name,
            "kind": self.kind.value,
            "source": self.source,
            "act": self.act.to_json(),
            "weight": weight,
            "in_channels": self.in_channels,
            "out_channels": self.out_channels,
            "kernel": self.kernel,
            "stride": self.stride,
            "padding": self.padding,
            "groups": self.groups,
            "concat": list(self.concat),
            "residual": self.residual,
            "residual_act": self.residual_act and self.residual_act.to_json(),
            "residual_stride": self.residual_stride,
            "residual_channel": self.residual_channel,
            "out": self.out and self.out.to_json(),
            "requantiser": self.requantiser.value,
            "bias_shift": self.bias_shift,
        }

    @classmethod
    def from_json(cls, members: Any) -> LayerSpec:
        """The layer that ``to_json`` wrote; raises InputError if it cannot be one."""

        def optional(name: str) -> ActFormat | None:
            return None if members[name] is None else ActFormat.from_json(members[name])

        try:
            weight = members["weight"]
            if weight is not None:
                weight = WeightFormat(bits=weight["bits"], encoding=WeightEncoding(weight["encoding"]))
            plain = (
                "kernel",
                "stride",
                "padding",
                "groups",
                "residual_stride",
                "residual_channel",
                "bias_shift",
            )
            return cls(
                name=str(members["name"]),
                kind=LayerKind(members["kind"]),
                source=str(members["source"]),
                act=ActFormat.from_json(members["act"]),
                weight=weight,
                in_channels=members["in_channels"],
                out_channels=members["out_channels"],
                concat=tuple(str(name) for name in members["concat"]),
                residual=members["residual"],
                residual_act=optional("residual_act"),
                out=optional("out"),
                requantiser=RequantiserKind(members["requantiser"]),
                **{name: members[name] for name in plain},
            )
        except InputError:
            raise
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"layer description: {type(error).__name__}: {error}") from None
