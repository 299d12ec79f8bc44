"""From sums to levels: requantisers, and the constants that each of their stages reads."""

from __future__ import annotations

from dataclasses import replace

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value, signed
from amaranth.utils import ceil_log2

from pact_hw.spec import CoreSpec
from pact_hw.spec.core_widths import constant_bits, group_bits

from ..arithmetic import elements, named
from ..block import Block, input_port, output_port
from ..requantiser import Requantiser, total_shape
from .field_ports import field_ports
from .memory import Memory
from .operand import level_bits
from .transfers import arriving, beat_parts, chosen, part_bits


class LevelRequantiser(Requantiser):
    """clip((acc * mult + residual * residual_mult + add) >> shift, 0, limit); the level is not registered."""

    def __init__(self, core: CoreSpec) -> None:
        requantiser = core.requantiser
        # The requantiser sees sums over wider formats than the array.
        self._spec = replace(core.array, acc_bits=core.requantised_bits)
        self._requantiser = requantiser
        self._residual_mult_bits = core.residual_mult_bits
        Block.__init__(
            self,
            f"{core.name}_requantiser",
            [
                input_port("multiply", 1, "stage 1: register the products"),
                input_port("sum_up", 1, "stage 2: register their sum"),
                input_port("acc", core.requantised_bits, "stage 1: sum, two's complement"),
                input_port("mult", requantiser.mult_bits, "stage 1: two's complement"),
                input_port("residual", requantiser.residual_bits, "stage 1: level, unsigned"),
                input_port("residual_mult", core.residual_mult_bits, "stage 1: two's complement"),
                input_port("add", requantiser.add_bits, "stage 2: two's complement"),
                input_port("shift", requantiser.shift_bits, "stage 3: unsigned"),
                input_port("limit", requantiser.level_bits, "stage 3: highest level, unsigned"),
                output_port("data", requantiser.level_bits, "stage 3: level"),
            ],
        )

    def _build(self, m: Module) -> None:
        total = self._total(m, self.multiply, self.sum_up)
        m.d.comb += self.data.eq(self._level(m, total))

    def _total_shape(self) -> Shape:
        return total_shape(self._spec, self._requantiser, self._residual_mult_bits)

    def _product(self, m: Module, acc: Value, mult: Value, load: Value) -> Signal:
        """The product as the sum of two registered ones: half the multiplier is not the longest path."""
        half = len(mult) // 2
        low = Signal(signed(len(acc) + half), name="product_low")
        high = Signal(signed(len(acc) + len(mult) - half), name="product_high")
        low_next = named(m, "product_low_next", acc * mult[:half], low.shape())
        high_next = named(m, "product_high_next", acc * mult[half:].as_signed(), high.shape())
        with m.If(load):
            m.d.sync += [low.eq(low_next), high.eq(high_next)]
        return named(m, "product", (high << half) + low, signed(len(acc) + len(mult)))


