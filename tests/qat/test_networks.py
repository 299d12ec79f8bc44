"""Parameters and multiply-accumulates of the catalogue's networks against the literature."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from pact_hw.errors import InputError
from pact_hw.qat.networks import CATALOGUE, float_network, load_parameters
from pact_hw.qat.networks.resnet_cifar import PadShortcut

LAYERS = (nn.Conv2d, nn.Linear)


def on_meta(name):
    """The network without memory for its parameters."""
    with torch.device("meta"):
        return CATALOGUE[name].build()


def macs(name):
    """Multiply-accumulates of convolutions and linear layers for one image."""
    network, total = on_meta(name).eval(), 0

    def count(layer, _, output):
        nonlocal total
        total += layer.weight.numel() * (output.shape[2:].numel() if isinstance(layer, nn.Conv2d) else 1)

    for module in network.modules():
        if isinstance(module, LAYERS):
            module.register_forward_hook(count)
    with torch.device("meta"):
        network(torch.empty((1, *CATALOGUE[name].input_shape), dtype=torch.uint8))
    return total


def parameters(name):
    return sum(parameter.numel() for parameter in on_meta(name).parameters())


def weights(name):
    return sum(module.weight.numel() for module in on_meta(name).modules() if isinstance(module, LAYERS))


def test_resnet20():
    # He et al., table 6: 0.27 M; 269,722 with option A and 272,474 with option B is what others count.
    assert parameters("resnet20") == parameters("resnet20-stream") == 269_722
    assert parameters("resnet20-b") == 272_474
    assert macs("resnet20") == macs("resnet20-stream") == 40_551_040
    assert macs("resnet20-b") == macs("resnet20") + 2 * 16 * 16 * 16 * 32


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_option_a_is_every_second_pixel_and_zeros(dtype):
    x = torch.randn(2, 4, 6, 8, dtype=dtype, generator=torch.Generator().manual_seed(0))
    results = []
    for shortcut in (PadShortcut(4, 8), lambda v: F.pad(v[:, :, ::2, ::2], (0, 0, 0, 0, 2, 2))):
        leaf = x.clone().requires_grad_()
        y = shortcut(leaf)
        y.backward(torch.arange(y.numel(), dtype=dtype).reshape(y.shape))
        results.append((y.detach(), leaf.grad))
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_svhn():
    # DoReFa-Net, section 3.1: "about 80 FLOPs" (a misprint of 80 M) for one 40 x 40 image.
    assert 80e6 < 2 * macs("svhn") < 85e6
    kinds = [type(module) for module in on_meta("svhn").modules() if isinstance(module, LAYERS)]
    assert kinds == [nn.Conv2d] * 7 + [nn.Linear]


def test_alexnet():
    # Sze et al., arXiv 1703.09039, table II: 61 M weights and 724 M MACs (2.3 M and 666 M in convolutions).
    assert weights("alexnet-bn") == 60_954_656
    assert macs("alexnet-bn") == 724_406_816
    features = on_meta("alexnet-bn").features.modules()
    assert sum(module.weight.numel() for module in features if isinstance(module, nn.Conv2d)) == 2_332_704


@pytest.mark.parametrize(
    ("name", "count", "operations"),
    [
        # torchvision's documentation: 11,689,512, 25,557,032 and 3,504,872 parameters; 1.81, 4.09, 0.30 G.
        ("resnet18", 11_689_512, 1_814_073_344),
        ("resnet50", 25_557_032, 4_089_184_256),
        ("mobilenet-v2", 3_504_872, 300_774_272),
    ],
)
def test_torchvisions_networks(name, count, operations):
    assert parameters(name) == count
    assert macs(name) == operations


@pytest.mark.parametrize("depth", [18, 50])
def test_pre_activation_has_the_same_convolutions(depth):
    assert weights(f"preact-resnet{depth}") == weights(f"resnet{depth}")
    assert macs(f"preact-resnet{depth}") == macs(f"resnet{depth}")


@pytest.mark.parametrize("name", CATALOGUE)
def test_networks_give_logits_and_gradients(name):
    if name in ("alexnet-bn", "preact-resnet50", "resnet50"):
        pytest.skip("too large for a quick test: its operations are counted above")
    network = float_network(name, seed=1)
    logits = network(torch.randint(0, 256, (2, *CATALOGUE[name].input_shape), dtype=torch.uint8))
    assert logits.shape == (2, 10 if CATALOGUE[name].data_set != "imagenet" else 1000)
    logits.square().sum().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in network.parameters())


def test_the_stream_variant_is_the_same_float_network():
    plain, stream = float_network("resnet20", 3).eval(), float_network("resnet20-stream", 3).eval()
    levels = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    assert torch.equal(plain(levels), stream(levels))


def test_unknown_network():
    with pytest.raises(InputError, match=r"^network must be one of digits, resnet20, .*, not 'vgg'$"):
        float_network("vgg")


def _arrays(network):
    return {k: v.numpy() for k, v in network.state_dict().items() if not k.endswith("num_batches_tracked")}


def test_parameters_from_arrays(tmp_path):
    source, target = float_network("resnet20", 1).eval(), float_network("resnet20", 2).eval()
    np.savez(tmp_path / "float.npz", **_arrays(source))
    load_parameters(target, tmp_path / "float.npz")
    levels = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    assert torch.equal(source(levels), target(levels))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.pop("bn1.bias"), r"array 'bn1.bias' is missing or does not belong"),
        (lambda a: a.update(extra=np.zeros(1)), r"array 'extra' is missing or does not belong"),
        (lambda a: a.update({"bn1.bias": np.zeros(3)}), r"'bn1.bias' is \[3\], expected \[16\]"),
        (lambda a: a.update({"bn1.bias": np.full(16, np.nan)}), r"'bn1.bias' has values that are not finite"),
        (lambda a: a.update({"bn1.bias": np.full(16, "x")}), r"'bn1.bias' has values that are not finite"),
    ],
)
def test_wrong_arrays_are_refused(change, message, tmp_path):
    arrays = _arrays(float_network("resnet20"))
    change(arrays)
    np.savez(tmp_path / "float.npz", **arrays)
    with pytest.raises(InputError, match=rf"float.npz: {message}"):
        load_parameters(float_network("resnet20"), tmp_path / "float.npz")


def test_objects_in_arrays_are_not_unpickled(tmp_path):
    np.savez(tmp_path / "float.npz", x=np.array([object()], dtype=object))
    with pytest.raises(InputError, match=r"^[^\n]*float.npz: cannot be read: [^\n]+$"):
        load_parameters(float_network("resnet20"), tmp_path / "float.npz")


def test_the_documentation_counts_right():
    text = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("| `") and " x " in line]
    counted = set()
    for names, _, shape, counts, operations in rows:
        names = [name.strip(" `") for name in names.split(",")]
        for name, index in zip(names, range(len(names)), strict=True):
            assert tuple(map(int, shape.split("x"))) == CATALOGUE[name].input_shape
            assert int(counts.split(";")[index].replace(",", "")) == parameters(name)
            number, unit = operations.split(";")[index].split()
            places = len(number.partition(".")[2])
            assert round(macs(name) / {"M": 1e6, "G": 1e9}[unit], places) == float(number)
            counted.add(name)
    assert counted == set(CATALOGUE)
