"""Where quantisers go in residual, pre-activation and unactivated networks."""

from __future__ import annotations

import pytest
import torch
from quantised_models import bits, conv, quantisers
from torch import nn
from torch.nn import functional as F  # noqa: N812

from pact_hw.errors import InputError
from pact_hw.qat.pact import PACT, SignedPACT
from pact_hw.qat.quantise import quantise


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
