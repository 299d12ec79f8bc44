"""Delays of operands, as few kinds of modules however many cycles are needed."""

from __future__ import annotations

from amaranth.hdl import Module, Signal

from pact_hw.spec import HardwareSpec

from .arithmetic import elements
from .block import Block, input_port, output_port


def groups(spec: HardwareSpec, count: int) -> list[range]:
    """``count`` rows or columns of PEs, by the register that their operands come from (``pipeline``)."""
    size = spec.pipeline or count
    return [range(first, min(first + size, count)) for first in range(0, count, size)]


class Delay(Block):
    """Delay of a power of two of steps: a register, or two delays of half as many."""

    def __init__(self, prefix: str, width: int, *, half: Delay | None, stalls: bool) -> None:
        self.steps: int = 1 if half is None else 2 * half.steps
        self._half, self._stalls = half, stalls
        super().__init__(
            f"{prefix}_delay_{self.steps}",
            [
                *([input_port("advance", 1, "make a step")] if stalls else []),
                input_port("value", width, "a value each step"),
                output_port("delayed", width, f"the value {self.steps} steps ago"),
            ],
            [] if half is None else [half],
        )

    def _build(self, m: Module) -> None:
        control = {"advance": self.advance} if self._stalls else {}
        if self._half is None:
            with m.If(self.advance if self._stalls else 1):
                m.d.sync += self.delayed.eq(self.value)
            return
        between = Signal.like(self.value, name="halfway")
        self._half.place(m, "first", value=self.value, delayed=between, **control)
        self._half.place(m, "second", value=between, delayed=self.delayed, **control)


class Skew(Block):
    """Operands of rows or columns of PEs, the further away the later.

    Where streams stall (``advance``), row r's come r + 1 steps later: an operand register, and r more for
    the way down. Else those of group g (``groups``) come g cycles later.
    """

    def __init__(self, spec: HardwareSpec, prefix: str, *, count: int, width: int, stalls: bool) -> None:
        self._steps = (
            range(1, count + 1)
            if stalls
            else [number for number, group in enumerate(groups(spec, count)) for _ in group]
        )
        self._stalls = stalls
        self._kinds: list[Delay] = []  # 1, 2, 4 ... steps, of which every delay is made
        while 1 << len(self._kinds) <= self._steps[-1]:
            half = self._kinds[-1] if self._kinds else None
            self._kinds.append(Delay(prefix, width, half=half, stalls=stalls))
        super().__init__(
            f"{prefix}_skew",
            [
                *([input_port("advance", 1, "make a step")] if stalls else []),
                input_port("value", count * width, "operands of all"),
                output_port("skewed", count * width, f"each delayed, the last by {self._steps[-1]} steps"),
            ],
            self._kinds,
        )

    def _build(self, m: Module) -> None:
        control = {"advance": self.advance} if self._stalls else {}
        count = len(self._steps)
        parts = zip(self._steps, elements(self.value, count), elements(self.skewed, count), strict=True)
        for number, (steps, value, skewed) in enumerate(parts):
            for kind in self._kinds:
                if kind.steps & steps:
                    delayed = Signal(len(value), name=f"value_{number}_by_{kind.steps}")
                    label = f"delay_{number}_by_{kind.steps}"
                    kind.place(m, label, value=value, delayed=delayed, **control)
                    value = delayed
            m.d.comb += skewed.eq(value)
