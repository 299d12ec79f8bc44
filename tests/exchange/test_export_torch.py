"""Quantised PyTorch networks as QONNX with real scales: qonnx's executor gives PyTorch's levels."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
pytest.importorskip("qonnx", reason="the extra onnx is not installed")

from pact_hw.errors import InputError  # noqa: E402
from pact_hw.exchange import torch_exporting  # noqa: E402 - needs onnx
from pact_hw.exchange.graph_writer import write_qonnx  # noqa: E402
from pact_hw.exchange.importing import import_model  # noqa: E402
from pact_hw.exchange.torch_exporting import export_torch  # noqa: E402
from pact_hw.exchange.torch_writer import TorchWriter  # noqa: E402
from pact_hw.qat.normalise import Normalise  # noqa: E402
from pact_hw.qat.quantise import quantise  # noqa: E402
from pact_hw.qat.sawb import SAWB, Levels  # noqa: E402

SHAPE = (3, 8, 8)


class Network(nn.Module):
    """Both shortcuts, depthwise layers, all poolings, concatenation, a signed value, two linear layers."""

    def __init__(self):
        super().__init__()
        self.normalise = Normalise((0.4, 0.5, 0.3), (0.2, 0.25, 0.3))
        self.conv0, self.bn0 = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.conv1, self.bn1 = nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False), nn.BatchNorm2d(4)
        self.conv2, self.bn2 = nn.Conv2d(4, 8, 3, 2, padding=1, bias=False), nn.BatchNorm2d(8)
        self.conv3, self.side = nn.Conv2d(8, 6, 1), nn.Conv2d(8, 6, 1)
        self.pool, self.drop = nn.MaxPool2d(2), nn.Dropout()
        self.fc, self.norm, self.head = nn.Linear(48, 7), nn.BatchNorm1d(7), nn.Linear(7, 5)

    def forward(self, x):
        x = F.relu(self.bn0(self.conv0(self.normalise(x))))
        x = F.relu(self.bn1(self.conv1(x)) + x)
        x = F.relu(self.bn2(self.conv2(x)) + F.pad(F.avg_pool2d(x, 1, 2), (0, 0, 0, 0, 1, 3)))
        x = F.relu(self.conv3(x) + self.side(x))
        x = torch.cat([self.pool(x), F.avg_pool2d(x, 2)], 1)
        return self.head(F.relu(self.norm(self.fc(self.drop(x.flatten(1))))))


def network(network=Network, **options):
    """Quantised, with random parameters of batch normalisation and clips."""
    torch.manual_seed(0)
    model = quantise(network(), **options).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("alpha"):
                parameter.uniform_(0.7, 4)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                for tensor in (module.weight, module.bias, module.running_mean):
                    tensor.uniform_(-1, 1.5)
                module.running_var.uniform_(0.5, 4)
    return model


OPTIONS = {
    "dorefa": {},
    "binary": {"act_bits": 2, "weight_bits": 1},
    "sawb": {"act_bits": 3, "weight_bits": 2, "weights": SAWB},
    "symmetric": {
        "act_bits": 5,
        "weight_bits": 4,
        "weights": lambda bits: SAWB(bits, levels=Levels.SYMMETRIC),
    },
    "float edges": {"act_bits": 2, "edge_bits": None},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_every_level_is_pytorchs(tmp_path, options):
    model = network(**options)
    result = export_torch(model, SHAPE, tmp_path / "net.onnx", images=8)
    assert result["executor"] == "qonnx"
    assert result["level_mismatches"] == result["class_mismatches"] == 0
    assert result["float_ties"] <= result["levels_compared"] / 10_000
    quantisers = [name for name, module in model.named_modules() if hasattr(module, "alpha")]
    assert set(result["layers"]) == set(quantisers)


def unnormalised():
    model = Network()
    model.normalise = nn.Identity()
    return model


def test_what_reads_real_numbers_can_be_imported_again(tmp_path):
    export_torch(network(unnormalised), SHAPE, tmp_path / "net.onnx", images=0)
    result = import_model(tmp_path / "net.onnx", tmp_path / "again", images=5)
    assert result["level_mismatches"] == result["class_mismatches"] == 0


def test_another_scale_or_weight_is_seen(tmp_path, monkeypatch):
    """The comparison is not blind."""
    model = network()
    other = copy.deepcopy(model)
    with torch.no_grad():
        other.get_submodule("relu").alpha.mul_(1.01)
        other.get_submodule("conv2").weight[0, 0, 0, 0] += 1
    written = TorchWriter(other, SHAPE).model()
    monkeypatch.setattr(torch_exporting, "write_qonnx", lambda path, _model: write_qonnx(path, written))
    layers = export_torch(model, SHAPE, tmp_path / "net.onnx")["layers"]
    assert layers["relu"]["level_mismatches"] > 0
    assert layers["relu_3"]["level_mismatches"] > 0
    assert layers["relu_4"]["level_mismatches"] == 0


def test_what_has_no_form_is_refused_by_its_path(tmp_path):
    model = quantise(nn.Sequential(nn.Conv2d(3, 2, 3, padding="same"), nn.ReLU(), nn.Conv2d(2, 2, 1)))
    with pytest.raises(InputError, match=r"^module '0': padding 'same' has no form in QONNX here$"):
        export_torch(model, SHAPE, tmp_path / "net.onnx")
    assert not (tmp_path / "net.onnx").exists()
