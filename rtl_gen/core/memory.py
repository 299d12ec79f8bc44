"""Memories: one module each, so that an ASIC flow can put a macro in its place."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.utils import ceil_log2

from ..block import Block, input_port, output_port


class Memory(Block):
    """Memory with one write port and synchronous reads, which hold their data until the next read.

    A read in the cycle of a write gives what was there before. No initial values.
    """

    _MustUse__silence = True  # it is written as Verilog: Amaranth would miss its use

    def __init__(
        self, name: str, *, depth: int, width: int, parts: int = 1, reads: Sequence[str] = ("read",)
    ) -> None:
        self._depth, self._width, self._write_parts, self._reads = depth, width, parts, reads
        self.address_bits = max(1, ceil_log2(depth))
        enable = "write" if parts == 1 else f"write this of {parts} parts of the word, lowest first"
        super().__init__(
            name,
            [
                input_port("write_enable", parts, enable),
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
        lines = [f"reg [{self._width - 1}:0] words [0:{self._depth - 1}];", "always @(posedge clk) begin"]
        if self._write_parts == 1:
            lines.append("  if (write_enable) words[write_address] <= write_data;")
        else:
            size = self._width // self._write_parts
            for part in range(self._write_parts):
                span = f"[{(part + 1) * size - 1}:{part * size}]"
                lines.append(f"  if (write_enable[{part}]) words[write_address]{span} <= write_data{span};")
        lines += [f"  if ({read}_enable) {read}_data <= words[{read}_address];" for read in self._reads]
        return [*lines, "end"]
