"""Which full adders take inverted bits, where the library's cell inverts both outputs.

A full adder is self-dual: fed with inverted bits it gives inverted results. Such a cell fed with true
bits gives inverted ones, and the other way round; between cells of alternate polarity no inverter is
needed. Here each adder of a netlist (Yosys' JSON) gets the polarity that needs the fewest inverters.
"""

from __future__ import annotations

import math
import random
from typing import Any

LOW = "_low"
"""Suffix of the type of an adder that takes inverted bits."""


def choose(netlist: dict[str, Any], suffix: str, *, sweeps: int = 60) -> int:
    """Rename the cells of ``netlist`` whose type ends in ``suffix`` and that take inverted bits.

    Returns the number of inverters left between adders. Deterministic.
    """
    return sum(_module(module, suffix, sweeps) for module in netlist["modules"].values())


def _module(module: dict[str, Any], suffix: str, sweeps: int) -> int:
    adders = {name: cell for name, cell in module["cells"].items() if cell["type"].endswith(suffix)}
    names = list(adders)
    if not names:
        return 0
    driver = {
        bit: number
        for number, name in enumerate(names)
        for pin in ("carry", "sum")
        for bit in adders[name]["connections"].get(pin, [])
    }
    edges: list[tuple[int, int]] = []  # adders that should differ
    fixed: list[list[int]] = [[0, 0] for _ in names]  # inverters that each polarity costs by itself
    for number, name in enumerate(names):
        for pin in "abc":
            (bit,) = adders[name]["connections"][pin]
            if bit in driver:
                edges.append((driver[bit], number))
    for cell in module["cells"].values():
        if cell["type"] in ("$dff", "$dffe"):
            # A register may hold the inverted bit: what an adder of true bits gives costs nothing.
            for bit in cell["connections"]["D"]:
                if bit in driver:
                    fixed[driver[bit]][1] += 1
        if cell["type"] == "$mux":
            for bit in cell["connections"]["Y"]:
                for number, name in enumerate(names):
                    if any(bit in adders[name]["connections"][pin] for pin in "abc"):
                        fixed[number][1] += 1
    near: list[list[int]] = [[] for _ in names]
    for one, other in edges:
        near[one].append(other)
        near[other].append(one)
    polarity = _anneal(near, fixed, sweeps)
    for number, name in enumerate(names):
        if polarity[number]:
            adders[name]["type"] += LOW
    return sum(polarity[one] == polarity[other] for one, other in edges)


def _anneal(near: list[list[int]], fixed: list[list[int]], sweeps: int) -> list[int]:
    rng = random.Random(0)  # noqa: S311 - tie-breaks, not secrets
    polarity = [0] * len(near)
    # A first guess: cells come from the inputs to the outputs.
    for number, others in enumerate(near):
        before = [polarity[other] for other in others if other < number]
        polarity[number] = int(2 * before.count(0) > len(before))
    best, cost = list(polarity), 0
    lowest = 0
    for sweep in range(sweeps):
        temperature = 1.2 * (1 - sweep / sweeps) + 0.02
        for number, others in enumerate(near):
            now = polarity[number]
            equal = sum(polarity[other] == now for other in others)
            gain = equal - (len(others) - equal) + fixed[number][now] - fixed[number][1 - now]
            if gain >= 0 or rng.random() < math.exp(gain / temperature):
                polarity[number] = 1 - now
                cost -= gain
                if cost < lowest:
                    lowest, best = cost, list(polarity)
    return best
