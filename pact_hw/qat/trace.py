"""An ordinary module as a graph of few kinds of operations; what is of no kind is refused by its path.

Functions become modules where there is one (``F.relu`` an ``nn.ReLU``, ``x.mean((2, 3))`` an
``nn.AdaptiveAvgPool2d``), each use has a module of its own, and ``relu(max_pool(x))`` becomes
``max_pool(relu(x))``, which is the same. So whoever reads the graph has less to know.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional as F  # noqa: N812 - its usual name

from ..errors import InputError
from .operations import FUNCTIONS, MODULES, SUPPORTED, Op, pixel_step
from .pact import ActQuantiser


def _mean(dim: Any = None, *, keepdim: bool = False) -> nn.Module:
    dims = sorted(d % 4 for d in dim) if isinstance(dim, tuple | list) else dim
    if dims != [2, 3]:
        raise InputError(f"mean over {dim}, expected one over height and width")
    pool = nn.AdaptiveAvgPool2d(1)
    return pool if keepdim else nn.Sequential(pool, nn.Flatten())


def _relu(inplace: bool = False) -> nn.Module:
    return nn.ReLU()


_AS_MODULES: dict[Any, tuple[str, Callable[..., nn.Module]]] = {
    F.relu: ("relu", _relu),
    F.relu_: ("relu", _relu),
    torch.relu: ("relu", _relu),
    torch.relu_: ("relu", _relu),
    "relu": ("relu", _relu),
    "relu_": ("relu", _relu),
    F.relu6: ("relu", lambda inplace=False: nn.ReLU6()),
    F.dropout: ("dropout", lambda p=0.5, training=True, inplace=False: nn.Dropout(p)),
    F.max_pool2d: (
        "pool",
        lambda kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False: (
            nn.MaxPool2d(kernel_size, stride, padding, dilation, return_indices, ceil_mode)
        ),
    ),
    F.avg_pool2d: ("pool", nn.AvgPool2d),
    F.adaptive_avg_pool2d: ("pool", nn.AdaptiveAvgPool2d),
    torch.mean: ("pool", _mean),
    "mean": ("pool", _mean),
}
"""The name and the maker of the module for a function (or a method's name)."""


class _Tracer(fx.Tracer):
    """Knows in which module it is when tracing fails."""

    path = ""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        ours = isinstance(m, ActQuantiser) or type(m) in MODULES
        return ours or super().is_leaf_module(m, module_qualified_name)

    def call_module(self, m: nn.Module, forward: Any, args: Any, kwargs: Any) -> Any:
        outer, self.path = self.path, self.path_of_module(m)
        result = super().call_module(m, forward, args, kwargs)
        self.path = outer  # not where it fails: then the innermost path is wanted
        return result


def owner(node: fx.Node) -> str:
    """The path of the module whose forward made ``node``."""
    stack = node.meta.get("nn_module_stack") or {}
    return [path for path, _ in stack.values()][-1] if stack else ""


def free_name(model: nn.Module, path: str) -> str:
    """``path``, or with the first of _2, _3, ... behind it that is free."""
    parent_path, _, name = path.rpartition(".")
    try:
        parent = model.get_submodule(parent_path)
    except AttributeError:  # fx drops a module that calls functions only
        return path
    candidate, count = name, 1
    while hasattr(parent, candidate):
        count += 1
        candidate = f"{name}_{count}"
    return f"{parent_path}.{candidate}" if parent_path else candidate


def _refuse(path: str, what: str, why: str = "") -> InputError:
    where = f"module {path!r}" if path else "the model itself"
    return InputError(f"{where}: {what} cannot be quantised{why and ': ' + why}; supported: {SUPPORTED}")


def _name(target: Any) -> str:
    return str(getattr(target, "__name__", target))


def is_number(node: Any) -> bool:
    """Whether ``node`` is no tensor: a size, or worked out from sizes."""
    return not isinstance(node, fx.Node) or node.meta.get("op") is Op.SIZE


def operand_of(node: fx.Node, index: int = 0) -> fx.Node:
    """A tensor that ``node`` reads, the first by default."""
    operand = node.args[index] if node.args else node.all_input_nodes[index]
    assert isinstance(operand, fx.Node)
    return operand


def _operation(model: fx.GraphModule, node: fx.Node) -> Op:
    """What ``node`` does; refuses what is of no kind."""
    if node.op in ("placeholder", "output"):
        return Op(node.op.replace("placeholder", "input"))
    if node.op == "get_attr":
        raise _refuse(owner(node), f"the use of {node.target!r} outside a layer")
    if node.op == "call_module":
        module = model.get_submodule(str(node.target))
        if (op := MODULES.get(type(module))) is None:
            raise _refuse(str(node.target), type(module).__name__)
        if why := _unusable(module):
            raise _refuse(str(node.target), type(module).__name__, why)
        return Op.SELECT if pixel_step(module) else op
    if node.all_input_nodes and all(is_number(x) for x in node.all_input_nodes):
        return Op.SIZE
    if (found := FUNCTIONS.get(node.target)) is None:
        raise _refuse(owner(node), f"{_name(node.target)}()")
    if why := _unusable_call(node, found):
        raise _refuse(owner(node), f"{_name(node.target)}()", why)
    return found


def _unusable(module: nn.Module) -> str:
    """Why a module of a kind that we know cannot be used, or nothing."""
    if isinstance(module, nn.Conv2d) and module.padding_mode != "zeros":
        return f"padding_mode is {module.padding_mode!r}, expected 'zeros'"
    if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) and module.running_mean is None:
        return "it has no running statistics"
    if isinstance(module, nn.MaxPool2d) and module.return_indices:
        return "it returns indices"
    return ""


