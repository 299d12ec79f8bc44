"""Drive strengths and buffers by load, and static timing of what comes out."""

import os
import re
import shutil

import pytest

from analysis.synthesis import synthesise
from analysis.synthesis.library import Library
from analysis.synthesis.sizing import size
from analysis.synthesis.strengths import Strengths
from analysis.synthesis.timing import static_timing
from analysis.technology import generic_liberty
from pact_hw import tools
from pact_hw.errors import InputError
from pact_hw.spec import ActFormat, HardwareSpec, WeightEncoding, WeightFormat
from rtl_gen.emit import write_design
from sim.products import random_products
from sim.runner import simulate

SHARE = 0.5


def library_text():
    """The generic library with maximum loads of 8, and inverters and buffers of twice and four times that."""
    text = generic_liberty()
    cells = re.split(r"(?=  cell \()", text[: text.rindex("}")])
    stronger = [
        re.sub(rf"\({kind}\) {{ area : [\d.]+", f"({kind}_{times}) {{ area : {area}", cell).replace(
            "direction : output;", f"direction : output; max_capacitance : {8 * times};"
        )
        for kind, areas in (("INV", {2: 1.0, 4: 1.5}), ("BUF", {2: 1.25, 4: 1.75}))
        for times, area in areas.items()
        for cell in cells
        if cell.startswith(f"  cell ({kind})")
    ]
    plain = [
        cell.replace("direction : output;", "direction : output; max_capacitance : 8;") for cell in cells
    ]
    return "".join([*plain, *stronger]) + "}\n"


@pytest.fixture
def liberty(tmp_path):
    path = tmp_path / "cells.lib"
    path.write_text(library_text())
    return path


def strengths(liberty, share=SHARE):
    library = Library.of([liberty])
    return Strengths.of(library.cells, library.registers, share)


def inverters(count):
    """A module with one inverter that drives ``count`` others, each an output."""
    cells = {"first": {"type": "INV", "connections": {"A": [2], "Y": [3]}}}
    for number in range(count):
        cells[f"i{number}"] = {"type": "INV", "connections": {"A": [3], "Y": [10 + number]}}
    ports = {
        "a": {"direction": "input", "bits": [2]},
        "y": {"direction": "output", "bits": [10 + number for number in range(count)]},
    }
    names = {name: {"bits": list(port["bits"])} for name, port in ports.items()}
    module = {"attributes": {"top": "1"}, "cells": cells, "ports": ports, "netnames": names}
    return {"modules": {"top": module}}


def loads(module, known):
    """What each bit drives."""
    found = {}
    for cell in module["cells"].values():
        for pin, load in known.loads[cell["type"]].items():
            (bit,) = cell["connections"][pin]
            found[bit] = found.get(bit, 0) + load
    return found


@pytest.mark.parametrize(("count", "first"), [(4, "INV"), (5, "INV_2"), (8, "INV_2"), (16, "INV_4")])
def test_a_cell_is_as_strong_as_its_load_needs(liberty, count, first):
    netlist = inverters(count)
    size(netlist, strengths(liberty))
    cells = netlist["modules"]["top"]["cells"]
    assert cells["first"]["type"] == first
    assert len(cells) == count + 1


@pytest.mark.parametrize("count", [17, 40, 300])
def test_what_no_cell_may_drive_gets_buffers(liberty, count):
    netlist = inverters(count)
    known = strengths(liberty)
    size(netlist, known)
    module = netlist["modules"]["top"]
    driven = loads(module, known)
    for cell in module["cells"].values():
        (bit,) = cell["connections"]["Y"]
        assert driven.get(bit, 0) <= known.limits[cell["type"]]
    # From every inverter back to the first, through buffers only.
    drivers = {cell["connections"]["Y"][0]: cell for cell in module["cells"].values()}
    for number in range(count):
        cell = drivers[module["cells"][f"i{number}"]["connections"]["A"][0]]
        while cell["type"].startswith("BUF"):
            cell = drivers[cell["connections"]["A"][0]]
        assert cell is module["cells"]["first"]


