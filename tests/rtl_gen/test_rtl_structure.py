"""What synthesis builds of a PE: adders counted, evaluated in Python, and proved with Yosys."""

import random
import subprocess
import sys

import pytest

from pact_hw.spec import ActFormat, Dataflow, HardwareSpec, WeightEncoding, WeightFormat
from rtl_gen import carry_save, compressor, structure
from rtl_gen.compressor import Bit, reduce_columns
from rtl_gen.emit import write_design
from rtl_gen.partial_products import in_pairs

PYOSYS = "import sys; from pyosys import libyosys; libyosys.run_pass('script ' + sys.argv[1])"


def spec_of(act_bits, weight_bits, *, side=1, lanes=2, **more):
    return HardwareSpec(
        act=ActFormat(bits=act_bits),
        weight=WeightFormat(bits=weight_bits, encoding=WeightEncoding.ODD),
        rows=side,
        cols=side,
        lanes=lanes,
        **more,
    )


def value_of(reduction, values):
    """The number that ``reduction`` leaves, from the bits' ``values`` by name."""
    nets = dict(values)
    for adder in reduction.adders:
        total = sum(nets[name] for name in adder.inputs)
        nets[adder.sum] = total & 1
        if adder.carry:
            nets[adder.carry] = total >> 1
    found = sum(nets[name] << number for number, bits in enumerate(reduction.columns) for name in bits)
    return found % (1 << len(reduction.columns))


@pytest.mark.parametrize(
    "heights", [[1], [2, 1], [3, 0, 4], [5, 9, 2, 0, 1], [40, 70, 90, 60, 1, 1, 1], [0, 0]]
)
def test_a_reduction_keeps_the_sum_and_takes_one_adder_for_each_bit_less(heights):
    columns = [[Bit(0, f"b{i}_{j}", None) for j in range(height)] for i, height in enumerate(heights)]
    reduction = reduce_columns(columns)
    assert all(len(bits) <= 1 for bits in reduction.columns[: reduction.split])
    assert all(len(bits) <= 2 for bits in reduction.columns[reduction.split + 1 :])
    rng = random.Random(1)  # noqa: S311 - vectors, not secrets
    for density in (0.0, 1.0, *[0.5] * 50):
        values = {bit.name: int(rng.random() < density) for bits in columns for bit in bits}
        expected = sum(values[bit.name] << number for number, bits in enumerate(columns) for bit in bits)
        assert value_of(reduction, values) == expected % (1 << len(columns))
    full = sum(len(adder.inputs) == 3 for adder in reduction.adders)
    assert full <= sum(heights)


def test_pairs_are_chosen_where_they_are_smaller():
    assert in_pairs(spec_of(4, 4, side=4))
    assert not in_pairs(spec_of(3, 4, side=4))
    assert not in_pairs(spec_of(4, 1, side=4))
    assert not in_pairs(spec_of(4, 4, side=3))
    assert not in_pairs(spec_of(4, 4, side=4, lanes=3))
    assert not in_pairs(spec_of(4, 4, side=4, dataflow=Dataflow.WEIGHT_STATIONARY))


def proof(kind, *registers):
    """A Yosys script that proves the PE's two bodies equal: next state from any state, any inputs."""
    exposed = " ".join(f"{side}/w:{register}" for register in registers for side in ("gold", "gate"))
    exposed += " gold/t:$dff gate/t:$dff"
    return f"""
read_verilog -DSYNTHESIS mac_array.v
hierarchy -top {kind}
proc
flatten
rename {kind} gate
design -stash gate
design -reset
read_verilog operators.v
hierarchy -top {kind}
proc
flatten
rename {kind} gold
design -stash gold
design -copy-from gold -as gold gold
design -copy-from gate -as gate gate
expose -evert-dff {exposed}
miter -equiv -make_outputs -flatten gold gate miter
hierarchy -top miter
opt -full
sat -verify -prove trigger 0 -set-def-inputs miter
"""


