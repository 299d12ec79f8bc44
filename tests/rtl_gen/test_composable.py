"""The composable array as it is written; what it computes is in tests/sim/test_composable_arrays.py."""

import re

import pytest
from test_rtl_emit import lint, spec_of
from test_rtl_structure import proof, prove

from pact_hw.spec import MacKind, RequantiserSpec, WeightEncoding
from rtl_gen.emit import write_design
from rtl_gen.names import PORT

COMPOSABLE = {"mac_kind": MacKind.COMPOSABLE}


@pytest.mark.parametrize("encoding", WeightEncoding)
@pytest.mark.parametrize(
    ("bits", "narrowest", "more"),
    [(4, 2, {}), (8, 2, {"requantiser": RequantiserSpec()}), (8, 4, {}), (16, 4, {"max_reduction": 32})],
)
def test_verilog_is_lint_clean_and_has_no_unnamed_signal(tmp_path, bits, narrowest, more, encoding):
    spec = spec_of(bits, bits, encoding=encoding, narrowest_bits=narrowest, **COMPOSABLE, **more)
    design = write_design(spec, tmp_path)
    for macros in ((), ("-DSYNTHESIS",)):
        done = lint(design.verilog, *macros)
        assert (done.returncode, done.stderr) == (0, "")
    assert "\\$" not in design.verilog.read_text()
    assert [port.name for port in design.ports if not PORT.fullmatch(port.name)] == []


def test_operand_ports_hold_the_narrowest_mode(tmp_path):
    design = write_design(spec_of(8, 8, 2, 3, 2, **COMPOSABLE), tmp_path)
    ports = {port.name: port for port in design.ports}
    # 2 lanes of 4 x 4 operands of 2 bits.
    assert ports["in_act"].width == 2 * 2 * 16 * 2
    assert ports["in_weight"].width == 3 * 2 * 16 * 2
    assert (ports["in_mode"].width, ports["in_mode"].description) == (
        2,
        "bits of the tile's operands; 0: 8, 1: 4, 2: 2",
    )


def test_shifts_do_not_grow_with_the_lanes(tmp_path):
    """Bricks of one shift are added first: 3**2 sums, of which 2/3 are shifted at each level."""
    for lanes in (1, 4):
        text = write_design(
            spec_of(8, 8, lanes=lanes, **COMPOSABLE), tmp_path / str(lanes)
        ).verilog.read_text()
        pe = re.search(r"^module mac_array_pe \(.*?`else", text, re.DOTALL | re.MULTILINE)[0]
        assert len(re.findall(r"joined\[\d\] \?", pe)) == 3 * 2 + 2


@pytest.mark.parametrize(("bits", "narrowest", "lanes"), [(4, 2, 1), (4, 2, 2)])
def test_both_bodies_of_a_pe_are_proved_equal(tmp_path, bits, narrowest, lanes):
    spec = spec_of(bits, bits, 1, 1, lanes, narrowest_bits=narrowest, max_reduction=40, **COMPOSABLE)
    done = prove(write_design(spec, tmp_path), proof("mac_array_pe", "acc"))
    assert done.returncode == 0, done.stdout[-2000:]
    assert "SAT proof finished - no model found: SUCCESS!" in done.stdout
