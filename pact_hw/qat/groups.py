"""Which values are concatenated, and therefore share a quantiser."""

from __future__ import annotations

from collections.abc import Callable

from torch import fx

from .operations import Op
from .trace import operand_of


class Groups:
    """Which activations are concatenated with each other, and with what besides."""

    def __init__(self, graph: fx.Graph) -> None:
        self.parent: dict[fx.Node, fx.Node] = {}
        self.quantisers: dict[fx.Node, str] = {}
        self.members: dict[fx.Node, list[fx.Node]] = {}
        for node in graph.nodes:
            if node.meta["op"] is Op.CAT:
                for operand in node.all_input_nodes:
                    self.parent[self._find(_origin(operand))] = self._find(node)
        for node in list(self.parent):
            self.members.setdefault(self._find(node), []).append(node)

    def _find(self, node: fx.Node) -> fx.Node:
        self.parent.setdefault(node, node)
        while self.parent[node] is not node:
            node = self.parent[node]
        return node

    def path(self, node: fx.Node) -> str:
        """The path of the activation whose clip ``node`` shares, or '' where it has its own."""
        if node not in self.parent:
            return ""
        members = self.members[self._find(node)]
        if not all(member.meta["op"] in (Op.RELU, Op.CAT) for member in members):
            return ""  # with something signed: quantised once more, behind its own clip
        return str(next(n for n in node.graph.nodes if n in members and n.meta["op"] is Op.RELU).target)

    def quantiser(self, cat: fx.Node, make: Callable[[], str]) -> str:
        """The path of the signed quantiser of all that is concatenated with what ``cat`` concatenates."""
        root = self._find(cat)
        if root not in self.quantisers:
            self.quantisers[root] = make()
        return self.quantisers[root]


def _origin(node: fx.Node) -> fx.Node:
    """Where the levels of ``node`` come from."""
    while node.meta["op"] in (Op.MAX_POOL, Op.KEEP, Op.SELECT):
        node = operand_of(node)
    return node
