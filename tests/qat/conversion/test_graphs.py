"""Converted networks of every kind: golden = the integer forward = float64 PyTorch, on every level."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from small_networks import NETWORKS, SHAPE, Plain, Residual, conv, images, randomise
from torch import nn
from torch.nn import functional as F  # noqa: N812

from pact_hw.errors import InputError
from pact_hw.network_files import load_network, save_network
from pact_hw.qat.conversion.compare import compare, compare_float32
from pact_hw.qat.conversion.forward import IntegerNetwork
from pact_hw.qat.conversion.integers import to_integers
from pact_hw.qat.conversion.requantiser import Fallback, Rules
from pact_hw.qat.dorefa import DoReFa
from pact_hw.qat.pact import PACT
from pact_hw.qat.quantise import quantise
from pact_hw.qat.sawb import SAWB, Levels
from pact_hw.spec import ActEncoding, LayerKind, RequantiserKind, RequantiserSpec, WeightEncoding


def quantised(network, seed=0, **options):
    torch.manual_seed(seed)
    return randomise(quantise(network(), **options), seed)


def converted(model, **options):
    return to_integers(model, name="small", input_shape=SHAPE, **options)


def check(model, found, count=12):
    result = compare(
        found, model, images(count).numpy(), np.zeros(count, dtype=np.int64), golden_images=count
    )
    assert result["level_mismatches"] == 0, result["layers"]
    assert result["golden_mismatches"] == result["logit_mismatches"] == result["class_mismatches"] == 0
    layers = [layer.name for layer in found.network.layers]
    assert set(result["layers"]) == {"input", *layers[:-1]}
    assert result["golden_values_compared"] == result["levels_compared"] - count * 3 * 64 + count * (
        found.network.layers[-1].out_channels
    )
    return result


SYMMETRIC = {"weights": lambda bits: SAWB(bits, levels=Levels.SYMMETRIC)}


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
@pytest.mark.parametrize(
    "options",
    [
        {"act_bits": 4, "weight_bits": 4},
        {"act_bits": 2, "weight_bits": 1},
        {"act_bits": 3, "weight_bits": 2, "weights": SAWB},
        {"act_bits": 5, "weight_bits": 4, **SYMMETRIC},
        {"act_bits": 8, "weight_bits": 8, "residual_bits": 6},
        {"act_bits": 4, "weight_bits": 5, "residual_bits": 12, "edge_bits": 6},
    ],
    ids=["dorefa4", "binary2", "sawb2", "symmetric4", "dorefa8", "mixed"],
)
def test_every_level_is_pytorchs(network, options):
    if network is Residual and options.get("residual_bits") == 12:
        options = {**options, "residual_bits": 6}  # its signed shortcut has a scale of its own
    model = quantised(network, **options)
    check(model, converted(model))


def test_pooling_of_single_pixels_is_slicing():
    """So is a module without parts: fx keeps none of it."""

    class Every(nn.Module):
        def forward(self, x):
            return F.avg_pool2d(x, 1, stride=2)

    class Pooled(Residual):
        def __init__(self):
            super().__init__()
            self.every = Every()

        def forward(self, x):
            x = F.relu(self.bn0(self.conv0(self.normalise(x))))
            x = F.relu(self.bn1(self.conv1(x)) + x)
            x = F.relu(self.bn2(self.conv2(x)) + F.pad(self.every(x), (0, 0, 0, 0, 1, 3)))
            x = F.relu(self.bn3(self.conv3(x)) + self.bn4(self.conv4(x)))
            return self.head(x.mean((2, 3)))

    sliced, pooled = converted(quantised(Residual)), converted(quantised(Pooled))
    assert pooled.network == sliced.network
    assert all(np.array_equal(tensor, sliced.tensors[name]) for name, tensor in pooled.tensors.items())


def by_kind(found, kind):
    return [layer for layer in found.network.layers if layer.kind is kind]


def test_plain_has_groups_pooling_and_pixels():
    found = converted(quantised(Plain))
    assert [layer.groups for layer in by_kind(found, LayerKind.CONV)] == [1, 8, 4]
    assert [(x.kernel, x.stride, x.padding) for x in by_kind(found, LayerKind.MAX)] == [(3, 2, 1), (2, 2, 0)]
    assert found.network.input_act.encoding is ActEncoding.SYMMETRIC
    assert found.network.pixel_bits == 8
    assert found.tensors["input.levels"].shape == (3, 256)
    assert found.network.layers[-1].bias_shift is not None


def test_option_a_is_a_strided_residual_with_channels_of_zeros():
    found = converted(quantised(Residual))
    strided = [layer for layer in found.network.layers if layer.residual_stride == 2]
    assert [(layer.name, layer.residual_channel) for layer in strided] == [("conv2", 1)]


def test_global_average_is_an_exact_sum():
    found = converted(quantised(Residual, act_bits=4, edge_bits=8))
    (pool,) = by_kind(found, LayerKind.SUM)
    assert (pool.kernel, pool.act.bits, pool.out.bits) == (2, 8, 10)
    assert found.network.layers[-1].act == pool.out


def test_the_stream_is_carried_with_its_width():
    model = quantised(NETWORKS["PreActivation"], residual_bits=10)
    found = converted(model)
    stream = [
        layer for layer in found.network.layers if layer.residual is not None and not layer.out.unsigned
    ]
    assert stream
    for layer in stream:
        assert (layer.out.bits, layer.out.encoding) == (10, ActEncoding.SYMMETRIC)
        shift, mult = (found.tensors[f"{layer.name}.{name}"] for name in ("shift", "residual_mult"))
        assert np.array_equal(mult, 1 << shift)
    check(model, found)


def test_concatenation_is_a_layer():
    (cat,) = by_kind(converted(quantised(NETWORKS["Dense"])), LayerKind.CONCAT)
    assert len(cat.concat) == 1
    assert cat.out_channels == 7


def test_two_complement_weights():
    found = converted(quantised(Plain, **SYMMETRIC))
    assert {layer.weight.encoding for layer in found.network.layers if layer.weight} == {
        WeightEncoding.TWOS_COMPLEMENT
    }


def test_a_mismatch_is_counted():
    model = quantised(Residual)
    found = converted(model)
    found.tensors["conv1.add"][2] += 1 << found.tensors["conv1.shift"][2]
    result = compare(found, model, images(6).numpy(), np.zeros(6, dtype=np.int64))
    assert result["layers"]["conv1"]["level_mismatches"] > 0
    assert result["level_mismatches"] > 0


def test_float32_is_counted():
    model = quantised(Residual, act_bits=5, weight_bits=8)
    counts = compare_float32(converted(model), model, images(20).numpy())
    assert counts["levels_compared"] > 0
    assert set(counts) == {"levels_compared", "level_mismatches", "class_mismatches"}


def test_it_survives_the_disk(tmp_path):
    found = converted(quantised(Plain))
    save_network(tmp_path, found.network, found.tensors)
    network, tensors = load_network(tmp_path)
    assert network == found.network
    pixels = images(3).numpy()
    assert np.array_equal(
        IntegerNetwork(network, tensors).logits(pixels),
        IntegerNetwork(found.network, found.tensors).logits(pixels),
    )


class Ties(nn.Module):
    """Average pooling between two clips that are powers of two apart: exact ties everywhere."""

    def __init__(self):
        super().__init__()
        self.conv, self.relu0 = conv(3, 4), nn.ReLU()
        self.pool, self.bn, self.relu1 = nn.AvgPool2d(2), nn.BatchNorm2d(4, eps=0.0), nn.ReLU()
        self.head = nn.Linear(4 * 16, 3, bias=False)

    def forward(self, x):
        return self.head(self.relu1(self.bn(self.pool(self.relu0(self.conv(x))))).flatten(1))


@pytest.fixture
def ties():
    torch.manual_seed(0)
    model = quantise(Ties(), act_bits=4, input_quantiser=PACT(4, 1.0)).double().eval()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, PACT):
                module.alpha.fill_(float(module.format.max))  # a level is worth 1: PyTorch is exact, too
        model.relu1.format = model.relu0.format
        model.relu1.alpha.fill_(15.0)
    return model


def random_levels(count):
    return np.random.default_rng(0).integers(0, 16, (count, *SHAPE))


def test_ties_become_thresholds(ties):
    found = converted(ties)
    (layer,) = [x for x in found.network.layers if x.requantiser is RequantiserKind.THRESHOLD]
    assert found.proofs[layer.name]["fallback_channels"] == [0, 1, 2, 3]
    result = compare(found, ties, random_levels(30), np.zeros(30, dtype=np.int64), golden_images=30)
    assert result["level_mismatches"] == result["golden_mismatches"] == 0


def test_ties_can_be_refused_or_rounded_up_by_name(ties):
    with pytest.raises(InputError, match=r"^layer 'pool', channel 0: no exact requantiser with mult[^\n]*$"):
        converted(ties, rules=Rules(fallback=Fallback.REFUSE))
    found = converted(ties, rules=Rules(fallback=Fallback.HALF_UP))
    approximation = found.proofs["pool"]["approximation"]
    assert approximation["by"] == "half-up"
    assert approximation["thresholds_missed"] == 4 * 8  # half of 15, rounded up, in each channel
    result = compare(found, ties, random_levels(30), np.zeros(30, dtype=np.int64), golden_images=30)
    assert result["layers"]["pool"]["level_mismatches"] > 0
    assert result["golden_mismatches"] == 0


def test_narrow_multipliers_are_refused_or_approximated_by_name():
    model = quantised(Plain)
    narrow = RequantiserSpec(mult_bits=5, add_bits=30, max_shift=20)
    with pytest.raises(InputError, match=r"^layer 'features_0', channel \d+: no exact requantiser with mult"):
        converted(model, rules=Rules(widths=narrow, fallback=Fallback.REFUSE))
    with pytest.raises(InputError, match=r"channel 1: its scale -[\d.]+ and offset -[\d.]+ do not fit mult"):
        converted(model, rules=Rules(widths=narrow, fallback=Fallback.NEAREST))
    wider = RequantiserSpec(mult_bits=12, add_bits=40, max_shift=20)
    found = converted(model, rules=Rules(widths=wider, fallback=Fallback.NEAREST))
    assert found.proofs["features_0"]["approximation"]["thresholds_missed"] > 0
    assert found.proofs["features_0"]["widest_mult_bits"] <= 12
    exact = converted(model, rules=Rules(widths=narrow))
    assert exact.network.layers[0].requantiser is RequantiserKind.THRESHOLD
    check(model, exact)


@pytest.mark.parametrize("alpha", [1e-3, 1e4])
def test_tiny_and_huge_clips(alpha):
    model = quantised(Residual)
    with torch.no_grad():
        for name, module in model.named_modules():
            if isinstance(module, PACT) and name.startswith("relu"):
                module.alpha.fill_(alpha)
    check(model, converted(model))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.train(), "a network is converted in evaluation mode"),
        (lambda m: m.relu.alpha.data.fill_(-1.0), r"module 'relu' cannot be converted: its alpha is -1.0"),
        (
            lambda m: setattr(m, "conv1", nn.Conv2d(4, 4, 3, padding=1).double()),
            r"module 'conv1' cannot be converted: Conv2d is in floating point",
        ),
        (
            lambda m: setattr(m.conv1, "dilation", (2, 2)),
            r"module 'conv1' cannot be converted: its kernel, stride and padding must be square",
        ),
        (
            lambda m: setattr(m, "relu_2", nn.Identity()),
            r"module 'conv2' cannot be converted: its output|module 'conv1' cannot be converted",
        ),
    ],
)
def test_what_cannot_be_converted_is_named(change, message):
    model = quantised(Residual)
    change(model)
    with pytest.raises(InputError, match=f"^{message}"):
        converted(model)


def test_a_float_image_is_refused():
    model = quantised(Residual, edge_bits=None)
    with pytest.raises(InputError, match=r"^module 'conv0' cannot be converted: "):
        converted(model)


def test_dorefa_scales_are_exact():
    """1/n, not its nearest double."""
    model = quantised(Plain, weights=DoReFa, edge_bits=8)
    found = converted(model)
    last = found.network.layers[-1]
    _, value = found.nodes[last.name]
    exact = (
        Fraction(1, 255)
        * Fraction(model.get_submodule("classifier.3").alpha.item())
        / 255
        / (1 << last.bias_shift)
    )
    assert value == exact
