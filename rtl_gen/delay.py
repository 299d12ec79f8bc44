"""Delays of operands, as few kinds of modules however many cycles are needed."""

from __future__ import annotations

from amaranth.hdl import Module, Signal

from .arithmetic import elements
from .block import Block, input_port, output_port


class Delay(Block):
    """Delay of a power of two of steps: a register, or two delays of half as many."""

    def __init__(self, prefix: str, width: int, *, half: Delay | None) -> None:
        self.steps: int = 1 if half is None else 2 * half.steps
        self._half = half
        super().__init__(
            f"{prefix}_delay_{self.steps}",
            [
                input_port("advance", 1, "make a step"),
                input_port("value", width, "a value each step"),
                output_port("delayed", width, f"the value {self.steps} steps ago"),
            ],
            [] if half is None else [half],
        )

    def _build(self, m: Module) -> None:
        if self._half is None:
            with m.If(self.advance):
                m.d.sync += self.delayed.eq(self.value)
            return
        between = Signal.like(self.value, name="halfway")
        self._half.place(m, "first", advance=self.advance, value=self.value, delayed=between)
        self._half.place(m, "second", advance=self.advance, value=between, delayed=self.delayed)


class Skew(Block):
    """Row r's operands, r + 1 steps later: an operand register, and r more for the way down."""

    def __init__(self, prefix: str, *, rows: int, width: int) -> None:
        self._rows = rows
        self._kinds: list[Delay] = []  # 1, 2, 4 ... steps, of which every row's delay is made
        while 1 << len(self._kinds) <= rows:
            half = self._kinds[-1] if self._kinds else None
            self._kinds.append(Delay(prefix, width, half=half))
        super().__init__(
            f"{prefix}_skew",
            [
                input_port("advance", 1, "make a step"),
                input_port("act", rows * width, "operands of all rows"),
                output_port("skewed", rows * width, "row r's operands of r + 1 steps ago"),
            ],
            self._kinds,
        )

    def _build(self, m: Module) -> None:
        rows = zip(elements(self.act, self._rows), elements(self.skewed, self._rows), strict=True)
        for row, (value, skewed) in enumerate(rows):
            steps = row + 1
            for kind in self._kinds:
                if kind.steps & steps:
                    delayed = Signal(len(value), name=f"act_{row}_by_{kind.steps}")
                    label = f"delay_{row}_by_{kind.steps}"
                    kind.place(m, label, advance=self.advance, value=value, delayed=delayed)
                    value = delayed
            m.d.comb += skewed.eq(value)
