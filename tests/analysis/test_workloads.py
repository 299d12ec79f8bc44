"""The layers of ResNet-50 against what is published about it."""

import numpy as np
import pytest

from analysis.workloads import Layer, StridePlace, resnet50


def test_parameters():
    # torchvision's ResNet-50 has 25,557,032 parameters, of which 53,120 belong to batch normalisation
    # and 1,000 are the last layer's biases.
    assert resnet50().weights == 25_557_032 - 53_120 - 1_000
    assert resnet50(StridePlace.MIDDLE_3X3).weights == resnet50().weights


@pytest.mark.parametrize(
    ("place", "gmac"),
    [
        (StridePlace.FIRST_1X1, 3.86),  # He et al., 2015, table 1: 3.8e9 (rounded down)
        (StridePlace.MIDDLE_3X3, 4.09),  # torchvision's documentation: 4.09 GFLOPS
    ],
)
def test_multiply_accumulates(place, gmac):
    assert resnet50(place).macs / 1e9 == pytest.approx(gmac, abs=0.005)


def test_layers_that_everybody_knows():
    layers = {layer.name: layer for layer in resnet50().layers}
    assert len(layers) == 54  # conv1, 16 blocks of 3, 4 projections, the classifier
    assert layers["conv1"].macs == 112 * 112 * 7 * 7 * 3 * 64
    assert layers["conv5_3_3x3"].weights == 9 * 512 * 512
    assert layers["conv5_3_3x3"].out_pixels == 49
    assert layers["fc"].weights == 2048 * 1000
    assert sum("proj" in name for name in layers) == 4


def test_every_3x3_of_the_published_form_takes_the_same_work():
    # The design rule of He et al.: halving the image doubles the channels.
    work = {layer.macs for layer in resnet50().layers if layer.kernel == 3}
    assert work == {115_605_504}


def test_columns_are_the_layers():
    workload = resnet50()
    for name, column in workload.columns.items():
        assert column.tolist() == [getattr(layer, name) for layer in workload.layers]
        assert column.dtype == np.int64


def test_layer_that_reads_and_writes_the_residual_stream_holds_all_of_it():
    layer = next(layer for layer in resnet50().layers if layer.name == "conv2_2_1x1a")
    assert layer.act_elements == 56 * 56 * (256 + 64)
    assert layer.stream_elements == 56 * 56 * 256


def test_layer_counts():
    layer = Layer(name="l", in_channels=3, out_channels=5, kernel=2, stride=1, out_pixels=7, act_elements=1)
    assert (layer.weights, layer.macs) == (60, 420)
