"""Synthesised netlists, with models of their cells, on the vectors of the array."""

import re

import pytest

from analysis.synthesis import synthesise
from analysis.synthesis.gate_level import models
from analysis.synthesis.liberty import cells
from analysis.technology import generic_liberty
from pact_hw.design import load_design
from pact_hw.errors import InputError
from pact_hw.spec import ActFormat, Dataflow, Drain, HardwareSpec, MacKind, WeightEncoding, WeightFormat
from rtl_gen import carry_save
from rtl_gen.emit import write_design
from rtl_gen.structure import multiply_accumulate
from sim.products import random_products
from sim.runner import simulate


def inverting_library():
    """The generic library with a full adder and a register that give inverted results."""
    text = generic_liberty()
    start, end = text.index("  cell (FA)"), text.index("  cell (DFF)")
    adder = re.sub(r'function : "([^"]*)"', r'function : "!(\1)"', text[start:end])
    register = text[end:].replace('function : "IQ"', 'function : "IQN"')
    return text[:start] + adder + register


POINTS = [
    (1, 1, 2, 3, WeightEncoding.ODD, Dataflow.OUTPUT_STATIONARY),
    (2, 2, 2, 4, WeightEncoding.TWOS_COMPLEMENT, Dataflow.OUTPUT_STATIONARY),
    (4, 2, 4, 2, WeightEncoding.ODD, Dataflow.OUTPUT_STATIONARY),
    (3, 2, 2, 2, WeightEncoding.ODD, Dataflow.WEIGHT_STATIONARY),
]


OTHERS = {
    "bit-serial": {"mac_kind": MacKind.BIT_SERIAL},
    "systolic": {"pipeline": 1},
    "wide": {"drain": Drain.WIDE},
    "weight-stationary, in pairs of columns": {"dataflow": Dataflow.WEIGHT_STATIONARY, "pipeline": 2},
}


def gate_level(folder, point, library, edit=None, **more):
    act_bits, weight_bits, side, lanes, encoding, dataflow = point
    spec = HardwareSpec(
        act=ActFormat(bits=act_bits),
        weight=WeightFormat(bits=weight_bits, encoding=encoding),
        rows=side,
        cols=side,
        lanes=lanes,
        name="gates",
        **{"dataflow": dataflow, "max_reduction": 50, **more},
    )
    write_design(spec, folder)
    design = load_design(folder)
    liberty = folder / "cells.lib"
    liberty.write_text(library)
    result = synthesise(design, [liberty], netlist=folder / "netlist.v")
    netlist = (folder / "netlist.v").read_text()
    # From here on the design is its netlist.
    design.verilog.write_text(edit(netlist) if edit else netlist)
    return simulate(design, random_products(spec, 6, seed=0), folder=folder / "sim").to_json(), result


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
def test_the_netlist_gives_the_array_s_results(tmp_path, point):
    report, result = gate_level(tmp_path, point, inverting_library())
    assert report["passed"]
    assert report["values_compared"] > 0
    assert report["mismatches"] == 0
    assert result["cells_by_kind"]["FA"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", OTHERS)
def test_the_netlist_of_another_kind_of_array_gives_its_results(tmp_path, kind):
    point = (3, 4, 4, 2, WeightEncoding.TWOS_COMPLEMENT, Dataflow.OUTPUT_STATIONARY)
    report, _ = gate_level(tmp_path, point, inverting_library(), **OTHERS[kind])
    assert report["passed"]
    assert report["values_compared"] > 0


@pytest.mark.parametrize("library", [generic_liberty, inverting_library])
def test_a_small_netlist_gives_the_array_s_results(tmp_path, library):
    report, result = gate_level(tmp_path, POINTS[0], library())
    assert report["passed"]
    assert report["mismatches"] == 0
    assert result["cells_by_kind"]["FA"] > 0


def test_a_netlist_that_keeps_carries_gives_the_array_s_results(tmp_path, monkeypatch):
    monkeypatch.setattr(carry_save, "LIMIT_PS", 330)
    multiply_accumulate.cache_clear()
    report, _ = gate_level(
        tmp_path, (2, 2, 2, 3, WeightEncoding.ODD, Dataflow.OUTPUT_STATIONARY), generic_liberty()
    )
    multiply_accumulate.cache_clear()
    (highest,) = re.findall(r"output \[(\d+):0\] acc;", (tmp_path / "netlist.v").read_text())
    assert int(highest) > (50 * 3 * 3).bit_length()
    assert report["passed"]
    assert report["mismatches"] == 0


def test_a_wrong_cell_is_caught(tmp_path):
    def edit(netlist):
        wrong, count = re.subn(r"(table_S = 8'b)\d+;", r"\g<1>11101000;", netlist)
        assert count == 1
        return wrong

    report, _ = gate_level(tmp_path, POINTS[0], generic_liberty(), edit)
    assert not report["passed"]


def test_what_cannot_be_modelled_is_refused():
    with pytest.raises(InputError, match=r"^DFF: cannot be simulated"):
        models(cells(generic_liberty()), [], ["DFF"])
