"""The small arrays that are tested behind AXI4-Stream; the environment names one."""

import os

from pact_hw.spec import ActFormat, Dataflow, HardwareSpec, RequantiserSpec, WeightFormat

KINDS = {
    "output-stationary": {},
    "requantised": {"requantiser": RequantiserSpec()},
    "weight-stationary": {"dataflow": Dataflow.WEIGHT_STATIONARY},
}


def spec_of(kind):
    return HardwareSpec(
        name="arr",
        act=ActFormat(bits=3),
        weight=WeightFormat(bits=3),
        rows=2,
        cols=3,
        lanes=3,
        max_reduction=64,
        **KINDS[kind],
    )


SPEC = spec_of(os.environ.get("PACT_HW_TEST_ARRAY", "output-stationary"))
