import re
from dataclasses import replace

import pytest

from pact_hw.errors import InputError
from pact_hw.spec import ActFormat, LayerKind, LayerSpec, NetworkSpec, WeightFormat

A4, A8 = ActFormat(bits=4), ActFormat(bits=8)
FIRST = LayerSpec(
    name="first",
    kind=LayerKind.CONV,
    source="input",
    act=A8,
    weight=WeightFormat(bits=8),
    in_channels=1,
    out_channels=8,
    kernel=3,
    padding=1,
    out=A4,
)
SECOND = replace(
    FIRST,
    name="second",
    source="first",
    act=A4,
    weight=WeightFormat(bits=4),
    in_channels=8,
    residual="first",
    residual_act=A4,
)
LAST = LayerSpec(
    name="last",
    kind=LayerKind.LINEAR,
    source="second",
    act=A4,
    weight=WeightFormat(bits=8),
    in_channels=8 * 64,
    out_channels=10,
)


def network(*layers):
    return NetworkSpec(
        name="net", input_channels=1, input_height=8, input_width=8, input_act=A8, layers=tuple(layers)
    )


def test_json_round_trip_keeps_value_and_digest():
    net = network(FIRST, SECOND, LAST)
    again = NetworkSpec.from_json(net.to_json())
    assert again == net
    assert again.digest == net.digest


def test_reduction_counts_the_products_of_one_output():
    assert SECOND.reduction == 8 * 3 * 3
    assert LAST.reduction == 512


def test_shapes():
    shapes = network(FIRST, SECOND, LAST).shapes
    assert shapes == {"input": (1, 8, 8), "first": (8, 8, 8), "second": (8, 8, 8), "last": (10, 1, 1)}
    assert replace(FIRST, stride=2).out_shape((1, 8, 7)) == (8, 4, 4)
    assert replace(FIRST, padding=0).out_shape((1, 3, 5)) == (8, 1, 3)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ((SECOND,), "layer 'second' reads 'first', which does not give unsigned 4 bits"),
        (
            (FIRST, replace(SECOND, act=A8)),
            "layer 'second' reads 'first', which does not give unsigned 8 bits",
        ),
        ((FIRST, replace(SECOND, residual="input")), "layer 'second' reads 'input', which does not give"),
        ((FIRST, replace(SECOND, name="first")), "layer name 'first' is used twice"),
        ((), "network 'net': its last layer must give the logits (out is None)"),
        ((FIRST, SECOND), "network 'net': its last layer must give the logits (out is None)"),
        (
            (FIRST, replace(SECOND, in_channels=7), LAST),
            "layer 'second' cannot read 'first', which has shape (8, 8, 8)",
        ),
        (
            (FIRST, SECOND, replace(LAST, in_channels=8)),
            "layer 'last' cannot read 'second', which has shape (8, 8, 8)",
        ),
        (
            (replace(FIRST, kernel=13, out=None),),
            "layer 'first' cannot read 'input', which has shape (1, 8, 8)",
        ),
        (
            (FIRST, replace(SECOND, stride=2), LAST),
            "layer 'last' cannot read 'second', which has shape (8, 4, 4)",
        ),
        (
            (FIRST, replace(SECOND, stride=2), replace(LAST, in_channels=128)),
            "layer 'second' of shape (8, 4, 4) cannot add 'first' of shape (8, 8, 8)",
        ),
    ],
)
def test_refuses_layers_that_do_not_fit_together(layers, message):
    with pytest.raises(InputError, match=f"^{re.escape(message)}"):
        network(*layers)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kernel": 0}, "kernel must be an integer from 1 to 15, not 0"),
        ({"stride": -1}, "stride must be an integer from 1 to 15, not -1"),
        ({"in_channels": 0}, "in_channels must be an integer from 1 to 1048576, not 0"),
        ({"residual": "input"}, "layer 'first': residual and residual_act go together"),
        ({"name": "../x"}, "layer name must match [A-Za-z][A-Za-z0-9_]{0,63}, not '../x'"),
        (
            {"kind": LayerKind.LINEAR},
            "layer 'first': a linear layer has kernel 1, stride 1 and padding 0",
        ),
    ],
)
def test_refuses_bad_layers(change, message):
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        replace(FIRST, **change)


