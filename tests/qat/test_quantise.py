"""``quantise`` on ordinary modules: what it replaces, where it adds quantisers, what it refuses."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from pact_hw.errors import InputError
from pact_hw.qat.binary import Binary
from pact_hw.qat.dorefa import DoReFa
from pact_hw.qat.layers import QuantConv2d, QuantLinear
from pact_hw.qat.normalise import Normalise
from pact_hw.qat.pact import PACT, ActQuantiser, PACTPlus, SignedPACT
from pact_hw.qat.quantise import quantise
from pact_hw.qat.sawb import SAWB


def conv(c, k, kernel=3, **options):
    return nn.Conv2d(c, k, kernel, padding=kernel // 2, **options)


class Everything(nn.Module):
    """Residual additions, concatenation, groups, pooling, functions instead of modules, a shared ReLU."""

    def __init__(self):
        super().__init__()
        self.stem, self.bn = conv(3, 8), nn.BatchNorm2d(8)
        self.relu = nn.ReLU(inplace=True)
        self.depthwise, self.grouped = conv(8, 8, groups=8), conv(8, 8, 1, groups=2)
        self.bn1, self.bn2 = nn.BatchNorm2d(8), nn.BatchNorm2d(8)
        self.left, self.right = conv(8, 4), conv(8, 4, 1)
        self.fc = nn.Linear(8, 5)

    def forward(self, x):
        x = self.relu(self.bn(self.stem(x)))
        y = F.relu6(self.bn1(self.depthwise(x)))
        y = self.bn2(self.grouped(y))
        y += x
        y = self.relu(y)
        y = F.max_pool2d(y, 2)
        y = torch.cat([F.relu(self.left(y)), F.relu(self.right(y))], 1)
        y = F.dropout(y, 0.3, self.training)
        y = y.mean((2, 3))
        return self.fc(y.view(y.size(0), -1))


def quantisers(model):
    return {path: m for path, m in model.named_modules() if isinstance(m, ActQuantiser)}


def bits(model):
    """(activations' bits, weights' bits) by path."""
    acts = {path: m.bits for path, m in quantisers(model).items()}
    layers = (QuantConv2d, QuantLinear)
    return acts, {p: m.weight_quantiser.bits for p, m in model.named_modules() if isinstance(m, layers)}


def test_everything():
    torch.manual_seed(0)
    model = Everything()
    before = copy.deepcopy(model.state_dict())
    quantised = quantise(model, act_bits=4, weight_bits=3)
    acts, weights = bits(quantised)
    assert acts == {
        "input_quantiser": 8, "relu": 4, "relu_2": 4, "relu_3": 4, "relu_4": 8,
    }  # fmt: skip
    assert weights == {"stem": 8, "depthwise": 3, "grouped": 3, "left": 3, "right": 3, "fc": 8}
    assert quantised.get_submodule("relu_2").alpha.item() == 6.0  # was ReLU6
    # The concatenated halves share one clip.
    calls = [str(node.target) for node in quantised.graph.nodes if node.op == "call_module"]
    assert calls.count("relu_4") == 2
    # The model is untouched, its parameters are copied under their own names.
    assert not quantisers(model)
    state = quantised.state_dict()
    assert {name for name in state if not name.endswith("alpha")} == set(before)
    assert all(torch.equal(state[name], tensor) for name, tensor in before.items())
    x = torch.randn(2, 3, 8, 8)
    quantised(x).sum().backward()
    assert all(p.grad is not None for p in quantised.parameters() if p.requires_grad)
    assert not quantised.get_submodule("input_quantiser").alpha.requires_grad
    # Dropout follows the mode, though it was traced in training mode.
    assert torch.equal(quantised.eval()(x), quantised(x))


def test_wide_levels_are_nearly_the_float_network():
    torch.manual_seed(0)
    model = Everything().eval()
    with torch.no_grad():  # nothing is clipped
        for layer in (m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)):
            layer.weight.mul_(0.5)
    wide = quantise(model, 16, 16, edge_bits=16, weights=Unchanged)
    x = torch.rand(4, 3, 8, 8) * 4 - 2
    torch.testing.assert_close(wide(x), model(x), rtol=0, atol=1e-3)


class Unchanged(DoReFa):
    """DoReFa's weights have no scale; these have, so that the networks can be compared."""

    def forward(self, weight):
        return weight


