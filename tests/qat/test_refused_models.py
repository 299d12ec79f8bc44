"""What ``quantise`` refuses, and how it says so."""

from __future__ import annotations

import pytest
import torch
from quantised_models import conv, small
from torch import nn
from torch.nn import functional as F  # noqa: N812

from pact_hw.errors import InputError
from pact_hw.qat.quantise import quantise


class Inner(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.conv, self.function = conv(2, 2), function

    def forward(self, x):
        return self.function(self.conv(x))


class Functions(nn.Module):
    """``function`` behind a convolution, in a module called inner."""

    def __init__(self, function):
        super().__init__()
        self.inner = Inner(function)

    def forward(self, x):
        return self.inner(x)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Sequential(conv(2, 2), nn.Sequential(nn.SiLU())), r"module '1\.0': SiLU cannot be quantised"),
        (nn.Sequential(nn.Conv1d(2, 2, 1)), r"module '0': Conv1d cannot be quantised"),
        (nn.Sequential(conv(2, 2), nn.Sigmoid()), r"module '1': Sigmoid cannot be quantised"),
        (
            nn.Sequential(conv(2, 2, padding_mode="reflect")),
            r"module '0': Conv2d cannot be quantised: padding_mode is 'reflect', expected 'zeros'",
        ),
        (
            nn.Sequential(conv(2, 2), nn.BatchNorm2d(2, track_running_stats=False)),
            r"module '1': BatchNorm2d cannot be quantised: it has no running statistics",
        ),
        (Functions(torch.sigmoid), r"module 'inner': sigmoid\(\) cannot be quantised"),
        (Functions(lambda x: x * 2), r"module 'inner': mul\(\) cannot be quantised"),
        (Functions(lambda x: x + 1), r"module 'inner': add\(\) cannot be quantised: only sums of two"),
        (Functions(lambda x: x.mean(1)), r"module 'inner': mean\(\) cannot be quantised: mean over 1, exp"),
        (Functions(lambda x: torch.cat([x, x], 2)), r"module 'inner': cat\(\) cannot be quantised: only alo"),
        (Functions(lambda x: F.pad(x, (1, 1), value=2.0)), r"module 'inner': pad\(\) .*only with zeros"),
        (Functions(lambda x: x if x.sum() > 0 else -x), r"module 'inner': its control flow cannot be quant"),
        (nn.Sequential(quantise(small())), r"module '0\.input_quantiser': SignedPACT cannot be quantised"),
    ],
)  # fmt: skip
def test_what_cannot_be_handled_is_named_with_its_path(model, message):
    with pytest.raises(InputError, match=f"^{message}") as caught:
        quantise(model)
    assert "\n" not in str(caught.value)
    assert "supported: Conv2d, Linear, BatchNorm, ReLU" in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"act_bits": 0}, "act_bits must be an integer from 1 to 16, not 0"),
        ({"weight_bits": 17}, "weight_bits must be an integer from 1 to 16, not 17"),
        ({"edge_bits": 0}, "edge_bits must be an integer from 1 to 16, not 0"),
        ({"weight_bits": {"layer9.*": 2, "*": 4}}, r"weight_bits: pattern 'layer9\.\*' matches no quantised"),
        ({"act_bits": {"1": 4}}, "act_bits has no pattern for module '0_input'; add '\\*'"),
        ({"edge_bits": 1}, "module 'input_quantiser': act_bits must be at least 2 for symmetric levels, not"),
    ],
)
def test_bad_widths_are_refused(options, message):
    with pytest.raises(InputError, match=f"^{message}"):
        quantise(small(), **options)


def test_models_without_layers_or_with_two_inputs_are_refused():
    with pytest.raises(InputError, match=r"^Sequential has 1 inputs and 0 layers, expected one input and at"):
        quantise(nn.Sequential(nn.ReLU()))
    with pytest.raises(InputError, match=r"^_TwoInputs has 2 inputs"):
        quantise(_TwoInputs())


class _TwoInputs(nn.Module):
    def forward(self, a, b):
        return a + b
