import re
from dataclasses import replace

import pytest

from pact_hw.errors import InputError
from pact_hw.spec import (
    ActEncoding,
    ActFormat,
    Dataflow,
    Drain,
    HardwareSpec,
    MacKind,
    RequantiserSpec,
    WeightEncoding,
    WeightFormat,
    accumulator_range,
)


def array(**changes):
    members = {
        "act": ActFormat(bits=4),
        "weight": WeightFormat(bits=3),
        "rows": 8,
        "cols": 4,
        "lanes": 2,
        **changes,
    }
    return HardwareSpec(**members)


@pytest.mark.parametrize("encoding", WeightEncoding)
@pytest.mark.parametrize("act_bits", [1, 4, 16])
@pytest.mark.parametrize("weight_bits", [1, 3, 16])
@pytest.mark.parametrize("reduction", [1, 7, 4608])
def test_accumulator_is_the_narrowest_that_is_exact(encoding, act_bits, weight_bits, reduction):
    act, weight = ActFormat(bits=act_bits), WeightFormat(bits=weight_bits, encoding=encoding)
    spec = array(act=act, weight=weight, max_reduction=reduction)
    low, high = accumulator_range(act, weight, reduction)
    assert -(1 << (spec.acc_bits - 1)) <= low <= high < 1 << (spec.acc_bits - 1)
    if spec.acc_bits > 1:
        half = 1 << (spec.acc_bits - 2)
        assert low < -half or high >= half
    with pytest.raises(
        InputError, match=rf"^acc_bits must be an integer from {spec.acc_bits} to 62, not \d+$"
    ):
        replace(spec, acc_bits=spec.acc_bits - 1) if spec.acc_bits > 1 else replace(spec, acc_bits=63)


def test_a_wider_accumulator_is_allowed():
    assert array(acc_bits=32).acc_bits == 32


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rows": 0}, "rows must be an integer from 1 to 1024, not 0"),
        ({"cols": 1025}, "cols must be an integer from 1 to 1024, not 1025"),
        ({"lanes": 1.5}, "lanes must be an integer from 1 to 1024, not 1.5"),
        ({"max_reduction": 0}, "max_reduction must be an integer from 1 to 1048576, not 0"),
        (
            {"name": "1; drop"},
            "name must be a Verilog identifier ([A-Za-z][A-Za-z0-9_]{0,63}), not '1; drop'",
        ),
        (
            {"dataflow": Dataflow.WEIGHT_STATIONARY, "requantiser": RequantiserSpec()},
            "a requantiser needs the output-stationary dataflow: "
            "the sums that leave a weight-stationary array are partial",
        ),
    ],
)
def test_refuses(changes, message):
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        array(**changes)


@pytest.mark.parametrize("requantiser", [None, RequantiserSpec(mult_bits=20)])
def test_json_round_trip_keeps_value_and_digest(requantiser):
    spec = array(
        requantiser=requantiser, weight=WeightFormat(bits=3, encoding=WeightEncoding.TWOS_COMPLEMENT)
    )
    again = HardwareSpec.from_json(spec.to_json())
    assert again == spec
    assert again.digest == spec.digest


def test_every_member_changes_the_digest():
    base = array()
    changed = [
        array(act=ActFormat(bits=5)),
        array(weight=WeightFormat(bits=4)),
        array(weight=WeightFormat(bits=3, encoding=WeightEncoding.TWOS_COMPLEMENT)),
        array(rows=9),
        array(cols=5),
        array(lanes=3),
        array(name="other"),
        array(dataflow=Dataflow.WEIGHT_STATIONARY),
        array(max_reduction=4607, acc_bits=base.acc_bits),
        array(acc_bits=base.acc_bits + 1),
        array(requantiser=RequantiserSpec()),
    ]
    assert len({spec.digest for spec in [base, *changed]}) == 1 + len(changed)


@pytest.mark.parametrize("broken", [None, [], {}, {"rows": 1}, "text"])
def test_refuses_json_that_is_no_hardware(broken):
    with pytest.raises(InputError, match=r"^hardware description: "):
        HardwareSpec.from_json(broken)


