"""The multiply-shift requantiser: exact integers in, activation levels out.

``NAME_requantise`` is the data path of one value, three registers deep (products, sum, saturated
level); ``Requantiser`` is one of them per value of a beat, sharing the channel's constants, with
the handshake.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from pact_hw.spec import HardwareSpec, RequantiserSpec

from .structure import instances


def requantiser_of(spec: HardwareSpec) -> RequantiserSpec:
    """The requantiser of a design that has one."""
    if spec.requantiser is None:
        raise TypeError(f"{spec.name} has no requantiser")
    return spec.requantiser


def constant_members(requantiser: RequantiserSpec) -> dict[str, int]:
    """Names and bits of one channel's constants, as the ports have them."""
    return {
        "mult": requantiser.mult_bits,
        "residual_mult": requantiser.mult_bits,
        "add": requantiser.add_bits,
        "shift": requantiser.shift_bits,
        "limit": requantiser.level_bits,
    }


class Requantise(wiring.Component):
    """``level = clip((acc mult + residual residual_mult + add) >> shift, 0, limit)``.

    Members
    -------
    step : the pipeline moves; a level appears 3 steps after its operands.
    acc, mult, residual_mult, add : signed. residual, shift, limit : unsigned.
    """

    def __init__(self, spec: HardwareSpec) -> None:
        self._spec = spec
        self._requantiser = requantiser_of(spec)
        super().__init__(
            {
                "step": In(1),
                "acc": In(spec.acc_bits),
                "residual": In(self._requantiser.residual_bits),
                **{name: In(bits) for name, bits in constant_members(self._requantiser).items()},
                "level": Out(self._requantiser.level_bits),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()

        def register(bits: int, name: str) -> Signal:
            return Signal(bits, name=name, reset_less=True)

        product = register(len(self.acc) + len(self.mult), "product")
        other = register(len(self.residual) + len(self.residual_mult), "residual_product")
        # The sum of three terms needs at most two bits more than the widest of them.
        total = register(max(len(product), len(other), len(self.add)) + 2, "total")
        add = register(len(self.add), "add_1")
        shift = [register(len(self.shift), f"shift_{stage}") for stage in (1, 2)]
        limit = [register(len(self.limit), f"limit_{stage}") for stage in (1, 2)]
        shifted = Signal(len(total))
        m.d.comb += shifted.eq(total.as_signed() >> shift[1])
        with m.If(self.step):
            m.d.sync += [
                product.eq(self.acc.as_signed() * self.mult.as_signed()),
                other.eq((self.residual * self.residual_mult.as_signed())[: len(other)]),
                add.eq(self.add),
                shift[0].eq(self.shift),
                limit[0].eq(self.limit),
                total.eq((product.as_signed() + other.as_signed() + add.as_signed())[: len(total)]),
                shift[1].eq(shift[0]),
                limit[1].eq(limit[0]),
            ]
            with m.If(shifted[-1]):
                m.d.sync += self.level.eq(0)
            with m.Elif(shifted > limit[1]):
                m.d.sync += self.level.eq(limit[1])
            with m.Else():
                m.d.sync += self.level.eq(shifted[: len(self.level)])
        return m


class Requantised(wiring.Component):
    """An array with the requantiser behind it.

    Members
    -------
    in_* : the array's operand stream.
    const_valid, const_ready : one beat of constants for every result beat of the array, in order.
    const_mult, const_residual_mult, const_add, const_shift, const_limit : the channel's.
    const_residual : rows residual levels, row 0 in the least significant bits.
    acc_valid, acc_data : the array's sums in the cycle in which the requantiser takes them (a tap,
        for those who want the sums; nothing waits for it).
    out_valid, out_ready, out_level : rows levels, held until taken, 3 cycles behind the sums.
    """

    def __init__(self, spec: HardwareSpec, array: wiring.Component, requantise: Requantise) -> None:
        self._spec = spec
        self._array = array
        self._requantise = requantise
        requantiser = requantiser_of(spec)
        operands = {
            name: member for name, member in array.signature.members.items() if name.startswith("in_")
        }
        super().__init__(
            {
                **operands,
                "const_valid": In(1),
                "const_ready": Out(1),
                **{f"const_{name}": In(bits) for name, bits in constant_members(requantiser).items()},
                "const_residual": In(spec.values_per_beat * requantiser.residual_bits),
                "acc_valid": Out(1),
                "acc_data": Out(spec.values_per_beat * spec.acc_bits),
                "out_valid": Out(1),
                "out_ready": In(1),
                "out_level": Out(spec.values_per_beat * requantiser.level_bits),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        spec = self._spec
        sums_valid = Signal()
        step = Signal()
        take = Signal()
        busy = Signal(spec.requantiser_latency_cycles)
        m.d.comb += [
            self.out_valid.eq(busy[-1]),
            step.eq(~self.out_valid | self.out_ready),
            take.eq(sums_valid & self.const_valid & step),
            self.const_ready.eq(take),
            self.acc_valid.eq(take),
        ]
        with m.If(step):
            m.d.sync += busy.eq(Cat(take, busy[:-1]))
        instances(
            m,
            of=self._array,
            module_name=f"{spec.name}_array",
            label="array",
            count=1,
            **{name: getattr(self, name) for name in self._array.signature.members if name.startswith("in_")},
            out_valid=sums_valid,
            out_ready=take,
            out_acc=self.acc_data,
        )
        instances(
            m,
            of=self._requantise,
            module_name=f"{spec.name}_requantise",
            label="requantise",
            count=spec.values_per_beat,
            step=step,
            acc=self.acc_data,
            residual=self.const_residual,
            **{name: getattr(self, f"const_{name}") for name in constant_members(requantiser_of(spec))},
            level=self.out_level,
        )
        return m