POOL = LayerSpec(
    name="pool", kind=LayerKind.SUM, source="first", act=A4, in_channels=8, out_channels=8, kernel=8,
    out=ActFormat(bits=10),
)  # fmt: skip
CAT = LayerSpec(
    name="cat", kind=LayerKind.CONCAT, source="first", concat=("second",), act=A4, in_channels=16,
    out_channels=16, out=A4,
)  # fmt: skip


def test_every_kind_survives_json():
    largest = replace(POOL, name="largest", kind=LayerKind.MAX, kernel=2, stride=2, padding=1, out=A4)
    head = replace(LAST, in_channels=16 * 64, source="cat", bias_shift=4)
    net = network(
        FIRST,
        SECOND,
        CAT,
        POOL,
        largest,
        replace(SECOND, name="g", groups=4, residual=None, residual_act=None),
        head,
    )
    assert NetworkSpec.from_json(net.to_json()) == net
    assert net.shapes["cat"] == (16, 8, 8)
    assert net.shapes["pool"] == (8, 1, 1)
    assert net.shapes["largest"] == (8, 5, 5)
    assert net.layers[5].reduction == 2 * 9
    assert POOL.reduction == 64


def test_option_a_residual_shapes():
    wide = replace(SECOND, out_channels=16, stride=2, residual_stride=2, residual_channel=4)
    head = replace(LAST, in_channels=16 * 16)
    assert network(FIRST, wide, head).shapes["second"] == (16, 4, 4)
    for change in ({"residual_channel": 9}, {"residual_stride": 1}):
        with pytest.raises(InputError, match=r"^layer 'second' of shape \(16, 4, 4\) cannot add 'first'"):
            network(FIRST, replace(wide, **change), head)


@pytest.mark.parametrize(
    ("layer", "change", "message"),
    [
        (FIRST, {"groups": 3}, "groups must be an integer from 1 to 1, not 3"),
        (SECOND, {"groups": 3}, "layer 'second': 3 groups must divide its input and output channels"),
        (FIRST, {"weight": None}, "layer 'first': conv goes with weights"),
        (POOL, {"weight": WeightFormat(bits=2)}, "layer 'pool': sum goes without weights"),
        (POOL, {"out_channels": 9}, "layer 'pool': sum keeps the number of channels"),
        (POOL, {"concat": ("first",)}, "layer 'pool': only a concatenation has more than one source"),
        (
            POOL,
            {"kind": LayerKind.MAX},
            "layer 'pool': a maximum gives what it reads, unsigned 4 bits, and adds nothing",
        ),
        (
            POOL,
            {"kind": LayerKind.MAX, "out": A4, "kernel": 3, "padding": 2},
            "layer 'pool': padding 2 is more than half of kernel 3",
        ),
        (CAT, {"concat": ()}, "layer 'cat': a concatenation has several sources and kernel 1"),
        (SECOND, {"out": None}, "layer 'second': logits have no residual operand"),
        (FIRST, {"bias_shift": 1}, "layer 'first': bias_shift is for logits; else the requantiser adds"),
    ],
)
def test_refuses_what_a_kind_has_no_use_for(layer, change, message):
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        replace(layer, **change)


def test_refuses_concatenations_that_do_not_fit():
    other = replace(SECOND, out=A8)
    with pytest.raises(InputError, match=r"^layer 'cat' reads 'second', which does not fit unsigned 4 bits$"):
        network(FIRST, other, CAT, LAST)
    small = replace(FIRST, name="second", stride=2)
    with pytest.raises(
        InputError, match=r"^layer 'cat' cannot join 'first' of shape \(8, 8, 8\) and 'second'"
    ):
        network(FIRST, small, CAT, LAST)


@pytest.mark.parametrize("broken", [None, [], {}, {"name": "x"}])
def test_refuses_json_that_is_no_network(broken):
    with pytest.raises(InputError, match=r"^(network|layer) description: "):
        NetworkSpec.from_json(broken)
