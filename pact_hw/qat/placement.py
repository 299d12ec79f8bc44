"""Where quantisers go in a traced network, so that all of it can be computed with integers.

A value is one of three kinds. LEVELS: integers times one scale, what a quantiser gives (and pooling,
flattening, slicing of it). REAL: an accumulator, scaled and shifted per channel, which only a
requantiser may read. FLOAT: what the user left in floating point. A signed quantiser is put where
levels are needed and no activation gives them:

- before a layer that would read a REAL value (``PATH_input``, of the activations' width);
- behind the image (``input_quantiser``);
- behind one operand of an addition of two REAL values, and behind a REAL value that is used more
  than once or pooled (``PATH_output``, of the residual width). Behind an addition to a residual
  stream it is the stream's own quantiser again: one scale for the whole stream.

Concatenated values share one quantiser, because one layer reads them with one scale.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import fx, nn

from ..errors import InputError
from .groups import Groups
from .layers import QuantConv2d, QuantLinear
from .normalise import Normalise
from .operations import Op
from .pact import ALPHA_START, ActQuantiser, SignedPACT
from .trace import free_name, is_number, operand_of, owner
from .weights import WeightQuantiser

_UNCHANGED = (Op.MAX_POOL, Op.AVERAGE_POOL, Op.KEEP, Op.SELECT, Op.CAT)
"""Operations that give levels where they read levels."""

INPUT_QUANTISER = "input_quantiser"
IMAGE_ALPHA = 3.0
"""The clip of normalised images, where nothing tells their range."""


class Kind(enum.Enum):
    """What a value is made of; see above."""

    LEVELS = "levels"
    REAL = "real"
    FLOAT = "float"


@dataclass(frozen=True)
class _Value:
    kind: Kind
    quantiser: str = ""
    """The path of the module whose levels these are; '' behind average pooling."""
    stream: bool = False
    """Whether that is a signed quantiser of the residual width."""
    added: bool = False
    """REAL: an addition is part of it."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What the user wants, by module path and whether the layer is the first or the last one."""

    weights: Callable[[str, bool], WeightQuantiser | None]
    activation: Callable[[str, bool, nn.Module], ActQuantiser | None]
    input_bits: Callable[[str, bool], int | None]
    residual_bits: Callable[[str], int]
    image: Callable[[str], ActQuantiser | None]
    tie_residuals: bool


def _readers(node: fx.Node) -> Iterator[fx.Node]:
    """What reads the values of ``node``, be it through pooling, flattening and so on."""
    for user in node.users:
        if user.meta["op"] in _UNCHANGED:
            yield from _readers(user)
        elif user.meta["op"] is not Op.SIZE:
            yield user


