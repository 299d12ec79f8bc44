"""The threshold requantiser, clock by clock in Amaranth's simulator, and as it is written."""

import dataclasses

import pytest
from amaranth.sim import Simulator
from test_rtl_blocks import seeded, spec_of
from test_rtl_emit import lint

from pact_hw.spec import MacKind, RequantiserKind, RequantiserSpec
from rtl_gen.emit import write_design
from rtl_gen.requantiser import output_bits
from rtl_gen.threshold import ThresholdRequantiser

KINDS = [(1, 0), (2, 0), (3, 2), (4, 1), (5, 0)]


def requantiser_of(level_bits, residual_bits):
    kind = RequantiserKind.THRESHOLD
    return RequantiserSpec(kind=kind, level_bits=level_bits, residual_bits=residual_bits)


@pytest.mark.parametrize(("level_bits", "residual_bits"), KINDS)
def test_every_sum_reaches_the_thresholds_that_are_not_above_it(level_bits, residual_bits):
    requantiser = requantiser_of(level_bits, residual_bits)
    spec = dataclasses.replace(spec_of(1, 1, max_reduction=20), requantiser=requantiser, acc_bits=0)
    assert spec.requantiser_latency_cycles == 1
    block = ThresholdRequantiser(spec, requantiser)
    half = 1 << (spec.acc_bits - 1)
    rng = seeded(4)

    def step(ctx, acc, sets, negative, residual, raw):
        flat = [threshold for one in sets for threshold in one]
        wrap = (1 << spec.acc_bits) - 1
        word = sum((threshold & wrap) << (i * spec.acc_bits) for i, threshold in enumerate(flat))
        ctx.set(block.thresholds, word)
        ctx.set(block.acc, acc)
        ctx.set(block.negative, negative)
        ctx.set(block.raw, raw)
        if residual_bits:
            ctx.set(block.residual, residual)

    async def bench(ctx):
        for _ in range(6):
            spread = rng.choice((1, 3, half))
            sets = [
                sorted(
                    rng.randint(-min(spread, half), min(spread, half) - 1) for _ in range(requantiser.steps)
                )
                for _ in range(requantiser.threshold_sets)
            ]
            for acc in range(-half, half):
                negative, residual = rng.random() < 0.5, rng.randrange(requantiser.threshold_sets)
                raw = rng.random() < 0.1
                step(ctx, acc, sets, negative, residual, raw)
                ctx.set(block.advance, 1)
                await ctx.tick()
                reached = sum(acc >= threshold for threshold in sets[residual])
                level = requantiser.steps - reached if negative else reached
                expected = acc % (1 << output_bits(spec, requantiser)) if raw else level
                assert ctx.get(block.data) == expected
                if rng.random() < 0.2:  # what is not taken stays
                    step(ctx, -acc - 1, sets, not negative, residual, not raw)
                    ctx.set(block.advance, 0)
                    await ctx.tick()
                    assert ctx.get(block.data) == expected

    simulator = Simulator(block)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.parametrize("more", [{}, {"mac_kind": MacKind.COMPOSABLE}])
@pytest.mark.parametrize(("level_bits", "residual_bits"), [(1, 0), (4, 0), (3, 2)])
def test_verilog_is_lint_clean(tmp_path, level_bits, residual_bits, more):
    spec = spec_of(requantiser=requantiser_of(level_bits, residual_bits), **more)
    design = write_design(spec, tmp_path)
    for macros in ((), ("-DSYNTHESIS",)):
        done = lint(design.verilog, *macros)
        assert (done.returncode, done.stderr) == (0, "")
    assert "\\$" not in design.verilog.read_text()
    ports = {port.name: port.width for port in design.ports}
    assert ports["scale_thresholds"] == ((1 << level_bits) - 1 << residual_bits) * spec.acc_bits
    assert ports.get("scale_residual", 0) == spec.rows * residual_bits
    assert "scale_mult" not in ports


def test_a_multiplying_requantiser_without_residual_has_no_ports_for_it(tmp_path):
    design = write_design(spec_of(requantiser=RequantiserSpec(residual_bits=0)), tmp_path)
    assert lint(design.verilog).stderr == ""
    assert not [port.name for port in design.ports if "residual" in port.name]
