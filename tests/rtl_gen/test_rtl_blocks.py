"""Processing elements and the requantiser, clock by clock, in Amaranth's simulator."""

import dataclasses
import random

import pytest
from amaranth.sim import Simulator

from pact_hw.spec import ActFormat, Dataflow, HardwareSpec, RequantiserSpec, WeightEncoding, WeightFormat
from rtl_gen import output_stationary, weight_stationary
from rtl_gen.requantiser import Requantiser, output_bits, total_shape
from rtl_gen.widths import acc_shape

ENCODINGS = [WeightEncoding.ODD, WeightEncoding.TWOS_COMPLEMENT]
WIDTHS = [(1, 1), (2, 2), (3, 1), (1, 4), (8, 5), (16, 16)]


def seeded(seed):
    return random.Random(seed)  # noqa: S311 - vectors, not secrets


def spec_of(act_bits=4, weight_bits=4, encoding=WeightEncoding.ODD, **more):
    return HardwareSpec(
        act=ActFormat(bits=act_bits),
        weight=WeightFormat(bits=weight_bits, encoding=encoding),
        rows=2,
        cols=2,
        lanes=3,
        **more,
    )


def clocked(block, bench):
    simulator = Simulator(block)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


def operands(spec, rng):
    """Random or extreme operands of one PE: two packed buses and their sum of products over codes."""
    acts = [rng.choice((0, spec.act.max, rng.randint(0, spec.act.max))) for _ in range(spec.lanes)]
    codes = [
        rng.choice((0, spec.weight.levels, rng.randint(0, spec.weight.levels))) for _ in range(spec.lanes)
    ]
    act = sum(a << (lane * spec.act.bits) for lane, a in enumerate(acts))
    code = sum(q << (lane * spec.weight.bits) for lane, q in enumerate(codes))
    return act, code, sum(a * v for a, v in zip(acts, codes, strict=True))


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(("act_bits", "weight_bits"), WIDTHS)
def test_output_stationary_pe_accumulates_and_shifts(act_bits, weight_bits, encoding):
    spec = spec_of(act_bits, weight_bits, encoding, max_reduction=30)
    pe = output_stationary.ProcessingElement(spec)
    wrap = 1 << acc_shape(spec).width

    async def bench(ctx):
        rng = seeded(1)
        expected = 0
        for _ in range(300):
            act, code, total = operands(spec, rng)
            shift, acc_in = rng.random() < 0.1, rng.randrange(wrap)
            if shift:  # the array's rows see to that
                act = total = 0
            ctx.set(pe.act, act)
            ctx.set(pe.weight, code)
            ctx.set(pe.shift, shift)
            ctx.set(pe.acc_in, acc_in)
            await ctx.tick()
            expected = acc_in if shift else (expected + total) % wrap
            assert ctx.get(pe.acc) == expected

    clocked(pe, bench)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(("act_bits", "weight_bits"), WIDTHS)
def test_weight_stationary_pe_keeps_weights_and_passes_sums(act_bits, weight_bits, encoding):
    spec = spec_of(act_bits, weight_bits, encoding, dataflow=Dataflow.WEIGHT_STATIONARY)
    pe = weight_stationary.ProcessingElement(spec)
    wrap = 1 << acc_shape(spec).width

    async def bench(ctx):
        rng = seeded(2)
        weight = psum = 0
        for _ in range(300):
            act, code, total = operands(spec, rng)
            # Load, wait, then use: the sum is that of the code which was loaded, not the one offered.
            ctx.set(pe.load, 1)
            ctx.set(pe.advance, 0)
            ctx.set(pe.weight_in, code)
            await ctx.tick()
            weight = code
            psum_in, advance = rng.randrange(wrap), rng.random() < 0.7
            ctx.set(pe.load, 0)
            ctx.set(pe.weight_in, ~code)
            ctx.set(pe.act, act)
            ctx.set(pe.psum_in, psum_in)
            ctx.set(pe.advance, advance)
            await ctx.tick()
            psum = (psum_in + total) % wrap if advance else psum
            assert ctx.get(pe.weight) == weight
            assert ctx.get(pe.psum) == psum

    clocked(pe, bench)


