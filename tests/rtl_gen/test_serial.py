"""The bit-serial array as it is written; what it computes is in tests/sim/test_serial_arrays.py."""

import re

import pytest
from test_rtl_emit import lint, spec_of
from test_rtl_structure import proof, prove

from pact_hw.spec import Drain, HardwareSpec, MacKind, RequantiserSpec, WeightEncoding
from rtl_gen.emit import write_design
from rtl_gen.names import PORT
from rtl_gen.partial_products import SERIAL_PAIR_MIN_BITS, in_pairs

SERIAL = {"mac_kind": MacKind.BIT_SERIAL}
TWOS_COMPLEMENT = {"encoding": WeightEncoding.TWOS_COMPLEMENT}
PAIRS = {"rows": 4, "cols": 5}


@pytest.mark.parametrize(
    ("bits", "more"),
    [
        ((1, 1), {"lanes": 1, "max_reduction": 1}),
        ((1, 16), TWOS_COMPLEMENT),
        ((8, 2), PAIRS | TWOS_COMPLEMENT),
        ((8, 8), PAIRS | {"requantiser": RequantiserSpec()}),
        ((16, 3), {"lanes": 3, "drain": Drain.WIDE}),
        ((5, 4), PAIRS | {"pipeline": 2}),
    ],
)
def test_verilog_is_lint_clean_and_has_no_unnamed_signal(tmp_path, bits, more):
    design = write_design(spec_of(*bits, **SERIAL, **more), tmp_path)
    for macros in ((), ("-DSYNTHESIS",)):
        done = lint(design.verilog, *macros)
        assert (done.returncode, done.stderr) == (0, "")
    assert "\\$" not in design.verilog.read_text()
    assert [port.name for port in design.ports if not PORT.fullmatch(port.name)] == []


def test_a_beat_has_one_bit_of_each_activation(tmp_path):
    design = write_design(spec_of(8, 5, 2, 3, 4, **SERIAL), tmp_path)
    ports = {port.name: port.width for port in design.ports}
    assert (ports["in_act"], ports["in_weight"], ports["in_next_plane"]) == (2 * 4, 3 * 4 * 5, 1)


def test_the_hardware_does_not_know_how_wide_activations_are(tmp_path):
    """Of an accumulator of the same width only the sum of activations, which is corrected, differs."""
    elements = []
    for bits, longest in ((4, 17 * 17), (8, 17)):  # the same highest sum
        spec = spec_of(bits, 4, max_reduction=longest, acc_bits=22, **SERIAL)
        text = write_design(spec, tmp_path / str(bits)).verilog.read_text()
        elements.append(re.search(r"^module mac_array_pe \(.*?^endmodule", text, re.DOTALL | re.MULTILINE)[0])
    assert (1 << 4) - 1 == 15
    assert 15 * 17 * 17 == 255 * 17
    assert elements[0] == elements[1]


def test_pairs_of_weights_are_chosen_where_they_are_smaller():
    assert in_pairs(spec_of(8, SERIAL_PAIR_MIN_BITS, 4, 4, **SERIAL))
    assert not in_pairs(spec_of(8, SERIAL_PAIR_MIN_BITS - 1, 4, 4, **SERIAL))
    assert not in_pairs(spec_of(8, 8, 3, 4, **SERIAL))
    assert not in_pairs(spec_of(8, 8, 4, 4, 3, **SERIAL))


@pytest.mark.parametrize(
    ("weight_bits", "lanes", "more"), [(1, 8, {}), (2, 4, {}), (3, 3, {}), (4, 2, {"drain": Drain.WIDE})]
)
def test_both_bodies_of_a_pe_are_proved_equal_where_it_is_not_in_a_shift(tmp_path, weight_bits, lanes, more):
    """In a shift nothing counts twice: what the bodies do with both is not the same, and does not occur."""
    spec = spec_of(3, weight_bits, 1, 1, lanes, max_reduction=20, **SERIAL, **more)
    design = write_design(spec, tmp_path)
    shift_in = "" if more else ".acc_in(acc_in), "
    add_wrapper(design, spec, "act", "weight", shift_in)
    done = prove(design, proof("wrapper", "*acc"))
    assert done.returncode == 0, done.stdout[-2000:]
    assert "SAT proof finished - no model found: SUCCESS!" in done.stdout


