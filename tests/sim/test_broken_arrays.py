"""Deliberately broken arrays: each is caught by ``simulate``, and the unbroken one passes.

The generated Verilog is edited after the design was loaded, so that what is simulated is the real
array with one fault in it.
"""

import re
from dataclasses import dataclass

import pytest

from pact_hw.design import load_design
from pact_hw.spec import ActFormat, Dataflow, HardwareSpec, WeightEncoding, WeightFormat
from rtl_gen.emit import write_design
from sim.products import random_products
from sim.runner import simulate
from sim.vectors import RESET, STALLS

ODD, TWOS_COMPLEMENT = WeightEncoding.ODD, WeightEncoding.TWOS_COMPLEMENT
OS, WS = Dataflow.OUTPUT_STATIONARY, Dataflow.WEIGHT_STATIONARY


def _spec(dataflow=OS, encoding=ODD):
    return HardwareSpec(
        name="tiny",
        act=ActFormat(bits=3),
        weight=WeightFormat(bits=3, encoding=encoding),
        rows=2,
        cols=3,
        lanes=2,
        max_reduction=200,
        dataflow=dataflow,
    )


def _run(spec, folder, *faults):
    write_design(spec, folder)
    design = load_design(folder)
    verilog = design.verilog.read_text()
    for fault in faults:
        verilog = fault(verilog)
    design.verilog.write_text(verilog)
    return simulate(design, random_products(spec, 8, seed=0), folder=folder / "sim")


@dataclass(frozen=True)
class Replace:
    """Replaces the one place that a pattern finds; a generator that changed makes the test fail, not pass."""

    pattern: str
    replacement: str

    def __call__(self, verilog):
        edited, count = re.subn(self.pattern, self.replacement, verilog, flags=re.MULTILINE)
        assert count == 1, self.pattern
        return edited


def one_bit_of_one_product(verilog):
    """Column 1's PEs get a multiplier whose lowest bit is wrong for one pair of operands."""
    pe = re.search(r"^module tiny_pe \(.*?^endmodule\n", verilog, re.MULTILINE | re.DOTALL)
    assert pe is not None
    broken = pe[0].replace("module tiny_pe (", "module tiny_broken_pe (")
    broken = Replace(r"assign product_0 = (.*);", r"assign product_0 = (\1) ^ (&act[2:0] & &weight[2:0]);")(
        broken
    )
    return Replace(r"tiny_pe pe_1 \(", "tiny_broken_pe pe_1 (")(verilog) + broken


def accumulator_one_bit_short(verilog):
    """The top bit is the one below it repeated if sums are signed, else 0."""
    found = re.search(r"output reg +\[(\d+):0\] (acc|psum) ", verilog)
    assert found is not None
    top, name = int(found[1]), found[2]
    extension = f"{name}_next[{top - 1}]" if "$signed" in verilog else "1'b0"
    return Replace(rf"{name} <= {name}_next;", f"{name} <= {{{extension}, {name}_next[{top - 1}:0]}};")(
        verilog
    )


accumulator_not_cleared = Replace(r"\.acc_in\(\d+'h0+\)", ".acc_in(acc_2)")
activation_sum_not_cleared = Replace(r"assign kept = .*;", "assign kept = total;")
partial_sum_not_cleared = Replace(r"\.psum_in\(\d+'h0+\)", ".psum_in(psum_0)")


@pytest.mark.parametrize("encoding", WeightEncoding)
@pytest.mark.parametrize("dataflow", Dataflow)
def test_the_unbroken_array_passes(dataflow, encoding, tmp_path):
    report = _run(_spec(dataflow, encoding), tmp_path)
    assert report.problems == []
    assert report.passed
    assert report.cycles == report.predicted_cycles > 0
    assert report.values_compared > 100


