"""Product sums, tallies and the correction against plain Python, in Amaranth's simulator."""

import itertools
import random

import pytest
from amaranth.hdl import Module, Signal
from amaranth.sim import Simulator

from pact_hw.spec import ActFormat, Dataflow, HardwareSpec, WeightEncoding, WeightFormat
from rtl_gen.arithmetic import act_sum, corrected, elements, excess, offset_codes, product_sum
from rtl_gen.widths import acc_shape, act_sum_shape, code_sum_shape

ODD, TWOS = WeightEncoding.ODD, WeightEncoding.TWOS_COMPLEMENT


def seeded(seed):
    return random.Random(seed)  # noqa: S311 - vectors, not secrets


def spec_of(act_bits, weight_bits, encoding, *, rows=1, cols=1, lanes=1, **more):
    return HardwareSpec(
        act=ActFormat(bits=act_bits),
        weight=WeightFormat(bits=weight_bits, encoding=encoding),
        rows=rows,
        cols=cols,
        lanes=lanes,
        **more,
    )


def packed(values, bits):
    return sum(value << (index * bits) for index, value in enumerate(values))


def vectors(spec, rng, *, at_most):
    """All lanes' activations and codes: every combination if these are few, else corners and samples."""
    acts, codes = range(spec.act.max + 1), range(spec.weight.levels + 1)
    if (len(acts) * len(codes)) ** spec.lanes <= at_most:
        lane = list(itertools.product(acts, codes))
        for combination in itertools.product(lane, repeat=spec.lanes):
            yield tuple(zip(*combination, strict=True))
        return
    for a, w in itertools.product((0, 1, spec.act.max), (0, 1, spec.weight.levels // 2, spec.weight.levels)):
        yield (a,) * spec.lanes, (w,) * spec.lanes
    for _ in range(200):
        yield tuple(rng.choices(acts, k=spec.lanes)), tuple(rng.choices(codes, k=spec.lanes))


def run_combinational(module, check):
    async def bench(ctx):
        check(ctx)

    simulator = Simulator(module)
    simulator.add_testbench(bench)
    simulator.run()


WIDTHS = [(1, 1), (1, 2), (2, 1), (2, 2), (3, 2), (1, 16), (16, 1), (4, 8), (8, 8), (16, 16)]


@pytest.mark.parametrize("encoding", [ODD, TWOS])
@pytest.mark.parametrize(("act_bits", "weight_bits"), WIDTHS)
@pytest.mark.parametrize("lanes", [1, 2, 3, 7])
def test_product_sum_is_exact(act_bits, weight_bits, encoding, lanes):
    spec = spec_of(act_bits, weight_bits, encoding, lanes=lanes)
    m = Module()
    act, code = Signal(lanes * act_bits), Signal(lanes * weight_bits)
    terms = list(zip(elements(act, lanes), elements(code, lanes), strict=True))
    total = product_sum(m, terms, lambda count: code_sum_shape(spec, count))
    assert len(total) == code_sum_shape(spec, lanes).width
    result = Signal(total.shape())
    tally_value = act_sum(m, spec, act)
    tally = Signal(act_sum_shape(spec, lanes))
    m.d.comb += [result.eq(total), tally.eq(tally_value)]

    def check(ctx):
        for acts, codes in vectors(spec, seeded(lanes), at_most=4096):
            ctx.set(act, packed(acts, act_bits))
            ctx.set(code, packed(codes, weight_bits))
            assert ctx.get(result) == sum(a * w for a, w in zip(acts, codes, strict=True)), (acts, codes)
            assert ctx.get(tally) == sum(acts)

    run_combinational(m, check)


@pytest.mark.parametrize("encoding", [ODD, TWOS])
@pytest.mark.parametrize("acc_bits", [0, 40])
@pytest.mark.parametrize(("act_bits", "weight_bits"), WIDTHS)
def test_correction_gives_the_value_of_the_codes(act_bits, weight_bits, acc_bits, encoding):
    spec = spec_of(act_bits, weight_bits, encoding, max_reduction=7, acc_bits=acc_bits)
    m = Module()
    acc, total = Signal(acc_shape(spec)), Signal(act_sum_shape(spec, 7))
    value = corrected(spec, acc, excess(m, spec, total))
    result = Signal(spec.acc_bits)
    m.d.comb += result.eq(value)

    def check(ctx):
        rng = seeded(0)
        for _ in range(300):
            acts = rng.choices([0, spec.act.max, rng.randint(0, spec.act.max)], k=7)
            codes = rng.choices([0, spec.weight.levels, rng.randint(0, spec.weight.levels)], k=7)
            ctx.set(acc, sum(a * q for a, q in zip(acts, codes, strict=True)))
            ctx.set(total, sum(acts))
            offset = 1 << (weight_bits - 1)
            values = [2 * q - spec.weight.levels if encoding is ODD else q - offset for q in codes]
            exact = sum(a * value for a, value in zip(acts, values, strict=True))
            assert ctx.get(result) == exact % (1 << spec.acc_bits)

    run_combinational(m, check)


@pytest.mark.parametrize("encoding", [ODD, TWOS])
@pytest.mark.parametrize(("act_bits", "weight_bits"), WIDTHS)
@pytest.mark.parametrize("terms", [1, 2, 7, 4608])
def test_shapes_hold_every_sum_and_are_not_a_bit_wider(act_bits, weight_bits, encoding, terms):
    spec = spec_of(act_bits, weight_bits, encoding)
    high = terms * spec.act.max * spec.weight.levels
    shape = code_sum_shape(spec, terms)
    assert not shape.signed
    assert 1 << (shape.width - 1) <= high < 1 << shape.width


@pytest.mark.parametrize("bits", [1, 2, 5])
def test_offset_codes_stand_for_the_same_weights(bits):
    spec = spec_of(2, bits, TWOS)
    code = Signal(2 * bits)
    result = Signal(2 * bits)
    m = Module()
    m.d.comb += result.eq(offset_codes(spec, code))

    def check(ctx):
        for q, other in itertools.product(range(1 << bits), repeat=2):
            ctx.set(code, packed((q, other), bits))
            value = q - (1 << bits) if q > spec.weight.max else q
            assert ctx.get(result) % (1 << bits) - (1 << (bits - 1)) == value

    run_combinational(m, check)


def test_a_weight_stationary_partial_sum_is_as_wide_as_one_pass_needs():
    more = {"rows": 2, "lanes": 3, "dataflow": Dataflow.WEIGHT_STATIONARY}
    assert acc_shape(spec_of(4, 4, ODD, **more)) == code_sum_shape(spec_of(4, 4, ODD), 6)
    assert acc_shape(spec_of(4, 4, ODD, max_reduction=5, **more)) == code_sum_shape(spec_of(4, 4, ODD), 5)
