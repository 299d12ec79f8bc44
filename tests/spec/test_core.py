"""What a core may be, and the widths that follow."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pact_hw.errors import InputError
from pact_hw.spec import (
    ActFormat,
    Dataflow,
    HardwareSpec,
    MacKind,
    RequantiserSpec,
    WeightEncoding,
    WeightFormat,
)
from pact_hw.spec.core import CoreSpec, Depthwise
from pact_hw.spec.program import FIELDS

WIDE = RequantiserSpec(level_bits=16, residual_bits=16)


def array(bits=4, encoding=WeightEncoding.ODD, **members):
    sizes = {"rows": 4, "cols": 8, "lanes": 16, "requantiser": WIDE, **members}
    return HardwareSpec(
        act=ActFormat(bits=bits), weight=WeightFormat(bits=bits, encoding=encoding), **sizes
    )  # fmt: skip


def test_widths_of_an_8x16_core_of_4_bits():
    core = CoreSpec(array=array(), widest_act_bits=14)
    assert (core.word_channels, core.lane_groups, core.col_groups, core.word_bits) == (16, 1, 2, 64)
    assert core.weight_word_bits == 8 * 16 * 4
    assert core.channel_constant_bits == 24 + 24 + 48 + 6
    assert replace(core, residual_mult_bits=9).channel_constant_bits == 24 + 9 + 48 + 6
    assert (core.act_planes, core.weight_slices) == (4, 2)
    # 4608 products of 2**14 - 1 and 255: 34.2 bits, and a sign
    assert core.sum_bits == 36
    assert (core.requantisers, core.requantise_steps) == (8, 1)
    wide = CoreSpec(array=array(cols=16, lanes=1))
    assert (wide.word_channels, wide.lane_groups, wide.col_groups) == (16, 16, 1)


def composable(bits=8, **members):
    return array(bits, mac_kind=MacKind.COMPOSABLE, **{"lanes": 4, **members})


def test_a_composable_core_holds_each_tensor_in_a_modes_codes():
    core = CoreSpec(array=composable(narrowest_bits=4))
    assert (core.word_bits, core.weight_word_bits) == (4 * 2 * 8, 8 * 4 * 2 * 8)
    modes = [(m.bits, m.lanes, m.word_channels, m.beat_parts, m.level_parts) for m in core.modes]
    assert modes == [(8, 4, 8, 1, 2), (4, 16, 16, 2, 1)]
    assert [core.mode(bits).bits for bits in (1, 4, 5, 8, 9)] == [4, 4, 8, 8, 8]
    assert (core.act_planes, core.weight_slices) == (1, 1)
    fixed = CoreSpec(array=array())
    assert [fixed.mode(bits).index for bits in (1, 4, 8)] == [0, 0, 0]


@pytest.mark.parametrize("members", [{}, {"lanes": 1, "cols": 16}, {"bits": 4, "lanes": 2}])
def test_each_code_of_a_word_is_multiplied_once(members):
    for mode in CoreSpec(array=composable(**members), widest_act_bits=8).modes:
        assert sorted(mode.lane_order) == list(range(mode.word_channels))
        assert mode.beats(mode.word_channels * 3) == 3 * mode.word_channels // mode.lanes
        assert mode.beats(0) == 0
    # Where operands are narrowest, codes lie as they are multiplied.
    assert list(mode.lane_order) == sorted(mode.lane_order, key=lambda place: place // mode.lanes)


@given(st.integers(2, 6), st.integers(1, 16))
def test_as_many_slices_as_the_widest_weights_take(bits, widest):
    """Signed slices of b bits reach (2**(b - 1) - 1) (1 + 2**b + ...) at most."""
    widest = max(bits, widest)
    odd = CoreSpec(array=array(bits), widest_act_bits=16, widest_weight_bits=widest)
    assert (odd.weight_slices - 1) * bits < widest <= odd.weight_slices * bits
    signed = array(bits, WeightEncoding.TWOS_COMPLEMENT)
    core = CoreSpec(array=signed, widest_act_bits=16, widest_weight_bits=widest)

    def reach(slices):
        return sum((2 ** (bits - 1) - 1) << bits * j for j in range(slices))

    assert reach(core.weight_slices - 1) < 2 ** (widest - 1) - 1 <= reach(core.weight_slices)


@pytest.mark.parametrize("depthwise", Depthwise)
def test_json_gives_the_same_core_back(depthwise):
    core = CoreSpec(array=array(), bus_bits=128, patch_words=77, requantisers=2, depthwise=depthwise)
    core = replace(core, field_bits=tuple(field.bits for field in FIELDS))
    again = CoreSpec.from_json(json.loads(json.dumps(core.to_json())))
    assert again == core
    assert again.digest == core.digest != replace(core, patch_words=78).digest


WRONG = [
    (
        {"array": array(dataflow=Dataflow.WEIGHT_STATIONARY, requantiser=None)},
        "a core's array is output",
    ),
    ({"array": array(requantiser=None)}, "a core's array needs a requantiser$"),
    (
        {"array": array(mac_kind=MacKind.BIT_SERIAL, requantiser=None)},
        "a core's array is output-stationary and fixed or composable, not output-stationary and bit-serial$",
    ),
    ({"array": array(tree_stages=1)}, "a core's array has tree_stages 0, not 1$"),
    ({"array": array(pipeline=1)}, "a core's array has pipeline 0, not 1$"),
    (
        {"array": composable(), "depthwise": Depthwise.DIAGONAL, "widest_act_bits": 8},
        "depthwise diagonal needs a fixed array, not a composable one$",
    ),
    ({"array": composable(lanes=3)}, r"of a core's lanes \(of 4 words each\) and cols .* not 12 and 8$"),
    ({"array": array(rows=1)}, "rows of a core must be an integer from 2 to 1024, not 1$"),
    (
        {"array": array(cols=3, lanes=9)},
        "of a core's lanes and cols one must be .* of two, not 9 and 3$",
    ),
    ({"array": array(cols=8, lanes=12)}, "of a core's lanes and cols one must be .* not 12 and 8$"),
    ({"widest_act_bits": 3}, "widest_act_bits must be an integer from 4 to 16, not 3$"),
    ({"widest_weight_bits": 17}, "widest_weight_bits must be an integer from 4 to 16, not 17$"),
    ({"patch_words": 8}, "patch_words must be an integer from 16 to 16777216, not 8$"),
    ({"bus_bits": 48}, "bus_bits must be 32, 64, 128, 256 or 512, not 48$"),
    ({"sum_bits": 12}, "sum_bits must be an integer from 21 to 62, not 12$"),
    ({"requantised_bits": 40}, "requantised_bits must be an integer from 21 to 30, not 40$"),
    ({"residual_mult_bits": 57}, "residual_mult_bits must be an integer from 2 to 56, not 57$"),
    (
        {"array": array(requantiser=RequantiserSpec(residual_bits=0))},
        "residual_bits of a core's requantiser must be an integer from 1 to 8, not 0$",
    ),
    ({"field_bits": (1, 2)}, "field_bits must be of 76 fields, or none, not 2$"),
    (
        {"field_bits": (4, *(field.bits for field in FIELDS[1:]))},
        "field_bits of opcode must be an integer from 1 to 3, not 4$",
    ),
    ({"requantisers": 3}, "requantisers must be a divisor of the 8 cols, not 3$"),
    ({"depthwise": True}, "depthwise must be a Depthwise, not True$"),
]


@pytest.mark.parametrize(("members", "message"), WRONG)
def test_other_cores_are_refused(members, message):
    with pytest.raises(InputError, match=f"^{message}"):
        CoreSpec(**{"array": array(), **members})


def test_a_description_of_before_the_newest_members_is_read():
    core = CoreSpec(array=array())
    members = core.to_json()
    for name in ("requantised_bits", "residual_mult_bits", "field_bits"):
        del members[name]
    assert CoreSpec.from_json(members) == core


@pytest.mark.parametrize("name", ["array", "bus_bits", "depthwise"])
def test_a_description_without_a_member_is_none(name):
    members = CoreSpec(array=array()).to_json()
    del members[name]
    with pytest.raises(InputError, match=f"^core description: KeyError: '{name}'$"):
        CoreSpec.from_json(members)