class Requantise(Block):
    """Three stages behind the sums. What belongs to a row goes along with it.

    A row's columns enter together, or where requantisers are fewer, a part of them each cycle.
    """

    resets = True
    fields = ("limit",)

    def __init__(self, core: CoreSpec) -> None:
        self._core = core
        self._requantiser = LevelRequantiser(core)
        r, cols = core.requantiser, core.array.cols
        self._parts = {name: beat_parts(core.bus_bits, bits) for name, bits in _constant_bits(core).items()}
        self._constants = {
            name: Memory(
                f"{core.name}_memory_{name}",
                depth=core.constant_words,
                width=sum(part.bits for part in parts),
                parts=[part.bits for part in parts],
            )
            for name, parts in self._parts.items()
        }
        super().__init__(
            f"{core.name}_requantise",
            [
                input_port("write_enable", 1, "constants from the bus"),
                input_port("write_address", ceil_log2(core.constant_words), "word"),
                input_port("write_part", part_bits(core), "which beat of it"),
                input_port("write_data", core.bus_bits, "the beat"),
                *field_ports(core, self.fields),
                input_port("done", 1, "sums are whole from the next cycle on"),
                input_port("constant", constant_bits(core), "with done: word of their constants"),
                input_port("valid", 1, "with done: the pixel is in the result"),
                input_port("last", 1, "with done: the operation's last"),
                input_port("address", group_bits(core), "with done: column group of the result"),
                input_port("sums", cols * core.sum_bits, "a cycle after done"),
                input_port("residuals", cols * level_bits(core), "a cycle after done"),
                output_port("level_begin", 1, "all levels are there"),
                output_port("level_valid", 1, "of a pixel in the result"),
                output_port("level_last", 1, "the operation's last"),
                output_port("level_address", group_bits(core), "column group of the result"),
                output_port("levels", cols * r.level_bits, "cols levels"),
            ],
            [*self._constants.values(), self._requantiser],
        )

    def _build(self, m: Module) -> None:
        core, r = self._core, self._core.requantiser
        cols = core.array.cols
        stages, parts, firsts, lasts = self._stages(m)
        contexts = [Cat(self.valid, self.last, self.address)]
        for number, load in enumerate([self.done, *lasts[1:]], 1):
            context = Signal(len(contexts[0]), name=f"context_{number}", reset_less=True)
            with m.If(load):
                m.d.sync += context.eq(contexts[-1])
            contexts.append(context)
        m.d.sync += self.level_begin.eq(lasts[3])
        m.d.comb += Cat(self.level_valid, self.level_last, self.level_address).eq(contexts[-1])
        constants: list[Signal] = [self.constant]
        for number, load in enumerate(firsts[:2], 1):
            constant = Signal(len(self.constant), name=f"constant_{number}", reset_less=True)
            with m.If(load):
                m.d.sync += constant.eq(constants[-1])
            constants.append(constant)

        read: dict[str, Signal] = {}
        for stage, (name, memory) in enumerate(self._constants.items()):
            which, data = arriving(self._parts[name], self.write_data, self.write_part)
            read[name] = Signal(len(data), name=name)
            memory.place(
                m,
                f"memory_{name}",
                write_enable=Mux(self.write_enable, which, 0),
                write_address=self.write_address,
                write_data=data,
                read_enable=firsts[stage],
                read_address=constants[stage],
                read_data=read[name],
            )
        pairs = [(pair[: r.mult_bits], pair[r.mult_bits :]) for pair in elements(read["mults"], cols)]
        residuals = [
            named(m, f"residual_{col}", level, r.residual_bits)
            for col, level in enumerate(elements(self.residuals, cols))
        ]

        def entering(stage: int, values: Value) -> Value:
            """The columns' values that are in ``stage``."""
            return chosen(parts[stage], _groups(values, core.requantise_steps))

        levels = Signal(core.requantisers * r.level_bits, name="entered_levels")
        self._requantiser.place_each(
            m,
            "requantiser",
            core.requantisers,
            multiply=stages[1],
            sum_up=stages[2],
            acc=entering(1, Cat(*(one[: core.requantised_bits] for one in elements(self.sums, cols)))),
            mult=entering(1, Cat(*(mult for mult, _ in pairs))),
            residual=entering(1, Cat(*residuals)),
            residual_mult=entering(1, Cat(*(mult for _, mult in pairs))),
            add=entering(2, read["adds"]),
            shift=entering(3, read["shifts"]),
            limit=self.limit,
            data=levels,
        )
        for part, registered in enumerate(elements(self.levels, core.requantise_steps)):
            with m.If(stages[3] & (parts[3] == part)):
                m.d.sync += registered.eq(levels)

    def _stages(self, m: Module) -> tuple[list[Value], list[Value], list[Value], list[Value]]:
        """Of ``done`` and each stage: busy, with which part of the columns, the first, the last."""
        steps = self._core.requantise_steps
        stages, parts = [self.done], [Const(0, 0)]
        firsts, lasts = [self.done], [self.done]
        for number in (1, 2, 3):
            stage = Signal(name=f"stage_{number}")
            part = Signal(ceil_log2(steps), name=f"part_{number}", reset_less=True)
            if number > 1:
                m.d.sync += [stage.eq(stages[-1]), part.eq(parts[-1])]
            first = named(m, f"first_{number}", stage & (part == 0), 1)
            last = named(m, f"last_{number}", stage & (part == steps - 1), 1)
            if number == 1:
                part_plus_1 = named(m, "part_plus_1", part + 1, len(part))
                m.d.sync += [stage.eq(self.done | (stage & ~last)), part.eq(Mux(self.done, 0, part_plus_1))]
            for found, value in ((stages, stage), (parts, part), (firsts, first), (lasts, last)):
                found.append(value)
        return stages, parts, firsts, lasts


def _constant_bits(core: CoreSpec) -> dict[str, list[tuple[int, int]]]:
    """Which bits (first, how many) of a word of constants are in which memory, channel by channel."""
    r = core.requantiser
    found: dict[str, list[tuple[int, int]]] = {"mults": [], "adds": [], "shifts": []}
    for channel in range(core.array.cols):
        mult = channel * core.channel_constant_bits
        add = mult + r.mult_bits
        shift = add + r.add_bits
        found["mults"] += [(mult, r.mult_bits), (shift + r.shift_bits, core.residual_mult_bits)]
        found["adds"].append((add, r.add_bits))
        found["shifts"].append((shift, r.shift_bits))
    return found


def _groups(values: Value, count: int) -> list[Value]:
    """``values`` in ``count`` parts, and 0 up to a power of two."""
    parts = elements(values, count)
    return parts + [Const(0, len(parts[0]))] * ((1 << ceil_log2(count)) - count)
