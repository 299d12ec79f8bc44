"""``quantise`` on ordinary modules: what it replaces, where it adds quantisers, what it refuses."""

from __future__ import annotations

import copy

import pytest
import torch
from quantised_models import bits, conv, quantisers, small
from torch import nn
from torch.nn import functional as F  # noqa: N812

from pact_hw.errors import InputError
from pact_hw.qat.binary import Binary
from pact_hw.qat.dorefa import DoReFa
from pact_hw.qat.normalise import Normalise
from pact_hw.qat.pact import PACT, PACTPlus, SignedPACT
from pact_hw.qat.quantise import quantise
from pact_hw.qat.sawb import SAWB


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
