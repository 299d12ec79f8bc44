"""What a network's operations make of its integer values, whatever the network is read from.

Sums begin at a convolution, a linear layer, a concatenation or an addition, and wait for a quantiser;
batch normalisation is folded into them. What cannot be computed in integers exactly is refused with
the path of its module (or the name of its node).
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from torch import nn

from ...errors import InputError
from ...spec import LayerKind
from ..layers import QuantConv2d, QuantLinear
from .affine import Affine, batch_norm
from .builder import Builder
from .values import Levels, Pixels, Sums, covering, weight_intervals

Value = Pixels | Levels | Sums


def refuse(path: str, why: str) -> InputError:
    """The refusal of the module at ``path``."""
    return InputError(f"module {path!r} cannot be converted: {why}")


class Operations:
    """The operations of a network whose layers ``builder`` collects; ``path`` is named in refusals."""

    def __init__(self, builder: Builder) -> None:
        self.builder = builder

    def levels(self, path: str, x: Value) -> Levels:
        """``x`` as integers: sums of levels without batch normalisation are integers as they are."""
        if isinstance(x, Sums):
            return self.builder.exact(x)
        if isinstance(x, Pixels):
            raise refuse(path, "it reads the image, which no quantiser has made integers")
        return x

    def convolution(self, path: str, conv: QuantConv2d, x: Levels) -> Sums:
        """The sums of ``conv``'s codes: square kernels, any stride, padding and groups, no dilation."""
        kernel, stride, dilation = (set(t) for t in (conv.kernel_size, conv.stride, conv.dilation))
        padding: set[Any] = {conv.padding} if isinstance(conv.padding, str) else set(conv.padding)
        if padding == {"valid"}:
            padding = {0}
        if padding == {"same"} and all(k % 2 for k in kernel):
            padding = {k // 2 for k in kernel}
        if any(len(values) > 1 for values in (kernel, stride, padding)) or dilation != {1}:
            raise refuse(path, "its kernel, stride and padding must be square, its dilation 1")
        if padding == {"same"} or conv.padding_mode != "zeros":
            raise refuse(path, f"padding {conv.padding!r}, {conv.padding_mode}")
        if x.stride != 1 or x.channels != x.shape[0]:
            raise refuse(path, "it reads every second pixel, or channels of zeros, of another layer")
        k, s, p = kernel.pop(), stride.pop(), int(padding.pop()) + x.padding
        pixels = tuple((size + 2 * (p - x.padding) - k) // s + 1 for size in x.shape[1:])
        geometry = {"kernel": k, "stride": s, "padding": p, "groups": conv.groups}
        return self._weighted(path, LayerKind.CONV, conv, x, (conv.out_channels, *pixels), geometry)

    def linear(self, path: str, linear: QuantLinear, x: Levels) -> Sums:
        """The sums of ``linear``'s codes."""
        if not x.plain or not (x.flat or x.shape[1:] == (1, 1)):
            raise refuse(path, "it must read flattened levels")
        return self._weighted(path, LayerKind.LINEAR, linear, x, (linear.out_features, 1, 1), {})

    def _weighted(
        self,
        path: str,
        kind: LayerKind,
        layer: QuantConv2d | QuantLinear,
        x: Levels,
        shape: tuple[int, ...],
        geometry: dict[str, int],
    ) -> Sums:
        quantiser, weight = layer.weight_quantiser, layer.weight.detach()
        # What the highest level is worth is what the quantisers define: a clip, or 1.
        top = quantiser.format.max
        scale = Fraction(quantiser.scale(weight).item() * top) / top * x.value
        codes = layer.codes().detach().cpu().numpy()
        bias = [0.0] * shape[0] if layer.bias is None else layer.bias.tolist()
        return Sums(
            path=path,
            kind=kind,
            source=x,
            shape=(shape[0], shape[1], shape[2]),
            affines=[Affine(scale=scale, offset=Fraction(b)) for b in bias],
            intervals=weight_intervals(codes, quantiser.format, x.act),
            act=x.act,
            weight=quantiser.format,
            codes=codes,
            geometry=geometry,
            flat=kind is LayerKind.LINEAR,
        )

    def batch_norm(self, path: str, norm: nn.BatchNorm1d | nn.BatchNorm2d, x: Value) -> Sums:
        """``x`` with ``norm`` folded into its channels' scales and offsets."""
        if isinstance(x, Pixels):
            raise refuse(path, "it reads the image, which no quantiser has made integers")
        sums = x if isinstance(x, Sums) else self.builder.identity(path, x)
        factors = batch_norm(norm)
        if len(factors) != sums.shape[0]:
            raise refuse(path, f"{len(factors)} channels, but it reads {sums.shape[0]}")
        return sums.map(lambda n, affine: affine.then(*factors[n]))

    def add(self, path: str, *operands: Value | None) -> Sums:
        """One operand's sums, with the other's levels as their residual."""
        if len(operands) == 1:
            operands = operands * 2  # x + x
        sums, residual = operands
        if isinstance(sums, Levels):
            sums, residual = residual, sums
        if isinstance(sums, Levels):
            sums = self.builder.identity(path, sums)
        if not isinstance(sums, Sums) or isinstance(residual, Pixels | None):
            raise refuse(path, "it adds something that is not quantised")
        if isinstance(residual, Sums):
            if residual.residual is not None or not self.builder.is_exact(residual):
                sums, residual = residual, sums
            if not self.builder.is_exact(residual):
                raise refuse(path, f"neither {sums.path!r} nor {residual.path!r} is quantised before the sum")
            residual = self.builder.exact(residual)
        if sums.residual is not None or residual.padding:
            raise refuse(path, "more than two operands before a quantiser")
        if residual.shape != sums.shape:
            raise refuse(path, f"shapes {sums.shape} and {residual.shape}")
        value = residual.value
        added = sums.map(lambda _, a: Affine(scale=a.scale, offset=a.offset, residual_scale=value))
        added.residual = residual
        return added

    def concatenate(self, path: str, operands: list[Value | None]) -> Value:
        """``operands``' channels behind one another, each with its own scale."""
        parts = []
        for operand in operands:
            if operand is None:
                raise refuse(path, "it concatenates something that is not quantised")
            parts.append(self.levels(path, operand))
        first = parts[0]
        if not all(part.plain and not part.flat for part in parts):
            raise refuse(path, "it concatenates parts of layers")
        act = covering(*(part.act for part in parts))
        return Sums(
            path=path,
            kind=LayerKind.CONCAT,
            source=first,
            others=tuple(parts[1:]),
            shape=(sum(part.shape[0] for part in parts), *first.shape[1:]),
            affines=[Affine(scale=part.value) for part in parts for _ in range(part.shape[0])],
            intervals=[(part.act.min, part.act.max) for part in parts for _ in range(part.shape[0])],
            act=act,
        )

    def flatten(self, path: str, x: Value) -> Value:
        """``x`` as features."""
        if isinstance(x, Pixels) or (isinstance(x, Levels) and not x.plain):
            raise refuse(path, "it flattens something that is not a layer's whole output")
        return type(x)(**{**vars(x), "flat": True})

    def take_pixels(self, path: str, x: Value, index: Any) -> Levels:
        """``x[index]``: every n-th pixel along both axes."""
        levels = self.levels(path, x)
        whole, steps = (slice(None), slice(None, None, 1)), []
        index = tuple(index) + (slice(None),) * (4 - len(index))
        for part in index[2:]:
            if not isinstance(part, slice) or part.start not in (None, 0) or part.stop is not None:
                raise refuse(path, f"slice {index}")
            steps.append(part.step or 1)
        if any(part not in whole for part in index[:2]) or steps[0] != steps[1] or not levels.plain:
            raise refuse(path, f"slice {index}")
        c, y, x_size = levels.shape
        pixels = (-(-y // steps[0]), -(-x_size // steps[0]))
        return Levels(**{**vars(levels), "stride": steps[0], "shape": (c, *pixels)})

    def pad(self, path: str, x: Value, amounts: Any) -> Levels:
        """``F.pad(x, amounts)``: equally many zeros around, and channels of zeros."""
        levels = self.levels(path, x)
        amounts = (amounts,) * 4 if isinstance(amounts, int) else tuple(amounts)
        left, right, top, bottom, before, after = (*amounts, 0, 0, 0, 0)[:6]
        if len({left, right, top, bottom}) > 1 or min(left, before, after) < 0 or len(amounts) > 6:
            raise refuse(path, f"padding {amounts}")
        c, y, x_size = levels.shape
        return Levels(
            **{
                **vars(levels),
                "shape": (c + before + after, y + 2 * left, x_size + 2 * left),
                "channel": levels.channel + before,
                "padding": levels.padding + left,
            }
        )
