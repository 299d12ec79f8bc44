"""Cycle counts against a plain walk through the loops of the module's docstring.

That the hardware needs exactly these cycles is checked in tests/sim.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pact_hw.errors import InputError
from pact_hw.spec import (
    ActFormat,
    Dataflow,
    Drain,
    HardwareSpec,
    MacKind,
    RequantiserSpec,
    WeightFormat,
    schedule,
)

SIZES = st.integers(1, 9)


def walk(spec, m, k, n):
    """Cycles and MACs, beat by beat."""
    cycles = macs = 0
    planes = spec.act.bits if spec.mac_kind is MacKind.BIT_SERIAL else 1
    across, down = (len(range(0, size, spec.pipeline or size)) - 1 for size in (spec.cols, spec.rows))
    output_stationary = spec.dataflow is Dataflow.OUTPUT_STATIONARY
    for n0 in range(0, n, spec.cols):
        cols = min(spec.cols, n - n0)
        if output_stationary:
            for m0 in range(0, m, spec.rows):
                for k0 in range(0, k, spec.lanes):
                    cycles += planes
                    macs += cols * min(spec.rows, m - m0) * min(spec.lanes, k - k0)
                cycles += across + down + 1 + (1 if spec.drain is Drain.WIDE else spec.cols)
        else:
            for k0 in range(0, k, spec.rows * spec.lanes):
                cycles += spec.rows
                for _ in range(m):
                    cycles += 1
                    macs += cols * min(spec.rows * spec.lanes, k - k0)
                cycles += spec.rows + 1 + across
    return cycles + (3 if spec.requantiser else 0), macs


@given(
    SIZES,
    SIZES,
    SIZES,
    SIZES,
    SIZES,
    SIZES,
    st.sampled_from(Dataflow),
    st.booleans(),
    st.integers(0, 10),
    st.sampled_from(Drain),
    st.sampled_from([MacKind.FIXED, MacKind.BIT_SERIAL]),
    st.integers(1, 5),
)
def test_cycles_are_those_of_the_loops(
    rows, cols, lanes, m, k, n, dataflow, requantised, pipeline, drain, kind, bits
):
    stationary = dataflow is Dataflow.WEIGHT_STATIONARY
    drain, kind = (Drain.SHIFT, MacKind.FIXED) if stationary else (drain, kind)
    requantiser = RequantiserSpec() if requantised and not stationary and drain is Drain.SHIFT else None
    spec = HardwareSpec(
        act=ActFormat(bits=bits),
        weight=WeightFormat(bits=2),
        rows=rows,
        cols=cols,
        lanes=lanes,
        dataflow=dataflow,
        requantiser=requantiser,
        pipeline=pipeline,
        drain=drain,
        mac_kind=kind,
    )
    plan = schedule(spec, m=m, k=k, n=n)
    cycles, macs = walk(spec, m, k, n)
    assert (plan.cycles, plan.macs) == (cycles, macs)
    assert 0 < plan.utilisation <= 1
    assert plan.utilisation == macs * spec.planes / (cycles * rows * cols * lanes)


def test_refuses_a_reduction_for_which_accumulators_are_not_exact():
    spec = HardwareSpec(
        act=ActFormat(bits=2), weight=WeightFormat(bits=2), rows=1, cols=1, lanes=1, max_reduction=8
    )
    assert schedule(spec, m=1, k=8, n=1).macs == 8
    with pytest.raises(
        InputError, match=r"^reduction length 9 exceeds the 8 terms for which mac_array has exact"
    ):
        schedule(spec, m=1, k=9, n=1)


@pytest.mark.parametrize(("m", "k", "n"), [(0, 1, 1), (1, 0, 1), (1, 1, 0)])
def test_refuses_empty_products(m, k, n):
    spec = HardwareSpec(act=ActFormat(bits=2), weight=WeightFormat(bits=2), rows=1, cols=1, lanes=1)
    with pytest.raises(InputError, match=r"^[MKN] must be an integer from 1"):
        schedule(spec, m=m, k=k, n=n)