@pytest.mark.parametrize(
    ("dataflow", "encoding", "fault"),
    [
        (OS, ODD, one_bit_of_one_product),
        (OS, TWOS_COMPLEMENT, one_bit_of_one_product),
        (WS, ODD, one_bit_of_one_product),
        (OS, ODD, accumulator_one_bit_short),
        (OS, TWOS_COMPLEMENT, accumulator_one_bit_short),
        (WS, ODD, accumulator_one_bit_short),
        (OS, TWOS_COMPLEMENT, accumulator_not_cleared),
        (OS, ODD, activation_sum_not_cleared),
        (WS, TWOS_COMPLEMENT, partial_sum_not_cleared),
    ],
)
def test_a_broken_array_is_caught(dataflow, encoding, fault, tmp_path):
    report = _run(_spec(dataflow, encoding), tmp_path, fault)
    assert report.mismatches > 0
    assert not report.passed
    first = report.problems[0]
    assert re.fullmatch(
        r"product '.+' \(plain\), row \d+, column \d+ \(.*tile \d+\): expected -?\d+, got -?\d+", first
    )


def test_a_wrong_product_is_wrong_in_its_column_only(tmp_path):
    report = _run(_spec(), tmp_path, one_bit_of_one_product)
    # All products are the highest: 200 terms, 100 of them in lane 0, each one too small, counted twice.
    first = next(result.first_mismatch for result in report.results if result.first_mismatch)
    assert (first.where, first.expected, first.got) == (
        "row 0, column 1 (array row 0, array column 1, tile 0)",
        200 * 7 * 7,
        200 * 7 * 7 - 100 * 2,
    )


def test_a_reset_that_forgets_the_accumulators_is_caught_by_the_reset_in_mid_stream(tmp_path):
    used = Replace(
        r"reg clearing;", "reg clearing; reg used = 0; always @(posedge clk) used <= used | in_valid;"
    )
    clears_once = Replace(r"if \(rst\) clearing <= 1'h1;", "if (rst) clearing <= ~used;")
    ready_at_once = Replace(r"if \(rst\) in_ready <= 1'h0;", "if (rst) in_ready <= used;")
    report = _run(_spec(), tmp_path, used, clears_once, ready_at_once)
    assert {result.scenario for result in report.results if result.mismatches} == {RESET}


def test_a_result_that_does_not_wait_is_caught_by_the_stalls(tmp_path):
    impatient = Replace(r"shift = clearing \| \(out_valid & out_ready\)", "shift = clearing | out_valid")
    report = _run(_spec(), tmp_path, impatient)
    assert {result.scenario for result in report.results if result.mismatches} == {STALLS}


def test_a_late_result_is_caught_by_the_cycle_check(tmp_path):
    late = Replace(
        r"else flushing <= accept_last;",
        "else flushing <= late;\n  reg late = 0;\n  always @(posedge clk) late <= accept_last;",
    )
    report = _run(_spec(), tmp_path, late)
    assert report.mismatches == 0
    assert not report.passed
    assert report.problems[0] == ("product 'highest sums' (plain): took 105 cycles, the schedule says 104")


def test_a_deadlock_is_one_line_and_not_a_hang(tmp_path):
    once = Replace(r"in_ready <= last_shift \|", "in_ready <= (last_shift & clearing) |")
    report = _run(_spec(), tmp_path, once)
    deadlocked = next(result for result in report.results if result.mismatches)
    assert deadlocked.name == "lowest sums"
    assert deadlocked.mismatches == 6
    assert re.fullmatch(
        r"product 'lowest sums' \(plain\), deadlock: no beat moved for \d+ cycles "
        r"after 0 beats of 'in' were taken: expected 3, got 0",
        deadlocked.problem,
    )


def test_a_surplus_result_is_caught(tmp_path):
    # Every tile offers its last column once more.
    twice = Replace(
        r"else out_valid <= flushing \| ", "else out_valid <= flushing | (last_shift & ~clearing) | "
    )
    report = _run(_spec(), tmp_path, twice)
    assert not report.passed
    assert report.mismatches > 0
