"""Synthesis of tiny designs: what is counted, in which unit, and what is refused."""

import gzip
import sys
import time
from dataclasses import replace

import pytest

from analysis.synthesis import synthesise, yosys
from analysis.technology import FLIP_FLOP_GE, GATES, generic_liberty
from pact_hw import tools
from pact_hw.design import Design
from pact_hw.errors import InputError
from pact_hw.spec import ActFormat, HardwareSpec, RequantiserSpec, WeightEncoding, WeightFormat
from rtl_gen.emit import write_design


def spec(bits=2, encoding=WeightEncoding.ODD, **changes):
    weight = WeightFormat(bits=bits, encoding=encoding)
    shape = {"rows": 2, "cols": 2, "lanes": 2, "max_reduction": 16, "name": "tiny"}
    return HardwareSpec(act=ActFormat(bits=bits), weight=weight, **(shape | changes))


def hand_written(folder, text, **changes):
    """A design whose Verilog is ``text``, with a top module named ``tiny``."""
    (folder / "tiny.v").write_text(text)
    return Design(folder=folder, hardware=spec(**changes), ports=(), versions={})


NAND = "module tiny (input a, input b, output y); assign y = ~(a & b); endmodule\n"
LEAVES = """
module leaf (input clk, input [1:0] a, output reg [1:0] q);
  always @(posedge clk) q <= q + a;
endmodule
module row (input clk, input [7:0] a, output [7:0] q);
  leaf u_leaf [3:0] (.clk(clk), .a(a), .q(q));
endmodule
module tiny (input clk, input [7:0] a, output [23:0] q);
  row u_row [2:0] (.clk(clk), .a(a), .q(q));
endmodule
"""


def test_a_nand2_is_one_gate_equivalent(tmp_path):
    result = synthesise(hand_written(tmp_path, NAND))
    assert result["area_ge"] == 1.0
    assert result["cells"] == 1
    assert result["cells_by_kind"] == {"NAND2": 1}
    assert result["delay_ps"] is None
    assert "area_um2" not in result


def test_modules_are_counted_as_often_as_they_stand_in_the_design(tmp_path):
    result = synthesise(hand_written(tmp_path, LEAVES))
    instances = {module["name"]: module["instances"] for module in result["modules"]}
    assert instances == {"tiny": 1, "row": 3, "leaf": 12}
    assert result["cells_by_kind"]["DFF"] == 12 * 2
    by_module = sum(module["instances"] * module["area_ge"] for module in result["modules"])
    assert result["area_ge"] == by_module
    by_kind = {name: gate.area_ge for name, gate in GATES.items()} | {"DFF": FLIP_FLOP_GE}
    assert result["area_ge"] == sum(by_kind[kind] * n for kind, n in result["cells_by_kind"].items())


@pytest.mark.parametrize("encoding", WeightEncoding)
def test_a_generated_design(tmp_path, encoding):
    hardware = spec(encoding=encoding)
    result = synthesise(write_design(hardware, tmp_path))
    assert result["macs_per_cycle"] == 8
    assert result["area_ge_per_mac"] == result["area_ge"] / 8
    assert result["cells_by_kind"]["FA"] > 0
    # At least every accumulator bit is a register.
    assert result["cells_by_kind"]["DFF"] >= 4 * (hardware.acc_bits - 1)
    assert result["recipe"]["name"] == "full-adders"
    assert set(result["versions"]) == {"yosys", "pact_hw"}
    assert result["digest"] == hardware.digest


def test_a_requantiser_and_more_bits_cost_area(tmp_path):
    plain = synthesise(write_design(spec(), tmp_path / "plain"))
    wide = synthesise(write_design(spec(bits=4), tmp_path / "wide"))
    requantiser = RequantiserSpec(mult_bits=4, add_bits=8, max_shift=3, level_bits=2, residual_bits=2)
    whole = synthesise(write_design(spec(requantiser=requantiser), tmp_path / "whole"))
    assert plain["area_ge"] < wide["area_ge"]
    assert plain["area_ge"] < whole["area_ge"]


def test_time_does_not_grow_with_the_number_of_pes(tmp_path):
    small = synthesise(write_design(spec(), tmp_path / "small"))
    start = time.perf_counter()
    large = synthesise(write_design(spec(rows=32, cols=32), tmp_path / "large"), timeout=60)
    assert time.perf_counter() - start < 30
    pe = {
        name: next(m for m in result["modules"] if m["name"].endswith("_pe"))
        for name, result in (("small", small), ("large", large))
    }
    assert pe["large"]["instances"] == 32 * 32
    assert pe["large"]["area_ge"] == pe["small"]["area_ge"]


LIBRARY = generic_liberty().replace("pact_hw_generic", "users_own")


def test_a_users_library_gives_um2_and_a_delay(tmp_path):
    path = tmp_path / "own.lib"
    path.write_text(LIBRARY)
    design = write_design(spec(), tmp_path / "design")
    result = synthesise(design, [path])
    generic = synthesise(design)
    assert result["area_um2"] == generic["area_ge"]
    assert "area_ge" not in result
    assert result["nand2_cell"] == "NAND2"
    assert result["full_adder_cell"] == "FA"
    assert result["delay_ps"] > 0
    assert result["delay_source"].startswith("OpenSTA" if tools.opensta() else "abc")


