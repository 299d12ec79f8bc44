"""Recognising cells by what they compute."""

import pytest

from analysis.synthesis.boolean import truth_table
from analysis.synthesis.liberty import cells, flip_flops, full_adder, nand2, without_power
from analysis.technology import FLIP_FLOP_GE, GATES, generic_liberty


@pytest.mark.parametrize(
    ("expression", "table"),
    [
        ("A", 0b1010),
        ("!A", 0b0101),
        ("A'", 0b0101),
        ("A B", 0b1000),
        ("(A * B)", 0b1000),
        ("A&!B", 0b0010),
        ("A + B", 0b1110),
        ("!(A|B)", 0b0001),
        ("A ^ B", 0b0110),
        ("(A B)'", 0b0111),
        ("A ^ B A", 0b0010),  # XOR is stronger than AND
        ("A + A ^ B B", 0b1110),
        ("1", 0b1111),
        ("IQ", -1),
        ("A &", -1),
        ("(A", -1),
        ("A)", -1),
    ],
)
def test_truth_tables(expression, table):
    assert truth_table(expression, ["A", "B"]) == table


def test_generic_library_reads_back():
    found = {cell.name: cell for cell in cells(generic_liberty())}
    assert set(found) == set(GATES) | {"DFF"}
    assert {name: cell.area for name, cell in found.items() if name in GATES} == {
        name: gate.area_ge for name, gate in GATES.items()
    }
    assert found["DFF"].area == FLIP_FLOP_GE
    assert [cell.name for cell in flip_flops(found.values())] == ["DFF"]
    assert found["FA"].inputs == ["A", "B", "C"]


def test_units_and_sources_of_the_constants():
    assert GATES["NAND2"].area_ge == 1.0
    assert nand2(cells(generic_liberty())).name == "NAND2"
    assert all(gate.source for gate in GATES.values())


def library(*bodies):
    return "library (l) {\n" + "\n".join(bodies) + "\n}\n"


def cell(name, area, inputs, extra="", **outputs):
    pins = [f'pin ("{pin}") {{ direction : "input"; }}' for pin in inputs]
    pins += [f'pin ({pin}) {{ direction : output; function : "{f}"; }}' for pin, f in outputs.items()]
    return f'cell ("{name}") {{ area : {area}; {extra} {" ".join(pins)} }}'


def test_full_adder_with_inverted_outputs_as_asap7_has_it():
    text = library(
        cell(
            "FAX",
            2,
            ["A", "B", "CI"],
            CON="(!A * !B) + (!A * !CI) + (!B * !CI)",
            SN="(A * B * !CI) + (A * !B * CI) + (!A * B * CI) + (!A * !B * !CI)",
        )
    )
    adder = full_adder(cells(text))
    assert (adder.cell, adder.carry, adder.total) == ("FAX", "CON", "SN")
    assert adder.carry_inverted
    assert adder.total_inverted
    assert ".CI(C[i])" in adder.techmap()
    assert "assign X[i] = ~carry;" in adder.techmap()


def test_smallest_usable_full_adder_is_taken():
    functions = {"CO": "(A&B)|(A&C)|(B&C)", "S": "A^B^C"}
    text = library(
        cell("BIG", 3, "ABC", **functions),
        cell("SMALL", 2, "ABC", **functions),
        cell("FORBIDDEN", 1, "ABC", "dont_use : true;", **functions),
        cell("OTHER", 1, "ABC", CO="A&B", S="A^B^C"),
    )
    assert full_adder(cells(text)).cell == "SMALL"
    assert full_adder(cells(text)).carry_inverted is False


def test_comments_and_power_functions_are_no_cells():
    text = library(
        "/* cell (GHOST) { area : 1; } */",
        "cell (N) { area : 1.5; pin (A) { direction : input; } pin (B) { direction : input; }"
        ' pin (Y) { direction : output; power_down_function : "!VDD"; function : "(A B)\'"; } }',
    )
    assert [found.name for found in cells(text)] == ["N"]
    assert nand2(cells(text)).area == 1.5


def test_power_is_left_out_and_nothing_else():
    power = """
      internal_power () { related_pin : "A"; rise_power (t) { index_1 ("1"); values ("1, 2"); }
        fall_power (t) { values ("3"); } }
      leakage_power () { value : 1; when : "!A"; }
    """
    text = generic_liberty()
    with_power = text.replace("direction : output;", "direction : output;" + power)
    assert with_power != text
    left = without_power(with_power)
    assert "_power" not in left
    assert left.split() == text.split()
