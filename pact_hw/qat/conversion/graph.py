"""A quantised network's fx graph, read as integer layers.

Values are walked through symbolically: a quantiser (PACT, or the signed one) ends a layer, whose
sums began at a convolution, a linear layer, average pooling, a concatenation or an addition. What
cannot be computed in integers exactly is refused with the module's path.
"""

from __future__ import annotations

import operator
from fractions import Fraction
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional as F  # noqa: N812 - its usual name

from ...errors import InputError
from ...progress import Advance
from ...spec import LayerKind
from ...spec.layer import Shape
from ..layers import QuantConv2d, QuantLinear
from ..normalise import Normalise
from ..pact import ActQuantiser
from .affine import Affine, batch_norm
from .builder import Builder
from .pooling import average_pool, max_pool
from .values import Levels, Pixels, Sums, covering, weight_intervals

Value = Pixels | Levels | Sums

_UNCHANGED = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d)
_FLATTEN = (torch.flatten, torch.reshape, "flatten", "view", "reshape")
_SIZES = (getattr, "size", "dim", operator.floordiv, operator.mul)


def refuse(path: str, why: str) -> InputError:
    """The refusal of the module at ``path``."""
    return InputError(f"module {path!r} cannot be converted: {why}")


class GraphReader:
    """Walks through ``model``'s graph and hands its layers to ``builder``."""

    def __init__(self, model: fx.GraphModule, shape: Shape, builder: Builder) -> None:
        self.model, self.shape, self.builder = model, shape, builder
        self.values: dict[fx.Node, Value | None] = {}

    def run(self, advance: Advance) -> None:
        """Read every node."""
        for node in self.model.graph.nodes:
            advance(1)
            if node.op == "placeholder":
                self.values[node] = Pixels(shape=self.shape)
            elif node.op == "output":
                self._output(node)
            else:
                self.values[node] = self._visit(node)
                value = self.values[node]
                if isinstance(value, Levels):
                    self.builder.observe(node, value)
        for node, value in self.values.items():
            if isinstance(value, Sums) and (levels := self.builder.exact_levels(value)) is not None:
                self.builder.observe(node, levels)

    def _visit(self, node: fx.Node) -> Value | None:
        if node.op == "call_module":
            path = str(node.target)
            return self._module(path, self.model.get_submodule(path), self._operand(node))
        path = self._owner(node)
        if node.target in (operator.add, torch.add):
            return self._add(path, *(self.values[x] for x in node.all_input_nodes))
        if node.target in (torch.cat, torch.concat):
            return self._cat(path, [self.values[x] for x in node.all_input_nodes])
        if node.target in _SIZES or all(self.values[x] is None for x in node.all_input_nodes):
            return None
        if node.target is operator.getitem and not isinstance(node.args[1], tuple):
            return None  # one of the sizes
        value = self._operand(node)
        if node.target in _FLATTEN:
            return self._flatten(path, value)
        if node.target == "contiguous":
            return value
        if node.target is operator.getitem:
            return self._slice(path, value, node.args[1])
        if node.target is F.pad:
            return self._pad(path, value, node.args[1])
        raise refuse(path, f"{getattr(node.target, '__name__', node.target)}() has no integer form")

    def _module(self, path: str, module: nn.Module, x: Value) -> Value:
        if isinstance(module, ActQuantiser):
            return self.builder.quantise(path, module, x)
        if isinstance(module, Normalise) and isinstance(x, Pixels):
            return Pixels(shape=x.shape, path=(*x.path, path))
        if isinstance(module, _UNCHANGED):
            return x
        if isinstance(module, nn.Flatten):
            return self._flatten(path, x)
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            return self._batch_norm(path, module, x)
        if isinstance(module, nn.ZeroPad2d):
            return self._pad(path, x, module.padding)
        levels = self._levels(path, x)
        if isinstance(module, QuantConv2d):
            return self._conv(path, module, levels)
        if isinstance(module, QuantLinear):
            return self._linear(path, module, levels)
        if isinstance(module, nn.MaxPool2d):
            return max_pool(path, module, levels, self.builder)
        if isinstance(module, nn.AvgPool2d | nn.AdaptiveAvgPool2d):
            return average_pool(path, module, levels)
        raise refuse(path, f"{type(module).__name__} is in floating point")

    def _levels(self, path: str, x: Value) -> Levels:
        """``x`` as integers: sums of levels without batch normalisation are integers as they are."""
        if isinstance(x, Sums):
            return self.builder.exact(x)
        if isinstance(x, Pixels):
            raise refuse(path, "it reads the image, which no quantiser has made integers")
        return x

    def _conv(self, path: str, conv: QuantConv2d, x: Levels) -> Sums:
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

    def _linear(self, path: str, linear: QuantLinear, x: Levels) -> Sums:
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

    def _batch_norm(self, path: str, norm: nn.BatchNorm1d | nn.BatchNorm2d, x: Value) -> Sums:
        if isinstance(x, Pixels):
            raise refuse(path, "it reads the image, which no quantiser has made integers")
        sums = x if isinstance(x, Sums) else self.builder.identity(path, x)
        factors = batch_norm(norm)
        if len(factors) != sums.shape[0]:
            raise refuse(path, f"{len(factors)} channels, but it reads {sums.shape[0]}")
        return sums.map(lambda n, affine: affine.then(*factors[n]))

    def _add(self, path: str, *operands: Value | None) -> Sums:
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

    def _cat(self, path: str, operands: list[Value | None]) -> Value:
        parts = []
        for operand in operands:
            if operand is None:
                raise refuse(path, "it concatenates something that is not quantised")
            parts.append(self._levels(path, operand))
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

    def _flatten(self, path: str, x: Value) -> Value:
        if isinstance(x, Pixels) or (isinstance(x, Levels) and not x.plain):
            raise refuse(path, "it flattens something that is not a layer's whole output")
        return type(x)(**{**vars(x), "flat": True})

    def _slice(self, path: str, x: Value, index: Any) -> Levels:
        levels = self._levels(path, x)
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

    def _pad(self, path: str, x: Value, amounts: Any) -> Levels:
        levels = self._levels(path, x)
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

    def _output(self, node: fx.Node) -> None:
        result = node.args[0]
        value = self.values.get(result) if isinstance(result, fx.Node) else None
        if not isinstance(value, Sums) or not isinstance(result, fx.Node):
            raise InputError("the network must end in one layer's sums, the logits, behind no quantiser")
        self.builder.logits(value, result)

    def _operand(self, node: fx.Node) -> Value:
        value = self.values.get(node.all_input_nodes[0]) if node.all_input_nodes else None
        if value is None:
            raise refuse(str(node.target), "it reads no tensor that we follow")
        return value

    def _owner(self, node: fx.Node) -> str:
        """The path of the module whose forward made ``node``, and the node's name."""
        stack = node.meta.get("nn_module_stack") or {}
        paths = [path for path, _ in stack.values()]
        return f"{paths[-1]}.{node.name}" if paths and paths[-1] else node.name
