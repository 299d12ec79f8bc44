"""The threshold requantiser of one value: the staircase as comparators, exact whatever it is."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Value

from pact_hw.spec import HardwareSpec, RequantiserSpec

from .arithmetic import elements, named
from .block import Block, input_port, output_port
from .requantiser import output_bits


def threshold_ports(spec: HardwareSpec, requantiser: RequantiserSpec) -> dict[str, tuple[int, str]]:
    """Width and meaning of the constants, which all values of a beat share."""
    steps, sets = requantiser.steps, requantiser.threshold_sets
    of_each = f"{sets} residual levels x " if sets > 1 else ""
    return {
        "thresholds": (
            sets * steps * spec.acc_bits,
            f"{of_each}{steps} ascending thresholds, {spec.acc_bits} bits each, two's complement",
        ),
        "negative": (1, "levels go down where sums go up: the level's bits are inverted"),
        "raw": (1, "give the sum instead of the level"),
    }


class ThresholdRequantiser(Block):
    """The number of thresholds that the sum reaches, or what that is less than all; one register deep.

    As thresholds ascend, those that are reached come first: each bit of their number, the highest
    first, is whether the threshold is reached that the higher bits point at. So nothing is counted.
    """

    def __init__(self, spec: HardwareSpec, requantiser: RequantiserSpec) -> None:
        self._spec = spec
        self._requantiser = requantiser
        residual = []
        if requantiser.residual_bits:
            residual = [input_port("residual", requantiser.residual_bits, "level: which thresholds to use")]
        constants = threshold_ports(spec, requantiser)
        super().__init__(
            f"{spec.name}_requantiser",
            [
                input_port("advance", 1, "the pipeline moves"),
                input_port("acc", spec.acc_bits, "accumulator, two's complement"),
                *residual,
                *(input_port(name, *width_and_text) for name, width_and_text in constants.items()),
                output_port("data", output_bits(spec, requantiser), "level, or the sum"),
            ],
        )

    def _build(self, m: Module) -> None:
        sets: list[Value] = elements(self.thresholds, self._requantiser.threshold_sets)
        for bit in range(self._requantiser.residual_bits):
            pairs = zip(sets[::2], sets[1::2], strict=True)
            sets = [
                named(m, f"of_residual_{bit}_{number}", Mux(self.residual[bit], odd, even), len(even))
                for number, (even, odd) in enumerate(pairs)
            ]
        acc = self.acc.as_signed()
        reached: list[Value] = [
            named(m, f"reached_{number}", acc >= threshold.as_signed(), 1)
            for number, threshold in enumerate(elements(sets[0], self._requantiser.steps))
        ]
        count: list[Value] = []
        while reached:
            middle = len(reached) // 2
            bit = reached[middle]
            count.insert(0, bit)
            place = len(count)
            reached = [
                named(m, f"reached_below_{place}_{number}", Mux(bit, above, below), 1)
                for number, (below, above) in enumerate(
                    zip(reached[:middle], reached[middle + 1 :], strict=True)
                )
            ]
        level = named(m, "level", Cat(*count) ^ self.negative.replicate(len(count)), len(count))
        data_next = named(m, "data_next", Mux(self.raw, acc, level), len(self.data))
        with m.If(self.advance):
            m.d.sync += self.data.eq(data_next)
