"""Adders of alternate polarity, and the registers that a library has."""

import pytest

from analysis.synthesis import polarity
from analysis.synthesis.liberty import cells, full_adder, half_adder, registers
from analysis.technology import generic_liberty


def adder(a, b, c, carry, total):
    nets = {"a": a, "b": b, "c": c, "carry": carry, "sum": total}
    return {"type": "x_full_adder", "connections": {pin: [net] for pin, net in nets.items()}}


def netlist(adders, **others):
    cells = {f"add_{number}": adder(*nets) for number, nets in enumerate(adders)}
    return {"modules": {"pe": {"cells": cells | others}}}


def types(design):
    return [cell["type"] for cell in design["modules"]["pe"]["cells"].values()]


def test_a_chain_alternates_and_needs_no_inverter():
    chain = [(10, 11, 2, 3, 4), (12, 13, 3, 5, 6), (14, 15, 5, 7, 8)]
    design = netlist(chain)
    assert polarity.choose(design, "full_adder") == 0
    assert types(design)[0] == types(design)[2] != types(design)[1]
    assert set(types(design)) == {"x_full_adder", "x_full_adder_low"}


def test_a_register_takes_what_an_adder_of_true_bits_gives():
    register_cell = {"type": "$dff", "connections": {"D": [6], "Q": [20]}}
    design = netlist([(10, 11, 2, 3, 4), (12, 13, 3, 5, 6)], state=register_cell)
    assert polarity.choose(design, "full_adder") == 0
    assert types(design) == ["x_full_adder_low", "x_full_adder", "$dff"]


def test_an_odd_loop_of_adders_costs_one_inverter():
    design = netlist([(10, 11, 2, 3, 4), (12, 13, 3, 5, 6), (4, 5, 14, 7, 8)])
    assert polarity.choose(design, "full_adder") == 1


@pytest.mark.parametrize("inverting", [False, True])
def test_a_register_is_recognised_whichever_way_it_is_written(inverting):
    text = generic_liberty()
    if inverting:
        text = text.replace('next_state : "D"', 'next_state : "!D"')
    text = text.replace("next_state : ", 'power_down_function : "!VDD"; next_state : ')
    (found,) = registers(text, cells(text))
    assert found is not None
    assert (found.cell, found.data, found.clock, found.output) == ("DFF", "D", "CLK", "Q")
    assert found.inverting == inverting
    # Flipped twice is not flipped.
    both = text.replace('function : "IQ"', 'function : "IQN"')
    assert registers(both, cells(both))[0].inverting != inverting


def test_adders_are_told_apart():
    library = cells(generic_liberty())
    assert full_adder(library).cell == "FA"
    assert half_adder(library) is None or half_adder(library).cell == "HA"