def _unusable_call(node: fx.Node, op: Op) -> str:
    if op is Op.ADD and (len(node.args) != 2 or node.kwargs or any(is_number(x) for x in node.args)):
        return "only sums of two tensors"
    if op is Op.CAT and (node.args[1:] or (node.kwargs.get("dim", 0),))[0] not in (1, -3):
        return "only along channels (dim=1)"
    if node.target is F.pad and (
        (node.args[2:] or (node.kwargs.get("mode", "constant"),))[0] != "constant"
        or (node.args[3:] or (node.kwargs.get("value"),))[0]
    ):
        return "only with zeros"
    if node.target is getattr and node.args[1] not in ("shape", "ndim", "dtype", "device"):
        return f"attribute {node.args[1]!r}"
    return ""


def _module_for(model: fx.GraphModule, node: fx.Node) -> None:
    """Call a module instead of the function that ``node`` calls."""
    name, make = _AS_MODULES[node.target]
    arguments = {key: value for key, value in node.kwargs.items() if key != "input"}
    try:
        module = make(*node.args[1:], **arguments)
    except (InputError, TypeError) as error:
        raise _refuse(owner(node), f"{_name(node.target)}()", str(error)) from None
    path = owner(node)
    for part in module if isinstance(module, nn.Sequential) else [module]:
        target = free_name(model, f"{path}.{name}" if path else name)
        model.add_submodule(target, part)
        with model.graph.inserting_before(node):
            previous = node.args[0] if node.args else node.kwargs["input"]
            new = model.graph.call_module(target, (previous,))
            new.meta = dict(node.meta)
            node.args, node.kwargs = (new,), {}
    node.replace_all_uses_with(new)
    model.graph.erase_node(node)


def _activation_first(model: fx.GraphModule) -> None:
    """``relu(max_pool(x))`` becomes ``max_pool(relu(x))``: both rise, so the result is the same."""
    for relu in [node for node in model.graph.nodes if node.meta["op"] is Op.RELU]:
        pool = relu.args[0]
        if pool.meta["op"] is Op.MAX_POOL and len(pool.users) == 1:
            relu.replace_all_uses_with(pool)
            relu.args = (pool.args[0],)
            pool.args = (relu,)
            pool.prepend(relu)


def trace(model: nn.Module) -> fx.GraphModule:
    """``model`` as a graph module (its modules are shared, not copied), ``meta["op"]`` in each node.

    Raises:
        InputError: the model cannot be traced, or an operation is of no kind; its module is named.
    """
    tracer = _Tracer()
    try:
        graph = tracer.trace(model)
    except (fx.proxy.TraceError, TypeError, NameError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise _refuse(tracer.path, "its control flow", reason) from None
    traced = fx.GraphModule(model, graph, type(model).__name__)
    activations: set[str] = set()
    for node in list(graph.nodes):
        if node.op == "call_module" and isinstance(traced.get_submodule(node.target), nn.ReLU | nn.ReLU6):
            if node.target in activations:  # used again: each use has its own clip
                target = free_name(traced, node.target)
                traced.add_submodule(target, copy.deepcopy(traced.get_submodule(node.target)))
                node.target = target
            activations.add(node.target)
        elif node.target in _AS_MODULES and node.op in ("call_function", "call_method"):
            _module_for(traced, node)
        elif node.target in (operator.iadd, "add_"):  # what was overwritten may be needed for gradients
            node.op, node.target = "call_function", operator.add
    for node in graph.nodes:
        node.meta["op"] = _operation(traced, node)
    _activation_first(traced)
    graph.lint()
    return traced
