"""A quantised PyTorch network as QONNX with its real scales, as Brevitas writes its own.

Each node of the graph is a node of the model, of the same name: a quantiser is ``Quant`` with scale
``alpha / n``, a layer reads its weights through ``Quant`` (odd levels of k bits are narrow signed ones
of k + 1 bits; 1 bit is ``BipolarQuant``), and batch normalisation is not folded.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch.fx.passes.shape_prop import ShapeProp
from torch.nn import functional as F  # noqa: N812 - its usual name

from ..errors import InputError
from ..qat.layers import QuantConv2d, QuantLinear
from ..qat.normalise import Normalise
from ..qat.operations import pixel_step
from ..qat.pact import ActQuantiser
from ..qat.trace import owner
from ..spec import ActEncoding, ActFormat, WeightEncoding
from ..spec.layer import Shape
from .graph_writer import DOMAIN, GraphWriter
from .tensors import Array

IMAGE = "image"
_UNCHANGED = (nn.Identity, nn.Dropout, nn.Dropout2d)


def _numpy(tensor: Tensor) -> Array:
    values: Array = tensor.detach().float().cpu().numpy()
    return values


def _pair(size: Any) -> list[int]:
    return list(size) if isinstance(size, tuple | list) else [size, size]


class TorchWriter(GraphWriter):
    """Writes one network in evaluation mode, node by node."""

    def __init__(self, model: fx.GraphModule, shape: Shape) -> None:
        super().__init__()
        self.source, self.shape = model, shape
        self.names: dict[fx.Node, str] = {}
        """What each node's value is called in the model."""
        self.quantisers: dict[str, ActQuantiser] = {}
        """By name of the value that they give."""

    def model(self) -> Any:
        """The ModelProto.

        Raises:
            InputError: an operation has no form here; its module is named.
        """
        pixels = any(isinstance(module, Normalise) for module in self.source.modules())
        dtype = torch.uint8 if pixels else next(self.source.parameters()).dtype
        zeros = torch.zeros(1, *self.shape, dtype=dtype)
        with torch.no_grad():
            ShapeProp(self.source).propagate(zeros)
        for node in self.source.graph.nodes:
            if node.op == "placeholder":
                self.names[node] = IMAGE
            elif node.op == "output":
                result = node.args[0]
            elif any(x in self.names for x in node.all_input_nodes):
                self._visit(node)
        sizes = result.meta["tensor_meta"].shape[1:]
        return self.finish(
            (IMAGE, self.shape), (self.names[result], sizes), {"input": "pixels" if pixels else "real"}
        )

    def _visit(self, node: fx.Node) -> None:
        if "tensor_meta" not in node.meta:
            return  # a size
        if node.op == "call_module":
            given = self._module(node, self.source.get_submodule(str(node.target)))
        else:
            given = self._function(node)
        self.names[node] = given

    def _module(self, node: fx.Node, module: nn.Module) -> str:
        source, name = self.names[node.all_input_nodes[0]], node.name
        if step := pixel_step(module):
            return self._slice(source, name, [slice(None), slice(None), *[slice(None, None, step)] * 2])
        if isinstance(module, _UNCHANGED):
            return source
        if isinstance(module, ActQuantiser):
            self.quantisers[name] = module
            return self.quant(source, name, module.format, scale=module.alpha.item() / module.format.max)
        for kind, write in _MODULES.items():
            if isinstance(module, kind):
                return write(self, source, name, module, node)
        raise InputError(f"module {node.target!r}: {type(module).__name__} has no form in QONNX here")

    def _function(self, node: fx.Node) -> str:
        sources, name = [self.names[x] for x in node.all_input_nodes if x in self.names], node.name
        if node.target in (operator.add, torch.add):
            return self.node("Add", sources * (3 - len(sources)), name)
        if node.target in (torch.cat, torch.concat):
            return self.node("Concat", sources, name, axis=1)
        if node.target in (torch.flatten, torch.reshape, "flatten", "view", "reshape"):
            return self.node("Flatten", sources[:1], name, axis=1)
        if node.target == "contiguous":
            return sources[0]
        if node.target is operator.getitem and isinstance(node.args[1], tuple):
            return self._slice(sources[0], name, node.args[1])
        if node.target is F.pad:
            return self._pad(sources[0], name, node.args[1])
        what = getattr(node.target, "__name__", node.target)
        raise InputError(f"module {owner(node)!r}: {what}() has no form in QONNX here")

    def _slice(self, source: str, name: str, index: Any) -> str:
        inputs, most = [source], np.iinfo(np.int64).max
        for part, values in {
            "starts": [s.start or 0 for s in index],
            "ends": [most if s.stop is None else s.stop for s in index],
            "axes": list(range(len(index))),
            "steps": [s.step or 1 for s in index],
        }.items():
            inputs.append(self.constant(f"{name}_{part}", values, np.int64))
        return self.node("Slice", inputs, name)

    def _pad(self, source: str, name: str, amounts: Any) -> str:
        """PyTorch counts from the last axis; ONNX has all beginnings first."""
        amounts = [amounts] * 4 if isinstance(amounts, int) else [*amounts]
        pairs = [*zip(amounts[::2], amounts[1::2], strict=True)][::-1]
        pairs = [(0, 0)] * (4 - len(pairs)) + pairs
        pads = [before for before, _ in pairs] + [after for _, after in pairs]
        return self.node("Pad", [source, self.constant(f"{name}_pads", pads, np.int64)], name)

    def normalise(self, source: str, name: str, module: Normalise, _node: fx.Node) -> str:
        """``(levels / 255 - mean) / std``."""
        value = self.node("Div", [source, self.constant(f"{name}_levels", 255.0)], f"{name}_unit")
        value = self.node(
            "Sub", [value, self.constant(f"{name}_mean", _numpy(module.mean))], f"{name}_centred"
        )
        return self.node("Div", [value, self.constant(f"{name}_std", _numpy(module.std))], name)

    def weighted(self, source: str, name: str, module: nn.Conv2d | nn.Linear, node: fx.Node) -> str:
        """A convolution or linear layer, its weights quantised or not."""
        if isinstance(module, QuantConv2d | QuantLinear):
            weights = self._weights(name, module)
        else:
            weights = self.constant(f"{name}_weight", _numpy(module.weight))
        inputs = [source, weights]
        if module.bias is not None:
            inputs.append(self.constant(f"{name}_bias", _numpy(module.bias)))
        if isinstance(module, nn.Linear):
            return self.node("Gemm", inputs, name, transB=1)
        if isinstance(module.padding, str) or module.padding_mode != "zeros":
            raise InputError(f"module {node.target!r}: padding {module.padding!r} has no form in QONNX here")
        geometry = {
            "kernel_shape": module.kernel_size,
            "strides": module.stride,
            "dilations": module.dilation,
        }
        return self.node("Conv", inputs, name, group=module.groups, pads=[*module.padding] * 2, **geometry)

    def _weights(self, name: str, layer: QuantConv2d | QuantLinear) -> str:
        quantiser, weight = layer.weight_quantiser, layer.weight.detach()
        scale = quantiser.scale(weight).item()
        levels = quantiser.levels(weight).cpu().numpy()
        source = self.constant(f"{name}_weight_real", levels * scale)
        output, bits = f"{name}_weight", quantiser.bits
        odd = quantiser.format.encoding is WeightEncoding.ODD
        if odd and bits == 1:
            worth = self.constant(f"{output}_scale", scale)
            return self.node("BipolarQuant", [source, worth], output, domain=DOMAIN)
        if bits + odd > 16:
            raise InputError(f"module {name!r}: odd weights of {bits} bits have no form in QONNX here")
        encoding = ActEncoding.SYMMETRIC if odd else ActEncoding.SIGNED
        return self.quant(source, output, ActFormat(bits=bits + odd, encoding=encoding), scale=scale)

    def batch_norm(self, source: str, name: str, norm: nn.BatchNorm2d, _node: fx.Node) -> str:
        """Batch normalisation by its running statistics."""
        assert norm.running_mean is not None
        assert norm.running_var is not None
        ones = torch.ones_like(norm.running_var)
        parts = {
            "scale": ones if norm.weight is None else norm.weight,
            "shift": 0 * ones if norm.bias is None else norm.bias,
            "mean": norm.running_mean,
            "variance": norm.running_var,
        }
        inputs = [source, *(self.constant(f"{name}_{part}", _numpy(t)) for part, t in parts.items())]
        return self.node("BatchNormalization", inputs, name, epsilon=norm.eps)

    def relu(self, source: str, name: str, _module: nn.ReLU, _node: fx.Node) -> str:
        """An activation that was left in floating point."""
        return self.node("Relu", [source], name)

    def flatten(self, source: str, name: str, _module: nn.Flatten, _node: fx.Node) -> str:
        """All but the batch."""
        return self.node("Flatten", [source], name, axis=1)

    def pool(self, source: str, name: str, pool: nn.MaxPool2d | nn.AvgPool2d, node: fx.Node) -> str:
        """Maximum or average of windows."""
        if (
            pool.ceil_mode
            or getattr(pool, "divisor_override", None)
            or _pair(getattr(pool, "dilation", 1)) != [1, 1]
        ):
            raise InputError(f"module {node.target!r}: {pool} has no form in QONNX here")
        options: dict[str, Any] = {
            "kernel_shape": _pair(pool.kernel_size),
            "strides": _pair(pool.stride),
            "pads": _pair(pool.padding) * 2,
        }
        if isinstance(pool, nn.MaxPool2d):
            return self.node("MaxPool", [source], name, **options)
        return self.node(
            "AveragePool", [source], name, count_include_pad=int(pool.count_include_pad), **options
        )

    def adaptive_pool(self, source: str, name: str, _pool: nn.AdaptiveAvgPool2d, node: fx.Node) -> str:
        """Average of windows of which there are as many as are wanted."""
        sizes = node.all_input_nodes[0].meta["tensor_meta"].shape[2:]
        counts = node.meta["tensor_meta"].shape[2:]
        if any(size % count for size, count in zip(sizes, counts, strict=True)):
            raise InputError(f"module {node.target!r}: {tuple(sizes)} pixels to {tuple(counts)}")
        windows = [size // count for size, count in zip(sizes, counts, strict=True)]
        return self.node("AveragePool", [source], name, kernel_shape=windows, strides=windows)


_MODULES: dict[type[nn.Module], Callable[..., str]] = {
    Normalise: TorchWriter.normalise,
    nn.Conv2d: TorchWriter.weighted,
    nn.Linear: TorchWriter.weighted,
    nn.BatchNorm1d: TorchWriter.batch_norm,
    nn.BatchNorm2d: TorchWriter.batch_norm,
    nn.ReLU: TorchWriter.relu,
    nn.Flatten: TorchWriter.flatten,
    nn.MaxPool2d: TorchWriter.pool,
    nn.AvgPool2d: TorchWriter.pool,
    nn.AdaptiveAvgPool2d: TorchWriter.adaptive_pool,
}