def prove(design, script):
    folder = design.folder
    (folder / "operators.v").write_text("`undef SYNTHESIS\n" + design.verilog.read_text())
    (folder / "proof.ys").write_text(script)
    return subprocess.run(
        [sys.executable, "-c", PYOSYS, "proof.ys"], cwd=folder, capture_output=True, text=True, timeout=120
    )


PROVED = [(1, 1, 8), (2, 2, 4), (3, 2, 3), (1, 4, 3), (4, 1, 3), (3, 3, 2), (4, 4, 1)]


@pytest.mark.parametrize("dataflow", Dataflow)
@pytest.mark.parametrize(("act_bits", "weight_bits", "lanes"), PROVED)
def test_both_bodies_of_a_pe_are_proved_equal(tmp_path, act_bits, weight_bits, lanes, dataflow):
    spec = spec_of(act_bits, weight_bits, lanes=lanes, dataflow=dataflow, max_reduction=40)
    registers = ["acc"] if dataflow is Dataflow.OUTPUT_STATIONARY else ["psum", "weight"]
    done = prove(write_design(spec, tmp_path), proof("mac_array_pe", *registers))
    assert done.returncode == 0, done.stdout[-2000:]
    assert "SAT proof finished - no model found: SUCCESS!" in done.stdout


@pytest.mark.parametrize(("act_bits", "weight_bits", "lanes"), [(2, 2, 4), (3, 3, 2), (1, 4, 3)])
def test_both_bodies_are_proved_equal_where_words_are_added_at_the_end(
    tmp_path, monkeypatch, act_bits, weight_bits, lanes
):
    monkeypatch.setattr(compressor, "LIMIT_PS", 330)
    spec = spec_of(
        act_bits, weight_bits, lanes=lanes, side=2, dataflow=Dataflow.WEIGHT_STATIONARY, max_reduction=40
    )
    design = write_design(spec, tmp_path)
    assert "middle_carry" in design.verilog.read_text()
    done = prove(design, proof("mac_array_pe", "psum", "weight"))
    assert done.returncode == 0, done.stdout[-2000:]
    assert "SAT proof finished - no model found: SUCCESS!" in done.stdout


@pytest.mark.parametrize("limit", [965, 320])
@pytest.mark.parametrize(("bits", "lanes"), [(1, 1), (1, 8), (2, 5), (4, 4), (8, 3)])
def test_both_bodies_of_a_row_s_sum_of_activations_are_proved_equal(
    tmp_path, monkeypatch, bits, lanes, limit
):
    monkeypatch.setattr(compressor, "LIMIT_PS", limit)
    design = write_design(spec_of(bits, 2, lanes=lanes, max_reduction=40), tmp_path)
    done = prove(design, proof("mac_array_act_total", "total"))
    assert done.returncode == 0, done.stdout[-2000:]
    assert "SAT proof finished - no model found: SUCCESS!" in done.stdout


def test_a_wrong_adder_is_not_proved(tmp_path):
    design = write_design(spec_of(2, 2, lanes=4), tmp_path)
    text = design.verilog.read_text()
    broken = text.replace("assign carry = (a & b) | (c & (a | b));", "assign carry = (a & b) | (c & a);")
    assert broken != text
    design.verilog.write_text(broken)
    assert prove(design, proof("mac_array_pe", "acc")).returncode != 0


ACCUMULATION = """
module wrapper (
  input clk, input shift, input [{a}:0] act, input [{w}:0] weight, input [{n}:0] acc_in, output fail
);
  wire [{n}:0] acc;
  mac_array_pe pe (.clk(clk), .shift(shift), .act(act), .weight(weight), .acc_in(acc_in), .acc(acc));
  reg [{v}:0] expected;
  wire [{v}:0] products = {products};
  always @(posedge clk) expected <= (shift ? {value_in} : expected) + products;
  assign fail = {value} != expected;
endmodule
"""


