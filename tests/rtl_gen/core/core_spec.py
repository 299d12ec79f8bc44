"""The small core of these tests; its bus is as wide as the environment says."""

import os

from pact_hw.spec import ActFormat, CoreSpec, HardwareSpec, RequantiserSpec, WeightFormat


def core_spec(bus_bits=64, **members):
    array = HardwareSpec(
        name="core",
        act=ActFormat(bits=4),
        weight=WeightFormat(bits=4),
        rows=2,
        cols=members.pop("cols", 4),
        lanes=8,
        requantiser=RequantiserSpec(),
    )
    return CoreSpec(array=array, bus_bits=bus_bits, **members)


SPEC = core_spec(int(os.environ.get("PACT_HW_TEST_BUS", "64")))
