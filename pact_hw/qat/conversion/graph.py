"""A quantised network's fx graph, read as integer layers.

Values are walked through symbolically: a quantiser (PACT, or the signed one) ends a layer, whose
sums began at a convolution, a linear layer, average pooling, a concatenation or an addition. What
cannot be computed in integers exactly is refused with the module's path.
"""

from __future__ import annotations

import operator

import torch
from torch import fx, nn
from torch.nn import functional as F  # noqa: N812 - its usual name

from ...errors import InputError
from ...progress import Advance
from ...spec.layer import Shape
from ..layers import QuantConv2d, QuantLinear
from ..normalise import Normalise
from ..operations import pixel_step
from ..pact import ActQuantiser
from .builder import Builder
from .operations import Operations, Value, refuse
from .pooling import average_pool, max_pool
from .values import Levels, Pixels, Sums

_UNCHANGED = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d)
_FLATTEN = (torch.flatten, torch.reshape, "flatten", "view", "reshape")
_SIZES = (getattr, "size", "dim", operator.floordiv, operator.mul)


class GraphReader(Operations):
    """Walks through ``model``'s graph and hands its layers to ``builder``."""

    def __init__(self, model: fx.GraphModule, shape: Shape, builder: Builder) -> None:
        super().__init__(builder)
        self.model, self.shape = model, shape
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
            return self.add(path, *(self.values[x] for x in node.all_input_nodes))
        if node.target in (torch.cat, torch.concat):
            return self.concatenate(path, [self.values[x] for x in node.all_input_nodes])
        if node.target in _SIZES or all(self.values[x] is None for x in node.all_input_nodes):
            return None
        if node.target is operator.getitem and not isinstance(node.args[1], tuple):
            return None  # one of the sizes
        value = self._operand(node)
        if node.target in _FLATTEN:
            return self.flatten(path, value)
        if node.target == "contiguous":
            return value
        if node.target is operator.getitem:
            return self.take_pixels(path, value, node.args[1])
        if node.target is F.pad:
            return self.pad(path, value, node.args[1])
        raise refuse(path, f"{getattr(node.target, '__name__', node.target)}() has no integer form")

    def _module(self, path: str, module: nn.Module, x: Value) -> Value:
        if isinstance(module, ActQuantiser):
            return self.builder.quantise(path, module, x)
        if isinstance(module, Normalise) and isinstance(x, Pixels):
            return Pixels(shape=x.shape, path=(*x.path, path))
        if isinstance(module, _UNCHANGED):
            return x
        if isinstance(module, nn.Flatten):
            return self.flatten(path, x)
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            return self.batch_norm(path, module, x)
        if isinstance(module, nn.ZeroPad2d):
            return self.pad(path, x, module.padding)
        if step := pixel_step(module):
            return self.take_pixels(path, x, (slice(None), slice(None), *[slice(None, None, step)] * 2))
        levels = self.levels(path, x)
        if isinstance(module, QuantConv2d):
            return self.convolution(path, module, levels)
        if isinstance(module, QuantLinear):
            return self.linear(path, module, levels)
        if isinstance(module, nn.MaxPool2d):
            return max_pool(path, module, levels, self.builder)
        if isinstance(module, nn.AvgPool2d | nn.AdaptiveAvgPool2d):
            return average_pool(path, module, levels)
        raise refuse(path, f"{type(module).__name__} is in floating point")

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