def accumulation(design, spec, carries, body):
    """A Yosys script that proves: a PE whose register stands for the right number does so a cycle later."""
    width = (spec.max_reduction * spec.act.max * spec.weight.levels).bit_length()
    act, weight = spec.act.bits, spec.weight.bits
    products = [
        f"{width}'d0 + act[{lane * act}+:{act}] * ({width}'d0 + weight[{lane * weight}+:{weight}])"
        for lane in range(spec.lanes)
    ]

    def value(name):
        kept = [f"({width}'d0 + {name}[{width + k}] << {column})" for k, column in enumerate(carries)]
        return f"({' + '.join([f'{name}[{width - 1}:0]', *kept])})"

    text = ACCUMULATION.format(
        a=spec.lanes * act - 1,
        w=spec.lanes * weight - 1,
        n=width + len(carries) - 1,
        v=width - 1,
        products=" + ".join(products),
        value=value("acc"),
        value_in=value("acc_in"),
    )
    design.verilog.write_text(design.verilog.read_text() + text)
    return f"""
read_verilog {"-DSYNTHESIS" if body == "structure" else ""} mac_array.v
hierarchy -top wrapper
proc
flatten
opt -full
sat -verify -tempinduct -tempinduct-inductonly -prove fail 0 -maxsteps 1 wrapper
"""


@pytest.mark.parametrize("body", ["structure", "operators"])
@pytest.mark.parametrize(("act_bits", "weight_bits", "lanes"), [(1, 1, 8), (2, 2, 4), (3, 2, 3), (4, 4, 1)])
def test_an_accumulator_that_keeps_carries_is_proved(
    tmp_path, monkeypatch, act_bits, weight_bits, lanes, body
):
    monkeypatch.setattr(carry_save, "LIMIT_PS", 330)
    structure.multiply_accumulate.cache_clear()
    spec = spec_of(act_bits, weight_bits, lanes=lanes, max_reduction=40)
    _, carries = structure.multiply_accumulate(spec)
    assert len(carries) > 2
    design = write_design(spec, tmp_path)
    structure.multiply_accumulate.cache_clear()
    done = prove(design, accumulation(design, spec, carries, body))
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Induction step proven: SUCCESS!" in done.stdout


WRAPPER = """
module wrapper (
  input clk, input shift, input [{a2}:0] act, input [{w2}:0] weight, input [{n}:0] acc_in, output [{n}:0] acc
);
  wire [{a}:0] sum = act[{a1}:0] + act[{a2}:{a}];
  wire [{w3}:0] choice;
  mac_array_choice decoder (.weight(weight), .choice(choice));
  mac_array_pe pe (.clk(clk), .shift(shift), .act({{sum, act}}), .weight(choice), .acc_in(acc_in), .acc(acc));
endmodule
"""


@pytest.mark.parametrize(("act_bits", "weight_bits"), [(4, 2), (5, 2), (4, 3)])
def test_a_pe_in_pair_form_is_proved_equal_for_choices_that_can_occur(tmp_path, act_bits, weight_bits):
    spec = spec_of(act_bits, weight_bits, side=4, lanes=2, max_reduction=6)
    design = write_design(spec, tmp_path)
    text = design.verilog.read_text()
    width = (6 * spec.act.max * spec.weight.levels).bit_length()
    sizes = {"a": act_bits, "a1": act_bits - 1, "a2": 2 * act_bits - 1}
    sizes |= {"w2": 2 * weight_bits - 1, "w3": 3 * weight_bits - 1, "n": width - 1}
    design.verilog.write_text(text + WRAPPER.format(**sizes))
    done = prove(design, proof("wrapper", "*acc"))
    assert done.returncode == 0, done.stdout[-2000:]
    assert "SAT proof finished - no model found: SUCCESS!" in done.stdout