@pytest.mark.parametrize("weight_bits", [4, 5])
def test_a_pe_in_pair_form_is_proved_equal_for_choices_that_can_occur(tmp_path, weight_bits):
    spec = spec_of(3, weight_bits, 4, 4, 2, max_reduction=6, **SERIAL)
    assert in_pairs(spec)
    design = write_design(spec, tmp_path)
    add_wrapper(design, spec, "choice", "{sum, weight}", ".acc_in(acc_in), ")
    done = prove(design, proof("wrapper", "*acc"))
    assert done.returncode == 0, done.stdout[-2000:]
    assert "SAT proof finished - no model found: SUCCESS!" in done.stdout


WRAPPER = """
module wrapper (
  input clk, input shift, input next, input [{a}:0] act, input [{w}:0] weight, input [{n}:0] acc_in,
  output [{n}:0] acc
);
{decoder}
  mac_array_pe pe (
    .clk(clk), .shift(shift), .twice(next & ~shift), .act({act_pins}), .weight({weight_pins}),
    {shift_in}.acc(acc)
  );
endmodule
"""
DECODER = """\
  wire [2:0] choice;
  mac_array_choice decoder (.act(act), .choice(choice));
  wire [{half}:0] sum = weight[{half1}:0] + weight[{w}:{half}];
"""


def add_wrapper(design, spec: HardwareSpec, act_pins, weight_pins, shift_in):
    weights = spec.lanes * spec.weight.bits
    width = (spec.max_reduction * spec.act.max * spec.weight.levels).bit_length()
    half = spec.weight.bits
    decoder = DECODER.format(half=half, half1=half - 1, w=weights - 1) if in_pairs(spec) else ""
    text = WRAPPER.format(
        a=spec.lanes - 1,
        w=weights - 1,
        n=width - 1,
        decoder=decoder,
        act_pins=act_pins,
        weight_pins=weight_pins,
        shift_in=shift_in,
    )
    design.verilog.write_text(design.verilog.read_text() + text)


@pytest.mark.parametrize(("bits", "lanes"), [(1, 8), (4, 5), (8, 3)])
def test_both_bodies_of_a_row_s_sum_of_activations_are_proved_equal(tmp_path, bits, lanes):
    """The sum is cleared with the last shift, when nothing counts twice."""
    spec = spec_of(bits, 2, 1, 1, lanes, max_reduction=20, **SERIAL)
    design = write_design(spec, tmp_path)
    width = (20 * spec.act.max).bit_length()
    text = design.verilog.read_text() + TOTAL.format(a=lanes - 1, n=width - 1)
    design.verilog.write_text(text)
    done = prove(design, proof("wrapper", "*total"))
    assert done.returncode == 0, done.stdout[-2000:]
    assert "SAT proof finished - no model found: SUCCESS!" in done.stdout


TOTAL = """
module wrapper (input clk, input clear, input next, input [{a}:0] act, output [{n}:0] total);
  mac_array_act_total tile_total (
    .clk(clk), .clear(clear), .twice(next & ~clear), .act(act), .total(total)
  );
endmodule
"""


def test_a_bit_that_does_not_move_is_not_proved(tmp_path):
    spec = spec_of(3, 2, 1, 1, 2, max_reduction=20, **SERIAL)
    design = write_design(spec, tmp_path)
    text = design.verilog.read_text()
    broken = text.replace("{acc[7:0], 1'b0}", "{acc[7:1], acc[1], 1'b0}")
    assert broken != text
    design.verilog.write_text(broken)
    add_wrapper(design, spec, "act", "weight", ".acc_in(acc_in), ")
    assert prove(design, proof("wrapper", "*acc")).returncode != 0