def test_the_result_computes_what_its_parts_say():
    torch.manual_seed(1)
    model = nn.Sequential(conv(2, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 2))
    quantised = quantise(model, 2, 5, alpha=1.5)
    x = torch.randn(5, 2, 4, 4)
    y = F.conv2d(SignedPACT(8, 3.0)(x), DoReFa(8)(model[0].weight), model[0].bias, padding=1)
    y = PACT(8, 1.5)(copy.deepcopy(model[1])(y))  # read by the last layer alone: 8 bits
    expected = F.linear(y.flatten(1), DoReFa(8)(model[4].weight), model[4].bias)
    assert torch.equal(quantised(x), expected)


def small():
    return nn.Sequential(
        conv(2, 4), nn.ReLU(), conv(4, 4), nn.ReLU(), conv(4, 4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 2)
    )


def test_widths_by_pattern():
    model = quantise(small(), {"*": 4, "3": 2, "input_*": 6}, {"*": 3, "2": 1, "4": 7, "7": 5}, edge_bits=8)
    assert bits(model) == ({"input_quantiser": 6, "1": 4, "3": 2, "5": 8}, {"0": 8, "2": 1, "4": 7, "7": 5})
    assert isinstance(model.get_submodule("2").weight_quantiser, Binary)
    last_wins = quantise(small(), 4, {"*": 2, "[24]": 3, "4": 6})
    assert bits(last_wins)[1] == {"0": 8, "2": 3, "4": 6, "7": 8}


@pytest.mark.parametrize("width", [1, 2, 3, 4, 5, 6, 7, 8, 16])
def test_all_widths(width):
    model = quantise(small(), width, width, edge_bits=width if width > 1 else 2)
    y = model(torch.randn(2, 2, 4, 4))
    y.sum().backward()
    assert torch.isfinite(y).all()
    assert set(bits(model)[1].values()) == {width, max(width, 2)}


def test_float_edges_and_float_layers():
    model = quantise(small(), 4, 4, edge_bits=None)
    assert bits(model) == ({"1": 4, "3": 4}, {"2": 4, "4": 4})
    assert type(model.get_submodule("5")) is nn.ReLU
    model = quantise(small(), {"*": 4, "3": None}, {"*": 4, "4": None})
    assert bits(model) == ({"input_quantiser": 8, "1": 4, "5": 8}, {"0": 8, "2": 4, "7": 8})


def test_the_kinds_can_be_chosen():
    model = quantise(small(), weights=SAWB, activation=PACTPlus, input_quantiser=PACT(7, 1.0))
    assert isinstance(model.get_submodule("4").weight_quantiser, SAWB)
    assert isinstance(model.get_submodule("3"), PACTPlus)
    assert model.get_submodule("input_quantiser").bits == 7
    with pytest.raises(InputError, match=r"^module '2': SAWB has weights of 2 to 8 bits, not 16$"):
        quantise(small(), 4, 16, weights=SAWB)


def test_images_are_quantised_behind_their_normalisation():
    model = nn.Sequential(Normalise((0.5, 0.25), (0.5, 0.125)), conv(2, 2), nn.ReLU(), conv(2, 2))
    quantised = quantise(model)
    assert quantised.get_submodule("input_quantiser").alpha.item() == 6.0  # (1 - 0.25) / 0.125
    order = [node.name for node in quantised.graph.nodes]
    assert order.index("_0") < order.index("input_quantiser") < order.index("_1")


class PreActivation(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = conv(3, 4)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.BatchNorm2d(4), nn.ReLU(), conv(4, 4), nn.BatchNorm2d(4), nn.ReLU(), conv(4, 4))
            for _ in range(2)
        )
        self.bn, self.fc = nn.BatchNorm2d(4), nn.Linear(4, 2)

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = x + block(x)
        return self.fc(F.adaptive_avg_pool2d(torch.relu(self.bn(x)), 1).flatten(1))


