"""The sum of a row's activations over a tile, which the correction of the codes needs."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Value

from pact_hw.spec import HardwareSpec

from . import partial_products
from .arithmetic import act_sum, delayed, named
from .block import Block, input_port, output_port
from .compressor import Bit
from .doubling import chosen, doubled
from .partial_products import REGISTER_PS
from .structure import accumulated, word_bits
from .widths import act_sum_shape

CLEARED_PS = 265
"""When the sum so far is back at its adders: the last shift of a tile is known late."""


class ActivationTotal(Block):
    """The sum of a row's activations since the last clear."""

    def __init__(self, spec: HardwareSpec) -> None:
        self._spec = spec
        self._shape = act_sum_shape(spec, spec.max_reduction)
        self._doubles = partial_products.is_serial(spec)
        super().__init__(
            f"{spec.name}_act_total",
            [
                input_port("clear", 1, "forget the sum; this cycle's activations still count"),
                *([input_port("twice", 1, "the sum so far counts twice")] if self._doubles else []),
                input_port("act", spec.lanes * spec.beat_act_bits, "lanes activations, zero when idle"),
                output_port("total", self._shape.width, "sum of activations"),
            ],
        )

    def _build(self, m: Module) -> None:
        beat = delayed(m, "beat", act_sum(m, self._spec, self.act), self._spec.tree_stages)
        so_far: Value = self.total
        if self._doubles:
            so_far = named(m, "so_far", Mux(self.twice, self.total << 1, self.total), self._shape)
        kept = named(m, "kept", Mux(self.clear, 0, so_far), self._shape)
        m.d.sync += self.total.eq(named(m, "total_next", kept + beat, self._shape))

    def structure(self) -> list[str] | None:
        """As ``Block.structure``: adders placed one by one."""
        width, bits = self._shape.width, self._spec.beat_act_bits
        columns: list[list[Bit]] = [[] for _ in range(width)]
        for number in range(len(self.act)):
            name = f"act[{number}]" if len(self.act) > 1 else "act"
            columns[number % bits].append(Bit(REGISTER_PS, name))
        kept = f"total & {{{width}{{~clear}}}}"
        if self._doubles:
            kept = chosen(width, {"~(clear | twice)": "total", "twice": doubled("total", width)})
        return [
            f"wire [{width - 1}:0] kept = {kept};",
            *accumulated(self._spec, columns, word_bits("kept", width, CLEARED_PS, None), "total"),
        ]
