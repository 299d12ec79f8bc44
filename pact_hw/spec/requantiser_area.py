"""Which kind of requantiser is smaller: areas by width, fitted to synthesised blocks."""

from __future__ import annotations

from dataclasses import replace

from ..errors import InputError
from .hardware import HardwareSpec
from .requantiser import RequantiserKind

# um2 a bit in ASAP7 (RVT): least squares of the relative errors over the table that
# benchmarks/requantiser_area.py prints (docs/hardware.md); 6 % off at most, 14 % for thresholds.
PRODUCT_BIT, SHIFTER_BIT, EDGE_BIT = 0.709, 0.691, -4.52
COMPARED_BIT, CHOSEN_BIT, OUTPUT_BIT = 0.299, 0.139, 0.553


def requantiser_um2(spec: HardwareSpec) -> float:
    """Area of one requantiser of ``spec``, roughly.

    Raises:
        InputError: there is none.
    """
    requantiser, acc = spec.requantiser, spec.acc_bits
    if requantiser is None:
        raise InputError(f"{spec.name} has no requantiser")
    if requantiser.kind is RequantiserKind.THRESHOLD:
        compared = requantiser.steps * acc
        chosen = compared * (requantiser.threshold_sets - 1)
        return COMPARED_BIT * compared + CHOSEN_BIT * chosen + OUTPUT_BIT * acc
    products = (acc + requantiser.residual_bits) * requantiser.mult_bits
    total = max(acc + requantiser.mult_bits, requantiser.add_bits) + 1
    edges = acc + requantiser.mult_bits
    return PRODUCT_BIT * products + SHIFTER_BIT * total * requantiser.shift_bits + EDGE_BIT * edges


def with_smaller_requantiser(spec: HardwareSpec) -> HardwareSpec:
    """``spec`` with the kind of requantiser that is smaller, of those that it can have.

    Raises:
        InputError: it has none.
    """
    if spec.requantiser is None:
        raise InputError(f"{spec.name} has no requantiser")
    found = []
    for kind in RequantiserKind:
        try:
            found.append(replace(spec, requantiser=replace(spec.requantiser, kind=kind)))
        except InputError:
            continue  # too many thresholds
    return min(found, key=requantiser_um2)
