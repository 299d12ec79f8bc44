"""Memories: one module each, so that an ASIC flow can put a macro in its place."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.utils import ceil_log2

from ..block import Block, input_port, output_port


class Memory(Block):
    """Memory with one write port and synchronous reads, which hold their data until the next read.

    A read in the cycle of a write gives what was there before. No initial values. ``parts`` are the widths,
    lowest first, of what can be written apart: memories of their own for those that infer them.
    """

    _MustUse__silence = True  # it is written as Verilog: Amaranth would miss its use

    def __init__(
        self,
        name: str,
        *,
        depth: int,
        width: int,
        parts: Sequence[int] = (),
        reads: Sequence[str] = ("read",),
    ) -> None:
        assert not parts or sum(parts) == width
        self._depth, self._width, self._parts, self._reads = depth, width, tuple(parts) or (width,), reads
        self.address_bits = max(1, ceil_log2(depth))
        count = len(self._parts)
        enable = "write" if count == 1 else f"write this of {count} parts of the word, lowest first"
        super().__init__(
            name,
            [
                input_port("write_enable", count, enable),
                input_port("write_address", self.address_bits, f"0 to {depth - 1}"),
                input_port("write_data", width, "word"),
                *(
                    port
                    for read in reads
                    for port in (
                        input_port(f"{read}_enable", 1, "read"),
                        input_port(f"{read}_address", self.address_bits, f"0 to {depth - 1}"),
                        output_port(f"{read}_data", width, "the word, a cycle later"),
                    )
                ),
            ],
        )

    def body(self) -> list[str]:
        """As ``Block.body``: what synthesis knows as a memory."""
        names = ["words"] if len(self._parts) == 1 else [f"words_{n}" for n in range(len(self._parts))]
        lines = [
            f"reg [{width - 1}:0] {name} [0:{self._depth - 1}];"
            for name, width in zip(names, self._parts, strict=True)
        ]
        lines.append("always @(posedge clk) begin")
        low = 0
        for number, (name, width) in enumerate(zip(names, self._parts, strict=True)):
            this, span = ("", "") if len(names) == 1 else (f"[{number}]", f"[{low + width - 1}:{low}]")
            lines.append(f"  if (write_enable{this}) {name}[write_address] <= write_data{span};")
            low += width
        for read in self._reads:
            word = ", ".join(f"{name}[{read}_address]" for name in reversed(names))
            lines.append(f"  if ({read}_enable) {read}_data <= {{{word}}};")
        return [*lines, "end"]