def test_loads_count_across_modules(liberty):
    """An input that is used in a part loads what drives it, and an output what uses it."""
    inner = inverters(5)["modules"]["top"]
    inner["attributes"] = {}
    outer = {
        "attributes": {"top": "1"},
        "ports": {"a": {"direction": "input", "bits": [2]}},
        "netnames": {"a": {"bits": [2]}, "b": {"bits": [3]}, "y": {"bits": [4, 5, 6, 7, 8]}},
        "cells": {
            "drive": {"type": "INV", "connections": {"A": [2], "Y": [3]}},
            "part": {"type": "inner", "connections": {"a": [3], "y": [4, 5, 6, 7, 8]}},
            **{f"u{n}": {"type": "INV", "connections": {"A": [4], "Y": [20 + n]}} for n in range(6)},
        },
    }
    netlist = {"modules": {"inner": inner, "outer": outer}}
    size(netlist, strengths(liberty))
    assert inner["cells"]["i0"]["type"] == "INV_2"  # six loads outside
    assert inner["cells"]["i1"]["type"] == "INV"
    assert inner["cells"]["first"]["type"] == "INV_2"


def test_a_library_that_says_no_maximum_is_left_alone(tmp_path):
    path = tmp_path / "plain.lib"
    path.write_text(generic_liberty())
    netlist = inverters(300)
    size(netlist, strengths(path))
    assert {cell["type"] for cell in netlist["modules"]["top"]["cells"].values()} == {"INV"}


def hardware():
    return HardwareSpec(
        act=ActFormat(bits=2),
        weight=WeightFormat(bits=2, encoding=WeightEncoding.ODD),
        rows=3,
        cols=3,
        lanes=2,
        max_reduction=20,
        name="sized",
    )


def test_a_sized_netlist_gives_the_array_s_results(tmp_path, liberty):
    design = write_design(hardware(), tmp_path / "design")
    result = synthesise(design, [liberty], netlist=tmp_path / "netlist.v")
    assert any(kind.startswith("BUF") for kind in result["cells_by_kind"])
    design.verilog.write_text((tmp_path / "netlist.v").read_text())
    report = simulate(design, random_products(design.hardware, 4, seed=0), folder=tmp_path / "sim").to_json()
    assert report["passed"]
    assert report["mismatches"] == 0


sta = pytest.mark.skipif(tools.opensta() is None, reason="OpenSTA is not installed")
CHAIN = """
module top (input clk, input a, output reg q);
  wire x, y;
  INV one (.A(a), .Y(x));
  {second}
  DFF last (.CLK(clk), .D(y), .Q(q));
endmodule
"""


def timing(tmp_path, liberty, second):
    (tmp_path / "net.v").write_text(CHAIN.format(second=second).replace("output reg", "output"))
    return static_timing("net.v", top="top", libraries=[liberty.name], folder=tmp_path, timeout=60)


@sta
def test_the_delay_is_that_of_the_longest_path(tmp_path, liberty):
    found = timing(tmp_path, liberty, "XOR2 two (.A(x), .B(a), .Y(y));")
    # INV and XOR2 take their areas' worth of ps, and the register's output is there after 5.25 ps.
    assert found.delay_ps == pytest.approx(5.25, abs=0.1)
    assert (found.start, found.end) == ("last", "q")
    slower = "wire z, w; FA f (.A(x), .B(a), .C(a), .S(z), .CO(w)); XOR2 two (.A(z), .B(a), .Y(y));"
    assert timing(tmp_path, liberty, slower).delay_ps == pytest.approx(0.75 + 5.25 + 2.25, abs=0.1)


@sta
def test_a_loop_is_refused(tmp_path, liberty):
    with pytest.raises(InputError, match="combinational loop"):
        timing(tmp_path, liberty, "NAND2 two (.A(x), .B(y), .Y(y));")


def test_without_opensta_abc_estimates_the_delay(tmp_path, liberty, monkeypatch):
    monkeypatch.setenv("PACT_HW_OPENSTA", "none")
    result = synthesise(write_design(hardware(), tmp_path / "design"), [liberty])
    assert result["delay_source"].startswith("abc's estimate")
    assert result["delay_ps"] > 0
    assert "longest_path" not in result


def test_another_program_called_sta_is_not_taken_for_it(tmp_path, monkeypatch):
    program = tmp_path / "sta"
    program.write_text("#!/bin/sh\necho a station\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert shutil.which("sta") == str(program)
    assert tools.opensta() is None
