"""Shapes of every sum in an array: exactly as wide as the largest value needs, derived here only."""

from __future__ import annotations

from amaranth.hdl import Shape, unsigned

from pact_hw.spec import Dataflow, HardwareSpec


def act_sum_shape(spec: HardwareSpec, terms: int) -> Shape:
    """Shape of a sum of ``terms`` activations."""
    return unsigned((terms * spec.act.max).bit_length())


def code_sum_shape(spec: HardwareSpec, terms: int) -> Shape:
    """Shape of a sum of ``terms`` products of an activation and a weight *code*, both unsigned."""
    return unsigned((terms * spec.act.max * spec.weight.levels).bit_length())


def beat_sum_shape(spec: HardwareSpec, terms: int) -> Shape:
    """Shape of a sum of ``terms`` products of one beat: bit-serial, of a bit of an activation each."""
    return unsigned((terms * ((1 << spec.beat_act_bits) - 1) * spec.weight.levels).bit_length())


def beat_act_sum_shape(spec: HardwareSpec, terms: int) -> Shape:
    """Shape of a sum of ``terms`` activations of one beat: bit-serial, of a bit of each."""
    return unsigned((terms * ((1 << spec.beat_act_bits) - 1)).bit_length())


def terms_in_array(spec: HardwareSpec) -> int:
    """The most products that one sum inside the array collects.

    Output stationary: the whole reduction. Weight stationary: one pass through a column.
    """
    if spec.dataflow is Dataflow.OUTPUT_STATIONARY:
        return spec.max_reduction
    return min(spec.max_reduction, spec.rows * spec.lanes)


def acc_shape(spec: HardwareSpec) -> Shape:
    """Shape of the accumulator (weight stationary: partial sum) in a processing element."""
    return code_sum_shape(spec, terms_in_array(spec))
