"""Nested loops in hardware: counters, and numbers that are sums of a stride for each loop.

Counts and strides are what an operation says, so that nothing is multiplied: a loop that goes on adds
its stride to where its present iteration began, and all inner loops begin there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import and_, or_

from amaranth.hdl import Const, Module, Mux, Signal, Value

from ..arithmetic import named
from ..block import Block


class Loops:
    """Counters of nested loops, from the outermost; ``begins`` starts, ``advance`` is one iteration.

    Attributes:
        steps: For each loop: it goes on with its next iteration, if the nest advances.
        at_end: For each loop: it is in its last iteration.
    """

    def __init__(self, m: Module, prefix: str, counts: Mapping[str, Value], *, begins: Value, advance: Value):
        self._m, self._prefix = m, prefix
        self.begins, self.advance = begins, advance
        self.names = list(counts)
        self.at_end: dict[str, Value] = {}
        self.steps: dict[str, Value] = {}
        self._inner_end: dict[str, Value] = {}
        inner: Value = Const(1)
        for name in reversed(self.names):
            count = counts[name]
            left = Signal(len(count), name=f"{prefix}_{name}_left", reset_less=True)
            at_end = named(m, f"{prefix}_{name}_at_end", left == 1, 1)
            less = named(m, f"{prefix}_{name}_less_1", left - 1, len(left))
            with m.If(begins | (advance & inner)):
                m.d.sync += left.eq(Mux(begins | at_end, count, less))
            self.at_end[name] = at_end
            self.steps[name] = inner & ~at_end
            inner = named(m, f"{prefix}_{name}_all_end", inner & at_end, 1)
            self._inner_end[name] = inner

    def last(self, outermost: str | None = None) -> Value:
        """Loop ``outermost`` (if not named, all) and what is in it are in their last iteration."""
        return self._inner_end[outermost or self.names[0]]

    def sum(self, name: str, origin: Value, strides: Mapping[str, Value]) -> Signal:
        """A number: ``origin``, and for each loop its stride times its iteration; modulo its width."""
        m, width = self._m, len(origin)
        own = [loop for loop in self.names if loop in strides]
        starts: dict[str, Signal] = {}
        for loop in own:
            label = name if loop == own[-1] else f"{name}_of_{loop}"
            starts[loop] = Signal(width, name=f"{self._prefix}_{label}", reset_less=True)
        start: Value = origin
        chosen_start: Value = Const(0, width)
        chosen_stride: Value = Const(0, 1)
        stepped: list[Value] = []
        following = Signal(width, name=f"{self._prefix}_{name}_next")
        for loop in self.names[: self.names.index(own[-1]) + 1]:
            start = starts.get(loop, start)
            chosen_start = Mux(self.steps[loop], start, chosen_start)
            if loop in strides:
                chosen_stride = Mux(self.steps[loop], strides[loop], chosen_stride)
            stepped.append(self.steps[loop])
            if loop in starts:
                with m.If(self.begins | (self.advance & reduce(or_, stepped))):
                    m.d.sync += starts[loop].eq(Mux(self.begins, origin, following))
        total = named(m, f"{self._prefix}_{name}_sum", chosen_start + chosen_stride, width)
        m.d.comb += following.eq(total)
        return starts[own[-1]]


def in_mode(block: Block, field: str, counts: Sequence[int]) -> Value | int:
    """Of ``counts`` that of the mode which ``block``'s ``field`` says; where there is one, that."""
    if len(counts) == 1:
        return counts[0]
    value: Value = Const(counts[0], max(counts).bit_length())
    for number, count in enumerate(counts[1:], 1):
        value = Mux(getattr(block, field) == number, Const(count, len(value)), value)
    return value


def at_most(value: Value, limit: int) -> Value:
    """Whether ``value`` is ``limit`` or less: no comparison where it cannot be more."""
    return value <= limit if (1 << len(value)) - 1 > limit else Const(1)


def all_of(*values: Value) -> Value:
    """Whether all one-bit ``values`` are 1."""
    return reduce(and_, values)