REQUANTISERS = [
    RequantiserSpec(),
    RequantiserSpec(mult_bits=2, add_bits=2, max_shift=0, level_bits=16, residual_bits=1),
    RequantiserSpec(mult_bits=8, add_bits=12, max_shift=60, level_bits=1, residual_bits=16),
    RequantiserSpec(mult_bits=32, add_bits=62, max_shift=40, level_bits=4, residual_bits=8),
]


@pytest.mark.parametrize("requantiser", REQUANTISERS)
@pytest.mark.parametrize("spec", [spec_of(), spec_of(1, 1, max_reduction=1), spec_of(16, 16)])
def test_requantiser_is_its_formula_at_every_extreme_and_under_stalls(requantiser, spec):
    block = Requantiser(spec, requantiser)
    latency = dataclasses.replace(spec, requantiser=requantiser).requantiser_latency_cycles

    def signed_operand(rng, bits):
        low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
        return rng.choice((low, low + 1, -1, 0, 1, high, rng.randint(low, high)))

    def unsigned_operand(rng, high):
        return rng.choice((0, 1 if high else 0, high, rng.randint(0, high)))

    async def bench(ctx):
        rng = seeded(3)
        steps = [
            {
                "acc": signed_operand(rng, spec.acc_bits),
                "mult": signed_operand(rng, requantiser.mult_bits),
                "residual": unsigned_operand(rng, (1 << requantiser.residual_bits) - 1),
                "residual_mult": signed_operand(rng, requantiser.mult_bits),
                "add": signed_operand(rng, requantiser.add_bits),
                "shift": unsigned_operand(rng, requantiser.max_shift),
                "limit": unsigned_operand(rng, (1 << requantiser.level_bits) - 1),
                "raw": rng.random() < 0.2,
            }
            for _ in range(1500)
        ]
        stage = {"add": 1, "shift": 2, "limit": 2, "raw": 2}
        for number in range(len(steps)):
            for name in steps[0]:
                source = number - stage.get(name, 0)
                if source >= 0:
                    ctx.set(getattr(block, name), steps[source][name])
            while rng.random() < 0.2:
                ctx.set(block.advance, 0)
                await ctx.tick()
            ctx.set(block.advance, 1)
            await ctx.tick()
            if number >= latency - 1:
                step = steps[number - latency + 1]
                assert ctx.get(block.data) == expected(step), step

    def expected(step):
        total = step["acc"] * step["mult"] + step["residual"] * step["residual_mult"] + step["add"]
        if step["raw"]:
            return total % (1 << output_bits(spec, requantiser))
        return min(max(total >> step["shift"], 0), step["limit"])

    clocked(block, bench)


def test_a_value_that_leaves_is_wide_enough_for_a_level_and_for_a_raw_sum():
    requantiser = RequantiserSpec(level_bits=16)
    assert output_bits(spec_of(1, 1, max_reduction=1), requantiser) == 16
    assert output_bits(spec_of(16, 16), requantiser) == spec_of(16, 16).acc_bits > 16


@pytest.mark.parametrize("requantiser", REQUANTISERS)
def test_requantiser_sum_holds_every_value(requantiser):
    spec = spec_of()
    half_acc, half_mult = 1 << (spec.acc_bits - 1), 1 << (requantiser.mult_bits - 1)
    half_add, residual = 1 << (requantiser.add_bits - 1), (1 << requantiser.residual_bits) - 1
    sums = [
        acc * mult + residual * residual_mult + add
        for acc in (-half_acc, half_acc - 1)
        for mult in (-half_mult, half_mult - 1)
        for residual_mult in (-half_mult, half_mult - 1)
        for add in (-half_add, half_add - 1)
    ]
    width = total_shape(spec, requantiser).width
    assert all(-(1 << (width - 1)) <= value < 1 << (width - 1) for value in sums)
    # Not a bit wider, unless what leaves needs it.
    needed = max(output_bits(spec, requantiser), requantiser.level_bits + 1)
    assert width == needed or max(max(sums), -min(sums) - 1) >= 1 << (width - 2)