def test_refuses_an_unknown_word_in_json():
    with pytest.raises(InputError, match="'sideways' is not a valid Dataflow"):
        HardwareSpec.from_json({**array().to_json(), "dataflow": "sideways"})


def composable(bits=8, **changes):
    return array(
        act=ActFormat(bits=bits), weight=WeightFormat(bits=bits), mac_kind=MacKind.COMPOSABLE, **changes
    )


def test_composable_json_round_trip_keeps_value_and_digest():
    specs = [composable(), composable(narrowest_bits=4), composable(4), array(act=ActFormat(bits=4))]
    for spec in specs:
        again = HardwareSpec.from_json(spec.to_json())
        assert (again, again.digest) == (spec, spec.digest)
    assert len({spec.digest for spec in specs}) == len(specs)
    assert composable() == composable(narrowest_bits=2)


@pytest.mark.parametrize(
    ("bits", "changes", "message"),
    [
        (5, {}, "a composable array's widest operands are 4x4, 8x8 or 16x16 bits, not 5x5"),
        (
            8,
            {"weight": WeightFormat(bits=4)},
            "a composable array's widest operands are 4x4, 8x8 or 16x16 bits, not 8x4",
        ),
        (
            4,
            {"narrowest_bits": 4},
            "narrowest_bits of a 4x4 composable array must be 2, 4 or 8 and less than 4, not 4",
        ),
        (
            8,
            {"dataflow": Dataflow.WEIGHT_STATIONARY},
            "a composable array is output-stationary, not weight-stationary",
        ),
        (16, {"lanes": 17}, "lanes of the narrowest operands must be an integer from 1 to 1024, not 1088"),
        (
            8,
            {"max_reduction": 31},
            "max_reduction of a composable array must be an integer from 32 to 1048576, not 31",
        ),
    ],
)
def test_refuses_what_cannot_be_composed(bits, changes, message):
    members = {"act": ActFormat(bits=bits), "weight": WeightFormat(bits=bits), **changes}
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        array(mac_kind=MacKind.COMPOSABLE, **members)
    with pytest.raises(InputError, match=r"^narrowest_bits of a fixed array must be 0, not 2$"):
        array(narrowest_bits=2)


BIT_SERIAL, WIDE, STATIONARY = MacKind.BIT_SERIAL, Drain.WIDE, Dataflow.WEIGHT_STATIONARY


def test_newer_members_are_in_json_where_they_say_something_only():
    for more in ({"mac_kind": BIT_SERIAL}, {"pipeline": 3}, {"drain": WIDE}):
        spec = array(**more)
        members = spec.to_json()
        again = HardwareSpec.from_json(members)
        assert (again, again.digest) == (spec, spec.digest)
        assert set(members) - set(array().to_json()) == set(more) - {"mac_kind"}
        assert spec.digest != array().digest


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"mac_kind": BIT_SERIAL, "dataflow": STATIONARY},
            "a bit-serial array is output-stationary, not weight-stationary",
        ),
        (
            {"mac_kind": BIT_SERIAL, "tree_stages": 1},
            "tree_stages needs a fixed output-stationary array, not a bit-serial output-stationary one",
        ),
        (
            {"mac_kind": BIT_SERIAL, "narrowest_bits": 2},
            "narrowest_bits of a bit-serial array must be 0, not 2",
        ),
        ({"pipeline": -1}, "pipeline must be an integer from 0 to 1024, not -1"),
        ({"pipeline": 1.5}, "pipeline must be an integer from 0 to 1024, not 1.5"),
        ({"drain": "wide"}, "drain must be a Drain, not 'wide'"),
        (
            {"drain": WIDE, "dataflow": STATIONARY},
            "a wide drain needs the output-stationary dataflow, not weight-stationary",
        ),
        (
            {"drain": WIDE, "requantiser": RequantiserSpec()},
            "a requantiser takes a column a cycle: drain must be shift, not wide",
        ),
    ],
)
def test_refuses_arrays_that_cannot_be(changes, message):
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        array(**changes)


def test_refuses_signed_activations():
    signed = ActFormat(bits=4, encoding=ActEncoding.SYMMETRIC)
    with pytest.raises(
        InputError, match=r"^an array's activations are unsigned, not symmetric: signed levels"
    ):
        array(act=signed)