def test_a_residual_stream_has_one_quantiser_of_its_own_width():
    model = quantise(PreActivation(), residual_bits=12)
    signed = {path: m.bits for path, m in quantisers(model).items() if isinstance(m, SignedPACT)}
    assert signed == {"input_quantiser": 8, "stem_output": 12}
    calls = [str(node.target) for node in model.graph.nodes]
    assert calls.count("stem_output") == 3  # behind the stem and both additions
    with pytest.raises(InputError, match=r"^residual_bits: pattern 'x' matches no quantised module$"):
        quantise(PreActivation(), residual_bits={"*": 8, "x": 3})


class PostActivation(nn.Module):
    """An identity and a projected shortcut."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2, self.conv3, self.side = conv(3, 4), conv(4, 4), conv(4, 4), conv(4, 4, 1)
        self.relu1, self.relu2, self.relu3, self.fc = nn.ReLU(), nn.ReLU(), nn.ReLU(), conv(4, 2)

    def forward(self, x):
        x = self.relu1(self.conv1(x))
        x = self.relu2(self.conv2(x) + x)
        return self.fc(self.relu3(self.conv3(x) + self.side(x)))


def test_residual_clips_can_be_tied():
    model = quantise(PostActivation(), {"*": 4, "relu3": 4}, tie_residuals=True)
    assert bits(model)[0] == {"input_quantiser": 8, "relu1": 4, "side_output": 8, "relu3": 4}
    calls = [str(node.target) for node in model.graph.nodes]
    assert calls.count("relu1") == 2
    assert calls.count("side_output") == 1  # an activation ends this stream
    assert "relu2" in bits(quantise(PostActivation()))[0]
    # Another width is another scale.
    assert "relu2" in bits(quantise(PostActivation(), {"*": 4, "relu2": 3}, tie_residuals=True))[0]


class Unactivated(nn.Module):
    """A shortcut, a chain and a pool without activation; concatenation of signed and unsigned values."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c, self.d = conv(2, 4), conv(4, 4), conv(4, 4), conv(8, 4)
        self.side, self.last = conv(4, 4, 1), conv(4, 2)
        self.pool = nn.AvgPool2d(2)

    def forward(self, x):
        x = torch.relu(self.a(x))
        y = self.c(self.b(x)) + self.side(x)
        y = self.d(torch.cat([y, x], dim=1))
        return self.last(self.pool(y))


def test_signed_quantisers_stand_where_levels_are_needed():
    model = quantise(Unactivated(), 4, 4)
    assert bits(model)[0] == {
        "input_quantiser": 8, "relu": 4, "c_input": 4, "side_output": 8, "cat_output": 8, "d_input": 4,
        "d_output": 8,
    }  # fmt: skip
    before = {str(n.target): [str(a.target) for a in n.all_input_nodes] for n in model.graph.nodes}
    assert before["d"] == ["d_input"]
    assert before["last"] == ["pool"]
    assert before["pool"] == ["d_output"]
    model(torch.randn(2, 2, 8, 8)).sum().backward()


def test_max_pooling_of_sums_is_pooling_of_levels():
    model = nn.Sequential(conv(2, 3), nn.BatchNorm2d(3), nn.MaxPool2d(2), nn.ReLU(), conv(3, 2)).eval()
    quantised = quantise(model, 4, 4)
    names = [str(n.target) for n in quantised.graph.nodes if n.op == "call_module"]
    assert names == ["input_quantiser", "0", "1", "3", "2", "4"]
    x = torch.randn(3, 2, 8, 8)
    y = model[1](quantised.get_submodule("0")(SignedPACT(8, 3.0)(x)))
    pact = PACT(8)
    assert torch.equal(model[2](pact(y)), pact(model[2](y)))
    assert torch.equal(quantised(x), quantised.get_submodule("4")(pact(model[2](y))))


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
