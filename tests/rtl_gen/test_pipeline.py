"""Arrays with registers on the operands' way, and with a wide drain, as they are written."""

import re

import pytest
from test_rtl_emit import lint, spec_of

from pact_hw.spec import Dataflow, Drain, MacKind, RequantiserSpec, WeightEncoding
from rtl_gen.emit import write_design

STATIONARY = {"dataflow": Dataflow.WEIGHT_STATIONARY}
WIDE = {"drain": Drain.WIDE}


@pytest.mark.parametrize(
    "more",
    [
        {"pipeline": 1},
        {"pipeline": 2, "tree_stages": 2, "act_bits": 8, "weight_bits": 8},
        {"pipeline": 3, "requantiser": RequantiserSpec(), "encoding": WeightEncoding.TWOS_COMPLEMENT},
        {"pipeline": 2, "mac_kind": MacKind.COMPOSABLE},
        {"pipeline": 2, **STATIONARY},
        {"pipeline": 1, "encoding": WeightEncoding.TWOS_COMPLEMENT, **STATIONARY},
        WIDE,
        {"tree_stages": 3, "act_bits": 8, "weight_bits": 8, **WIDE},
        {"tree_stages": 3, "encoding": WeightEncoding.TWOS_COMPLEMENT, "pipeline": 4, **WIDE},
        {"mac_kind": MacKind.COMPOSABLE, **WIDE},
        {"act_bits": 1, "weight_bits": 1, "encoding": WeightEncoding.TWOS_COMPLEMENT, **WIDE},
        {"weight_bits": 1, "encoding": WeightEncoding.TWOS_COMPLEMENT, "tree_stages": 2, **WIDE},
        {
            "weight_bits": 1,
            "encoding": WeightEncoding.TWOS_COMPLEMENT,
            "mac_kind": MacKind.BIT_SERIAL,
            **WIDE,
        },
    ],
)
def test_verilog_is_lint_clean_and_has_no_unnamed_signal(tmp_path, more):
    design = write_design(spec_of(rows=5, cols=4, **more), tmp_path)
    for macros in ((), ("-DSYNTHESIS",)):
        done = lint(design.verilog, *macros)
        assert (done.returncode, done.stderr) == (0, "")
    assert "\\$" not in design.verilog.read_text()


def row_of(tmp_path, **more):
    text = write_design(spec_of(2, 2, 5, 6, **more), tmp_path).verilog.read_text()
    return re.search(r"^module mac_array_row \(.*?^endmodule", text, re.DOTALL | re.MULTILINE)[0]


@pytest.mark.parametrize(("pipeline", "registers"), [(0, 0), (1, 5), (2, 2), (3, 1), (4, 1), (6, 0), (9, 0)])
def test_activations_pass_a_register_every_so_many_pes(tmp_path, pipeline, registers):
    row = row_of(tmp_path, pipeline=pipeline)
    assert len(re.findall(r"^  reg .* operands_\d+;", row, re.MULTILINE)) == registers
    operands = re.findall(r"mac_array_pe pe_\d+ \(.*?\.act\((\w+)\)", row, re.DOTALL)
    reached = [0 if name == "act_q" else int(name.removeprefix("operands_")) for name in operands]
    assert reached == [column // (pipeline or 6) for column in range(6)]


def test_a_wide_drain_has_no_way_along_the_row(tmp_path):
    assert "acc_in" in row_of(tmp_path / "shift")
    assert "acc_in" not in row_of(tmp_path / "wide", **WIDE)
    design = write_design(spec_of(2, 2, 5, 6, **WIDE), tmp_path / "again")
    (data,) = (port for port in design.ports if port.name == "out_data")
    assert data.width == 5 * 6 * design.hardware.acc_bits
