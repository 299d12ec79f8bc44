"""Area of an output-stationary array in NAND2 gate equivalents, counted from its structure.

What is counted, per PE of L lanes, A-bit activations, W-bit weights and an accumulator of S bits:

- L A W AND gates make the partial-product bits;
- a full adder turns three bits of one column into two, so adding L A W + S bits up into S takes L A W full
  adders, whatever the shape of the tree; the accumulator's upper bits only see carries: half adders;
- S flip-flops, and a multiplexer before each for draining.

Beside the PEs: operand registers (rows L A + cols L W bits, shared by all PEs), and, for ODD weights, once
per row the sum of activations and its correction. Not counted: control, requantiser, clock tree, wires.
First version: no coefficient is fitted; ``tests/analysis`` compares it with synthesis.
"""

from __future__ import annotations

from dataclasses import dataclass

from pact_hw.spec import Dataflow, HardwareSpec, WeightEncoding

from .technology import FLIP_FLOP_GE, GATES

AND2_GE = GATES["AND2"].area_ge
FULL_ADDER_GE = GATES["FA"].area_ge
HALF_ADDER_GE = GATES["HA"].area_ge
MUX2_GE = GATES["MUX2"].area_ge


@dataclass(frozen=True, kw_only=True)
class ArrayArea:
    """Gate equivalents of a whole array, by what they are for."""

    multiply_ge: float
    """Partial products and their adders."""
    accumulate_ge: float
    """Accumulators: upper adder bits, registers, drain."""
    operands_ge: float
    """Operand registers."""
    correction_ge: float
    """Sums of activations and their correction, for ODD weights."""
    macs_per_cycle: int

    @property
    def total_ge(self) -> float:
        """The whole array."""
        return self.multiply_ge + self.accumulate_ge + self.operands_ge + self.correction_ge

    @property
    def ge_per_mac(self) -> float:
        """The whole array over its multiply-accumulates per cycle."""
        return self.total_ge / self.macs_per_cycle


def array_area(spec: HardwareSpec) -> ArrayArea:
    """Area of the array of ``spec`` (without its requantiser).

    Raises:
        NotImplementedError: a dataflow that this version has no model of.
    """
    if spec.dataflow is not Dataflow.OUTPUT_STATIONARY:
        raise NotImplementedError(f"no area model of {spec.dataflow.value} arrays yet")
    act, weight, lanes = spec.act.bits, spec.weight.bits, spec.lanes
    odd = spec.weight.encoding is WeightEncoding.ODD
    acc = spec.acc_bits - odd  # ODD: the PEs add up unsigned products
    product_bits = lanes * act * weight
    sum_bits = act + weight + (lanes - 1).bit_length()
    pes = spec.rows * spec.cols
    correction = 0.0
    if odd:
        act_sum = (spec.max_reduction * spec.act.max).bit_length()
        upper = max(0, act_sum - act - (lanes - 1).bit_length())
        adders = lanes * act * FULL_ADDER_GE + upper * HALF_ADDER_GE + act_sum * FLIP_FLOP_GE
        # Times (2**W - 1), and taken from the accumulator: two subtractions.
        correction = spec.rows * (adders + (act_sum + spec.acc_bits) * FULL_ADDER_GE)
    return ArrayArea(
        multiply_ge=pes * product_bits * (AND2_GE + FULL_ADDER_GE),
        accumulate_ge=pes * (max(0, acc - sum_bits) * HALF_ADDER_GE + acc * (FLIP_FLOP_GE + MUX2_GE)),
        operands_ge=(spec.rows * act + spec.cols * weight) * lanes * (FLIP_FLOP_GE + MUX2_GE),
        correction_ge=correction,
        macs_per_cycle=spec.macs_per_cycle,
    )