class Placement:
    """Works through a traced model in order of execution and changes its graph in place."""

    def __init__(self, model: fx.GraphModule, choice: Choice) -> None:
        self.model, self.graph, self.choice = model, model.graph, choice
        self.values: dict[fx.Node, _Value] = {}
        layers = [node for node in self.graph.nodes if node.meta["op"] is Op.LAYER]
        self.first = {node for node in layers if not _reaches(node, backwards=True)}
        self.last = {node for node in layers if not _reaches(node, backwards=False)}
        self.groups = Groups(self.graph)

    def run(self) -> None:
        """Place every quantiser."""
        for node in list(self.graph.nodes):
            if is_number(node) or node.meta["op"] is Op.OUTPUT:
                continue
            self.values[node] = self._visit(node)
            self._share(node)
        self.graph.lint()
        self.model.recompile()

    def _visit(self, node: fx.Node) -> _Value:
        op = node.meta["op"]
        if op is Op.INPUT:
            return self._image(node, None)
        if op is Op.NORMALISE:
            module = self.model.get_submodule(str(node.target))
            assert isinstance(module, Normalise)
            return self._image(node, module)
        if op is Op.LAYER:
            return self._layer(node)
        if op is Op.RELU:
            return self._activation(node)
        if op is Op.ADD:
            return self._add(node)
        if op is Op.CAT:
            return self._cat(node)
        source = operand_of(node)
        value = self.values[source]
        if op is Op.NORM:
            return replace(value, kind=Kind.REAL) if value.kind is Kind.LEVELS else value
        if op is not Op.KEEP and value.kind is Kind.REAL:  # integers are pooled, sliced and padded
            value = self._on_edge(node, source, self._stream(source))
        return replace(value, quantiser="") if op is Op.AVERAGE_POOL else value

    def _image(self, node: fx.Node, normalise: Normalise | None) -> _Value:
        """The network's input, quantised unless normalisation follows."""
        if any(user.meta["op"] is Op.NORMALISE for user in node.users):
            return _Value(Kind.FLOAT)
        quantiser = self.choice.image(INPUT_QUANTISER)
        if quantiser is None:
            return _Value(Kind.FLOAT)
        if isinstance(quantiser, SignedPACT) and normalise is not None:
            ends = torch.stack([-normalise.mean, 1 - normalise.mean]) / normalise.std
            with torch.no_grad():
                quantiser.alpha.fill_(ends.abs().max().item())
        target = free_name(self.model, INPUT_QUANTISER)
        self.model.add_submodule(target, quantiser)
        return self._behind(node, _Value(Kind.LEVELS, target))

    def _layer(self, node: fx.Node) -> _Value:
        path, source = str(node.target), operand_of(node)
        weights = self.choice.weights(path, node in self.first | self.last)
        if weights is None:
            return _Value(Kind.FLOAT)
        value = self.values[source]
        bits = self.choice.input_bits(f"{path}_input", node in self.last)
        if bits is not None and self._needs_input(value, bits):
            target = self._add_module(f"{path}_input", signed(f"{path}_input", bits))
            value = self._on_edge(node, source, target)
        layer = self.model.get_submodule(path)
        if isinstance(layer, nn.Conv2d) and not isinstance(layer, QuantConv2d):
            self.model.set_submodule(path, QuantConv2d.of(layer, weights))
        elif isinstance(layer, nn.Linear) and not isinstance(layer, QuantLinear):
            self.model.set_submodule(path, QuantLinear.of(layer, weights))
        return _Value(Kind.REAL if value.kind is Kind.LEVELS else Kind.FLOAT)

    def _needs_input(self, value: _Value, bits: int) -> bool:
        if value.kind is Kind.LEVELS and value.stream and value.quantiser:
            quantiser = self.model.get_submodule(value.quantiser)
            assert isinstance(quantiser, ActQuantiser)
            return quantiser.bits > bits
        return value.kind is Kind.REAL

    def _activation(self, node: fx.Node) -> _Value:
        path = self.groups.path(node) or str(node.target)
        if path == str(node.target):
            module = self.model.get_submodule(path)
            readers = list(_readers(node))
            last = bool(readers) and all(reader in self.last for reader in readers)
            quantiser = self.choice.activation(path, last, module)
            if quantiser is not None and (tied := self._tied(node, quantiser)):
                node.target = path = tied
            elif quantiser is not None:
                self.model.set_submodule(path, quantiser)
        else:  # shares the clip of what it is concatenated with
            node.target = path
        quantised = isinstance(self.model.get_submodule(path), ActQuantiser)
        return _Value(Kind.LEVELS, path) if quantised else _Value(Kind.FLOAT)

    def _tied(self, node: fx.Node, quantiser: ActQuantiser) -> str:
        """The path of the residual operand's PACT, where ``node`` is to have the same clip; or ''."""
        addition = operand_of(node)
        if not self.choice.tie_residuals or addition.meta["op"] is not Op.ADD:
            return ""
        for operand in map(self.values.__getitem__, addition.all_input_nodes):
            if operand.kind is Kind.LEVELS and operand.quantiser:
                other = self.model.get_submodule(operand.quantiser)
                if isinstance(other, ActQuantiser) and other.format == quantiser.format:
                    return operand.quantiser
        return ""

    def _add(self, node: fx.Node) -> _Value:
        left, right = operand_of(node, 0), operand_of(node, 1)
        a, b = self.values[left], self.values[right]
        if Kind.FLOAT in (a.kind, b.kind):
            return _Value(Kind.FLOAT)
        # A requantiser takes one accumulator and one operand of levels.
        if a.kind is Kind.REAL and (a.added or a.quantiser):
            a = self._on_edge(node, left, self._stream(left))
        if b.kind is Kind.REAL and (b.added or b.quantiser or a.kind is Kind.REAL):
            b = self._on_edge(node, right, self._stream(right))
        stream = next((v.quantiser for v in (b, a) if v.kind is Kind.LEVELS and v.stream), "")
        return _Value(Kind.REAL, stream, added=True)

    def _cat(self, node: fx.Node) -> _Value:
        operands = list(node.all_input_nodes)
        values = [self.values[operand] for operand in operands]
        if any(value.kind is Kind.FLOAT for value in values):
            return _Value(Kind.FLOAT)
        same = {value.quantiser for value in values}
        if all(value.kind is Kind.LEVELS for value in values) and len(same) == 1 and "" not in same:
            return values[0]
        target = self.groups.quantiser(node, lambda: self._stream(node))
        for operand, value in zip(operands, values, strict=True):
            if value.quantiser != target or value.kind is not Kind.LEVELS:
                self._on_edge(node, operand, target)
        return _Value(Kind.LEVELS, target, stream=True)

    def _share(self, node: fx.Node) -> None:
        """Quantise a REAL value that several read (a requantiser has one output), or that is concatenated."""
        value = self.values[node]
        users = [user for user in node.users if not is_number(user)]
        joined = [user for user in users if user.meta["op"] is Op.CAT]
        # What was added to a stream is the stream again, unless an activation ends it there.
        stream = bool(value.quantiser) and any(user.meta["op"] is not Op.RELU for user in users)
        if value.kind is not Kind.REAL or not (len(users) > 1 or joined or stream):
            return
        if joined:
            target = self.groups.quantiser(joined[0], lambda: self._stream(joined[0]))
        else:
            target = value.quantiser if value.added and value.quantiser else self._stream(node)
        self._behind(node, _Value(Kind.LEVELS, target, stream=True))

    def _stream(self, node: fx.Node) -> str:
        """A new quantiser of the residual width for the values of ``node``."""
        if node.op == "call_module":
            path = f"{node.target}_output"
        else:
            path = f"{owner(node)}.{node.meta['op'].name.lower()}_output".lstrip(".")
        return self._add_module(path, signed(path, self.choice.residual_bits(path)))

    def _add_module(self, path: str, module: nn.Module) -> str:
        target = free_name(self.model, path)
        self.model.add_submodule(target, module)
        return target

    def _on_edge(self, reader: fx.Node, source: fx.Node, target: str) -> _Value:
        """Call the module ``target`` between ``source`` and ``reader``."""
        with self.graph.inserting_before(reader):
            new = self.graph.call_module(target, (source,))
        new.meta = {**source.meta, "op": Op.KEEP}
        reader.replace_input_with(source, new)
        self.values[new] = _Value(Kind.LEVELS, target, stream=not target.endswith("_input"))
        return self.values[new]

    def _behind(self, node: fx.Node, value: _Value) -> _Value:
        """Call the module of ``value`` on ``node`` for all that read it."""
        with self.graph.inserting_after(node):
            new = self.graph.call_module(value.quantiser, (node,))
        new.meta = {**node.meta, "op": Op.KEEP}
        node.replace_all_uses_with(new, delete_user_cb=lambda user: user is not new and not is_number(user))
        self.values[new] = value
        return value


def signed(path: str, bits: int, alpha: float = ALPHA_START) -> SignedPACT:
    """A signed quantiser for ``path``, which an error names."""
    try:
        return SignedPACT(bits, alpha)
    except InputError as error:
        raise InputError(f"module {path!r}: {error}") from None


def _reaches(node: fx.Node, *, backwards: bool) -> bool:
    """Whether another layer lies before, or behind, ``node``."""
    seen, todo = {node}, [node]
    while todo:
        here = todo.pop()
        for other in here.all_input_nodes if backwards else here.users:
            if other.meta["op"] is Op.LAYER:
                return True
            if other not in seen and not is_number(other):
                seen.add(other)
                todo.append(other)
    return False
