"""Trees with registers on their late bits: the sum over time, the latency, and what is refused."""

import random

import pytest
from amaranth.hdl import Fragment

from pact_hw.design import load_design
from pact_hw.errors import InputError
from pact_hw.spec import (
    ActFormat,
    Dataflow,
    HardwareSpec,
    MacKind,
    RequantiserSpec,
    WeightEncoding,
    WeightFormat,
    schedule,
)
from rtl_gen.compressor import Bit
from rtl_gen.correction import upper_difference
from rtl_gen.emit import write_design
from rtl_gen.staged import reduce_in_stages
from sim.products import random_products
from sim.runner import simulate


def spec_of(bits=2, *, stages=3, side=2, lanes=3, **more):
    return HardwareSpec(
        act=ActFormat(bits=bits),
        weight=WeightFormat(bits=bits, encoding=more.pop("encoding", WeightEncoding.ODD)),
        rows=side,
        cols=side,
        lanes=lanes,
        max_reduction=50,
        tree_stages=stages,
        **more,
    )


class Accumulator:
    """A reduction's adders and registers, cycle by cycle."""

    def __init__(self, reduction):
        self._reduction = reduction
        self._late = dict.fromkeys((name for name, _ in reduction.registers), 0)
        self.value = 0

    def step(self, inputs):
        width = len(self._reduction.bits)
        nets = {**inputs, **self._late, **{f"kept{i}": self.value >> i & 1 for i in range(width)}}
        for adder in self._reduction.adders:
            total = sum(nets[name] for name in adder.inputs)
            nets[adder.sum] = total & 1
            if adder.carry:
                nets[adder.carry] = total >> 1
        self._late = {name: nets[source] for name, source in self._reduction.registers}
        self.value = sum(nets[name] << i for i, name in enumerate(self._reduction.bits))


HEIGHTS = [[4, 3, 2, 0, 0], [8, 16, 24, 16, 8, 0, 0, 0, 0], [30, 60, 90, 60, 30, 0, 0, 0, 0, 0, 0]]


@pytest.mark.parametrize("heights", HEIGHTS)
@pytest.mark.parametrize("stages", [1, 2, 5, 9])
def test_the_total_is_there_after_as_many_cycles_as_there_are_stages(heights, stages):
    columns = [[Bit(137, f"b{i}_{j}") for j in range(height)] for i, height in enumerate(heights)]
    kept = [Bit(220, f"kept{i}", 0) for i in range(len(heights))]
    reduction = reduce_in_stages(columns, kept, stages)
    assert reduction.depth <= stages
    accumulator = Accumulator(reduction)
    rng = random.Random(2)  # noqa: S311 - vectors, not secrets
    names = [bit.name for bits in columns for bit in bits]
    total = 0
    for _ in range(3):  # tiles, one after the other
        for _ in range(20):
            inputs = {name: rng.randint(0, 1) for name in names}
            total += sum(value << int(name[1:].split("_")[0]) for name, value in inputs.items())
            accumulator.step(inputs)
        for _ in range(stages):
            accumulator.step(dict.fromkeys(names, 0))
        assert accumulator.value == total % (1 << len(heights))
        accumulator.step(dict.fromkeys(names, 0))
        assert accumulator.value == total % (1 << len(heights))


def test_the_accumulator_passes_no_register_and_more_stages_mean_a_shorter_path():
    columns = [[Bit(137, f"b{i}_{j}") for j in range(40)] for i in range(4)] + [[]] * 8
    kept = [Bit(220, f"kept{i}", 0) for i in range(12)]
    one, many = (reduce_in_stages(columns, kept, stages) for stages in (1, 8))
    assert len(one.registers) < len(many.registers)
    for reduction in (one, many):
        assert not {source for _, source in reduction.registers} & {bit.name for bit in kept}
        # What the accumulator's bit goes through is its own next value.
        for own, total in zip(kept, reduction.bits, strict=True):
            (adder,) = (adder for adder in reduction.adders if own.name in adder.inputs)
            assert adder.sum == total


def test_latency_and_tile_cycles_are_properties():
    plain, staged = spec_of(stages=0), spec_of(stages=3)
    assert (plain.array_latency_cycles, staged.array_latency_cycles) == (2, 7)
    assert (plain.result_latency_cycles, staged.result_latency_cycles) == (0, 1)
    fast, slow = (schedule(spec, m=8, k=12, n=4) for spec in (plain, staged))
    assert slow.tile_cycles == fast.tile_cycles + 4
    assert slow.cycles == fast.cycles + 4 * slow.tiles + 1


def test_a_description_without_stages_is_what_it_was():
    plain, staged = spec_of(stages=0), spec_of(stages=3)
    assert "tree_stages" not in plain.to_json()
    assert HardwareSpec.from_json(staged.to_json()) == staged
    assert plain.digest != staged.digest


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stages": -1}, r"^tree_stages must be .*0 to 16.*-1"),
        ({"stages": 17}, r"^tree_stages must be .*0 to 16.*17"),
        ({"dataflow": Dataflow.WEIGHT_STATIONARY}, "fixed output-stationary array, not a fixed weight-stat"),
        ({"bits": 4, "mac_kind": MacKind.COMPOSABLE}, "not a composable output-stationary one"),
    ],
)
def test_what_has_no_stages_is_refused(changes, message):
    with pytest.raises(InputError, match=message):
        spec_of(**changes)


POINTS = [
    spec_of(2, stages=3),
    spec_of(4, stages=1, side=4, lanes=2, encoding=WeightEncoding.TWOS_COMPLEMENT),
    spec_of(8, stages=6, side=4, lanes=2, requantiser=RequantiserSpec(), name="levels"),
    spec_of(16, stages=2, side=1, lanes=1),
    spec_of(9, stages=1, side=2, lanes=1, encoding=WeightEncoding.TWOS_COMPLEMENT, acc_bits=33),
]


def test_only_a_long_correction_is_in_halves():
    assert upper_difference(POINTS[0]) is None
    block = upper_difference(POINTS[3])
    Fragment.get(block, None)  # Amaranth warns of what nobody elaborates
    assert block.width == POINTS[3].acc_bits - POINTS[3].acc_bits // 2
    assert upper_difference(spec_of(16, stages=0)) is None


@pytest.mark.parametrize("spec", [POINTS[0], *(pytest.param(s, marks=pytest.mark.slow) for s in POINTS[1:])])
@pytest.mark.parametrize("body", ["operators", pytest.param("structure", marks=pytest.mark.slow)])
def test_an_array_with_stages_is_exact_and_takes_the_cycles_that_are_told(tmp_path, spec, body):
    write_design(spec, tmp_path)
    design = load_design(tmp_path)
    if body == "structure":
        text = design.verilog.read_text()
        assert "`ifdef SYNTHESIS" in text
        design.verilog.write_text(text.replace("`ifdef SYNTHESIS", "`ifndef SYNTHESIS"))
    report = simulate(design, random_products(spec, 6, seed=0), folder=tmp_path / "sim").to_json()
    assert report["passed"]
    assert report["mismatches"] == 0
    assert report["cycles"] == report["predicted_cycles"]