def test_a_compressed_library_in_two_files(tmp_path):
    head, *groups = LIBRARY.split("  cell (")
    half = len(groups) // 2
    first, second = tmp_path / "a.lib.gz", tmp_path / "b.lib"
    first.write_bytes(gzip.compress("  cell (".join([head, *groups[:half]]).encode() + b"}\n"))
    second.write_text("  cell (".join([head, *groups[half:]]))
    design = write_design(spec(), tmp_path / "design")
    whole = tmp_path / "whole.lib"
    whole.write_text(LIBRARY)
    together, single = synthesise(design, [first, second]), synthesise(design, [whole])
    assert together["area_um2"] == single["area_um2"]
    assert together["library"] == "a.lib.gz + b.lib"


def test_a_library_without_a_full_adder(tmp_path):
    path = tmp_path / "plain.lib"
    start, end = LIBRARY.index("  cell (FA)"), LIBRARY.index("  cell (DFF)")
    path.write_text(LIBRARY[:start] + LIBRARY[end:])
    result = synthesise(write_design(spec(), tmp_path / "design"), [path])
    assert result["full_adder_cell"] is None
    assert result["delay_ps"] > 0
    assert "FA" not in result["cells_by_kind"]


def without(cell):
    start = LIBRARY.index(f"  cell ({cell})")
    return LIBRARY[:start] + "}\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        (b"", "not a Liberty file"),
        (b"module x; endmodule", "not a Liberty file"),
        (LIBRARY[:-100].encode(), "damaged Liberty file"),
        (without("DFF").encode(), "no usable flip-flop among its 17 cells"),
        (LIBRARY.replace('"!A"', '"!A &"').encode(), "no usable inverter among its 18 cells"),
        (LIBRARY.replace("area : 1.5;", "area : 1.5; @@ (").encode(), "Syntax error in liberty file"),
    ],
)
def test_refuses_a_bad_library_in_one_line(tmp_path, content, message):
    path = tmp_path / "bad.lib"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message) as refusal:
        synthesise(hand_written(tmp_path, NAND), [path])
    assert "bad.lib" in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("content", [b"not gzip", gzip.compress(LIBRARY.encode())[:200]])
def test_refuses_a_damaged_archive(tmp_path, content):
    path = tmp_path / "bad.lib.gz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"bad\.lib\.gz: cannot be read"):
        synthesise(hand_written(tmp_path, NAND), [path])


def test_refuses_verilog_that_yosys_refuses(tmp_path):
    with pytest.raises(
        InputError, match=r"^tiny with generic: Yosys stopped with status \d+: .*syntax error"
    ) as refusal:
        synthesise(hand_written(tmp_path, "module tiny (; endmodule\n"))
    assert "\n" not in str(refusal.value)


def test_refuses_to_run_for_ever_and_leaves_nothing_behind(tmp_path, monkeypatch):
    grandchild = "import os,time; open('pid','w').write(str(os.getpid())); time.sleep(60)"
    child = f"import subprocess,sys; subprocess.run([sys.executable,'-c',{grandchild!r}])"
    monkeypatch.setattr(yosys, "command", lambda script: ([sys.executable, "-c", child], "0"))
    start = time.perf_counter()
    with pytest.raises(InputError, match="did not finish within 3 s"):
        yosys.run("run.ys", folder=tmp_path, timeout=3)
    assert time.perf_counter() - start < 20
    pid = int((tmp_path / "pid").read_text())
    for _ in range(100):
        if not alive(pid):
            return
        time.sleep(0.05)
    pytest.fail(f"process {pid} outlived its parent")


def alive(pid):
    """Whether the process exists and is no zombie that only waits to be reaped."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_a_missing_yosys_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PACT_HW_YOSYS", "no-such-yosys")
    with pytest.raises(InputError, match="PACT_HW_YOSYS='no-such-yosys': no such program"):
        synthesise(hand_written(tmp_path, NAND))


def test_the_users_yosys_is_used(tmp_path, monkeypatch):
    program = tmp_path / "yosys"
    program.write_text(
        f"#!{sys.executable}\n"
        "import sys\n"
        "if sys.argv[1] == '--version':\n"
        "    print('Yosys 0.99 (a stand-in)')\n"
        "else:\n"
        "    from pyosys import libyosys\n"
        "    libyosys.run_pass('script ' + sys.argv[sys.argv.index('-s') + 1])\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PACT_HW_YOSYS", str(program))
    result = synthesise(hand_written(tmp_path, NAND))
    assert result["versions"]["yosys"] == "0.99"
    assert result["area_ge"] == 1.0


@pytest.mark.slow
def test_a_64_by_64_array_of_16_lanes(tmp_path):
    design = write_design(
        replace(spec(), rows=64, cols=64, lanes=16, max_reduction=4608, acc_bits=0), tmp_path
    )
    result = synthesise(design, timeout=120)
    assert result["macs_per_cycle"] == 65536
    assert result["area_ge_per_mac"] < 60
