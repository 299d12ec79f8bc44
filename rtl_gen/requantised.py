"""An output-stationary array with requantisers behind it: activation levels leave it."""

from __future__ import annotations

from dataclasses import dataclass

from amaranth.hdl import Cat, Module, Signal

from pact_hw.spec import HardwareSpec, RequantiserKind, RequantiserSpec

from .block import Block, input_port, output_port
from .kinds import output_stationary_array
from .output_stationary import operand_ports
from .requantiser import Requantiser, output_bits
from .threshold import ThresholdRequantiser, threshold_ports


@dataclass(frozen=True)
class Constant:
    """What all values of a beat share."""

    name: str
    width: int
    meaning: str
    stage: int = 1
    """The pipeline stage that needs it, 1 being the first."""


def constants(spec: HardwareSpec, requantiser: RequantiserSpec) -> list[Constant]:
    """The constants of ``requantiser``, in the order of their ports ``scale_NAME``."""
    if requantiser.kind is RequantiserKind.THRESHOLD:
        ports = threshold_ports(spec, requantiser)
        return [Constant(name, *width_and_text) for name, width_and_text in ports.items()]
    found = [
        Constant("mult", requantiser.mult_bits, "of the sum, two's complement"),
        Constant("add", requantiser.add_bits, "two's complement", 2),
        Constant("shift", requantiser.shift_bits, f"0 to {requantiser.max_shift}", 3),
        Constant("limit", requantiser.level_bits, "highest level", 3),
    ]
    if requantiser.residual_bits:
        found.append(Constant("residual_mult", requantiser.mult_bits, "of the residual, two's complement"))
    return [*found, Constant("raw", 1, "give the sum before the shift instead of the level", 3)]


class RequantisedArray(Block):
    """Array and requantisers: each column of sums is joined with its scale, and leaves as levels.

    The requantisers add ``HardwareSpec.requantiser_latency_cycles`` and take a column every cycle.
    """

    resets = True

    def __init__(self, spec: HardwareSpec, requantiser: RequantiserSpec) -> None:
        self._spec = spec
        self._kind = requantiser
        self._array = output_stationary_array(spec, module_name=f"{spec.name}_array")
        self._constants = constants(spec, requantiser)
        multiplies = requantiser.kind is RequantiserKind.MULTIPLY_SHIFT
        self._requantiser = (Requantiser if multiplies else ThresholdRequantiser)(spec, requantiser)
        bits = output_bits(spec, requantiser)
        residual = input_port(
            "scale_residual",
            spec.rows * requantiser.residual_bits,
            f"rows levels, {requantiser.residual_bits} bits each",
        )
        super().__init__(
            spec.name,
            [
                *operand_ports(spec),
                input_port("scale_valid", 1, "the next column's scale is offered"),
                output_port("scale_ready", 1, "the scale is taken, with a column of sums"),
                *(input_port(f"scale_{c.name}", c.width, c.meaning) for c in self._constants),
                *([residual] if requantiser.residual_bits else []),
                output_port("out_valid", 1, "results are offered, and held until taken"),
                input_port("out_ready", 1, "results are taken"),
                output_port(
                    "out_data",
                    spec.rows * bits,
                    f"rows values, {bits} bits each: levels, or raw sums' low bits; beat j is column j",
                ),
                output_port("out_last", 1, "last column of the tile"),
            ],
            [self._array, self._requantiser],
        )

    def _build(self, m: Module) -> None:
        spec = self._spec
        sums_valid = Signal()
        sums_ready = Signal()
        sums_last = Signal()
        sums = Signal(spec.rows * spec.acc_bits)
        self._array.place(
            m,
            "array",
            **{port.name: getattr(self, port.name) for port in operand_ports(spec)},
            out_valid=sums_valid,
            out_ready=sums_ready,
            out_data=sums,
            out_last=sums_last,
        )

        stages = spec.requantiser_latency_cycles
        busy = Signal(stages)  # which stages hold a column
        last = Signal(stages, reset_less=True)
        advance = Signal()
        take = Signal()
        m.d.comb += [
            advance.eq(~self.out_valid | self.out_ready),
            self.scale_ready.eq(sums_valid & advance),
            sums_ready.eq(self.scale_valid & advance),
            take.eq(self.scale_valid & sums_valid),
            self.out_valid.eq(busy[-1]),
            self.out_last.eq(last[-1]),
        ]
        with m.If(advance):
            m.d.sync += [busy.eq(Cat(take, busy[:-1])), last.eq(Cat(sums_last, last[:-1]))]

        def delayed(name: str, stage: int) -> Signal:
            """Port ``scale_NAME`` as pipeline stage ``stage`` (1 is the first) needs it."""
            value = getattr(self, f"scale_{name}")
            for number in range(2, stage + 1):
                register = Signal(len(value), name=f"{name}_{number}", reset_less=True)
                with m.If(advance):
                    m.d.sync += register.eq(value)
                value = register
            return value

        shared = {constant.name: delayed(constant.name, constant.stage) for constant in self._constants}
        if self._kind.residual_bits:
            shared["residual"] = self.scale_residual
        self._requantiser.place_each(
            m,
            "requantiser",
            spec.rows,
            advance=advance,
            acc=sums,
            data=self.out_data,
            **shared,
        )
