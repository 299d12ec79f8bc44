"""The layers of the networks against what is published about them."""

import numpy as np
import pytest

from analysis.workloads import (
    NETWORKS,
    Layer,
    Operand,
    StridePlace,
    alexnet,
    bert_base,
    mobilenet_v2,
    network,
    resnet18,
    resnet50,
)
from pact_hw.errors import InputError


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        # torchvision's parameters, less those of batch normalisation and the last layer's biases.
        ("resnet18", 11_689_512 - 9_600 - 1_000),
        ("resnet50", 25_557_032 - 53_120 - 1_000),
        ("resnet50-v1.5", 25_557_032 - 53_120 - 1_000),
        ("mobilenet_v2", 3_504_872 - 34_112 - 1_000),
        # Caffe's bvlc_alexnet, less its biases.
        ("alexnet", 60_965_224 - 10_568),
        # 12 blocks of 4 projections and 2 linear layers.
        ("bert_base", 12 * (4 * 768**2 + 2 * 768 * 3072)),
    ],
)
def test_parameters(name, weights):
    assert network(name).weights == weights


@pytest.mark.parametrize(
    ("name", "gmac"),
    [
        ("resnet50", 3.86),  # He et al., 2015, table 1: 3.8e9 (rounded down)
        ("resnet50-v1.5", 4.09),  # torchvision's documentation: 4.09 GFLOPS
        ("resnet18", 1.81),  # the same: 1.81
        ("mobilenet_v2", 0.30),  # the same: 0.3; Sandler et al., table 4: 300M
        ("alexnet", 0.724),  # 5 convolutions 666M and 3 linear layers 58.6M (Sze et al., 2017, table II)
    ],
)
def test_multiply_accumulates(name, gmac):
    assert network(name).macs / 1e9 == pytest.approx(gmac, abs=0.005)


def test_attention_by_hand():
    layers = {layer.name: layer for layer in bert_base(tokens=64).layers}
    scores, context = layers["block1_scores"], layers["block1_context"]
    # Every head: 64 x 64 by 64 x tokens, and 64 x tokens by tokens x 64.
    assert scores.macs == context.macs == 12 * 64 * 64 * 64
    assert scores.weights == 0
    assert scores.operand is Operand.ACTIVATIONS
    assert layers["block12_ffn1"].macs == 64 * 768 * 3072


def test_depthwise_layers_reduce_over_their_own_channel():
    depthwise = [layer for layer in mobilenet_v2().layers if layer.name.endswith("_dw")]
    assert len(depthwise) == 17
    assert {layer.reduction for layer in depthwise} == {9}
    assert all(layer.weights == 9 * layer.out_channels for layer in depthwise)


def test_layers_that_everybody_knows():
    layers = {layer.name: layer for layer in resnet50().layers}
    assert len(layers) == 54  # conv1, 16 blocks of 3, 4 projections, the classifier
    assert layers["conv1"].macs == 112 * 112 * 7 * 7 * 3 * 64
    assert layers["conv5_3_3x3"].weights == 9 * 512 * 512
    assert layers["conv5_3_3x3"].out_pixels == 49
    assert layers["fc"].weights == 2048 * 1000
    assert sum("proj" in name for name in layers) == 4
    assert len(resnet18().layers) == 21
    assert len(mobilenet_v2().layers) == 53
    assert [layer.macs for layer in alexnet().layers[:2]] == [105_415_200, 223_948_800]


def test_every_3x3_of_the_published_form_takes_the_same_work():
    # The design rule of He et al.: halving the image doubles the channels.
    work = {layer.macs for layer in resnet50().layers if layer.kernel == 3}
    assert work == {115_605_504}


@pytest.mark.parametrize("name", NETWORKS)
def test_columns_are_the_layers(name):
    workload = network(name)
    for column, values in workload.columns.items():
        assert values.tolist() == [getattr(layer, column) for layer in workload.layers]
        assert values.dtype == np.int64


@pytest.mark.parametrize("name", NETWORKS)
def test_a_layer_holds_its_own_output_and_a_kernel_needs_a_width(name):
    for layer in network(name).layers:
        assert layer.act_elements + layer.stream_elements >= layer.out_pixels * layer.out_channels
        assert layer.in_channels % layer.groups == layer.out_channels % layer.groups == 0
        assert layer.kernel == 1 or layer.in_width > 1


def test_layer_that_reads_and_writes_the_residual_stream_holds_all_of_it():
    layer = next(layer for layer in resnet50().layers if layer.name == "conv2_2_1x1a")
    assert layer.act_elements == 56 * 56 * (256 + 64)
    assert layer.stream_elements == 56 * 56 * 256


def test_border_of_a_stripe():
    layers = {layer.name: layer for layer in resnet50(StridePlace.MIDDLE_3X3).layers}
    assert layers["conv2_1_3x3"].halo_elements == 2 * 56 * 64
    assert layers["conv3_1_3x3"].halo_elements == 1 * 56 * 128  # every other row is a first one
    assert layers["conv2_1_1x1a"].halo_elements == 0


def test_layer_counts():
    layer = Layer(name="l", in_channels=3, out_channels=5, kernel=2, stride=1, out_pixels=7, act_elements=1)
    assert (layer.weights, layer.macs, layer.reduction) == (60, 420, 12)


def test_an_unknown_network_is_refused():
    with pytest.raises(InputError, match=r"^network must be one of resnet18, .*, not 'vgg'$"):
        network("vgg")
