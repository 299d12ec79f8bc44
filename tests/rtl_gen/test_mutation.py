"""The mutants' simulator, and that the vectors of arrays kill mutants."""

import importlib.util
import sys
from pathlib import Path

import pytest

_FOLDER = Path(__file__).parents[2] / "benchmarks"


def _load(name):
    spec = importlib.util.spec_from_file_location(name, _FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


bit_parallel, mutation = (_load(name) for name in ("bit_parallel", "mutation"))


def _cell(kind, **pins):
    return {"type": kind, "connections": {port: [bit] for port, bit in pins.items()}}


def test_each_mutant_has_its_own_bit():
    module = {
        "ports": {
            "a": {"direction": "input", "bits": [2]},
            "b": {"direction": "input", "bits": [3]},
            "y": {"direction": "output", "bits": [5]},
        },
        # The gate that is named first needs the other's result.
        "cells": {
            "late": _cell("$_XOR_", A=4, B=3, Y=6),
            "early": _cell("$_AND_", A=2, B=3, Y=4),
            "register": _cell("$_DFF_P_", C=2, D=6, Q=5),
        },
    }
    faults = [
        ("inv", "early", "A"),
        ("const1", "late", "Y"),
        ("const0", "register", "Q"),
        ("inv", "late", "B"),
    ]
    mutants = [bit_parallel.Mutant(mode, cell, port, "") for mode, cell, port in faults]
    net = bit_parallel.Netlist({"modules": {"top": module}}, "top", mutants)
    net.drive("a", "0")
    net.drive("b", "1")
    state, outputs = net.step([0])
    # (0 & 1) ^ 1 is 1; with the first fault (1 & 1) ^ 1, with the last (0 & 1) ^ 0.
    assert state == [0b01101]
    assert net.read(outputs, "y") == [0]
    _, outputs = net.step(state)
    (y,) = net.read(outputs, "y")
    assert y & net.every == 0b00101
    assert net.differ([y]) == 0b11010


@pytest.mark.parametrize("block", ["PE", "words, composable"])
def test_the_vectors_kill_the_mutants_and_fewer_vectors_fewer(block):
    spec, cells = mutation.BLOCKS[block]
    netlist, mutants, _ = mutation.mutated(spec, cells, 80)
    found, few = (mutation.killed(spec, netlist, count).bit_count() for count in (40, 1))
    assert found >= 0.98 * len(mutants)
    assert few < found
