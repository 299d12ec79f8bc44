"""The layout of Verilog for people does not change what it means."""

import pytest

from rtl_gen.layout import inline_conditions

BEGIN = "module m (a, b, c, y);\n  wire \\$1 ;\n  assign \\$1  = a ? b : c;\n"


@pytest.mark.parametrize(
    ("use", "inlined"),
    [
        ("  assign y = {};\n", "  assign y = a ? b : c;\n"),
        ("  always @(posedge clk)\n    y <= {};\n", "  always @(posedge clk)\n    y <= a ? b : c;\n"),
        ("  assign y = d & {};\n", "  assign y = d & (a ? b : c);\n"),
        ("  assign y = d == {};\n", "  assign y = d == (a ? b : c);\n"),
        ("  assign y = d != {};\n", "  assign y = d != (a ? b : c);\n"),
        ("  assign y = d <= {};\n", "  assign y = d <= (a ? b : c);\n"),
        ("  assign y = d >= {};\n", "  assign y = d >= (a ? b : c);\n"),
    ],
)
def test_conditions_keep_their_parentheses(use, inlined):
    module = BEGIN + use.format("\\$1 ") + "endmodule\n"
    assert inline_conditions(module) == "module m (a, b, c, y);\n" + inlined + "endmodule\n"
