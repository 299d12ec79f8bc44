"""A core and networks that are built and run within seconds."""

from pact_hw.compiler.examples import random_tensors
from pact_hw.spec import (
    ActFormat,
    CoreSpec,
    HardwareSpec,
    LayerKind,
    LayerSpec,
    NetworkSpec,
    RequantiserSpec,
    WeightFormat,
)

ACT, WEIGHT = ActFormat(bits=4), WeightFormat(bits=4)
SUMS = ActFormat(bits=8)
"""Of 3 x 3 levels, exact."""


def small_core(**members):
    array = HardwareSpec(
        name="tiny",
        act=ACT,
        weight=WEIGHT,
        rows=2,
        cols=2,
        lanes=4,
        max_reduction=1024,
        requantiser=RequantiserSpec(),
    )
    sizes = {"activation_words": 512, "patch_words": 128, "weight_words": 256, "constant_words": 32}
    return CoreSpec(array=array, **{**sizes, "program_words": 2048, **members})


def small_network(channels=4):
    def conv(name, source, inputs, outputs, **members):
        return LayerSpec(
            name=name,
            kind=LayerKind.CONV,
            source=source,
            act=ACT,
            weight=WEIGHT,
            in_channels=inputs,
            out_channels=outputs,
            kernel=3,
            padding=1,
            out=ACT,
            **members,
        )

    def window(name, source, kind, kernel, out):
        return LayerSpec(
            name=name,
            kind=kind,
            source=source,
            act=ACT,
            in_channels=channels,
            out_channels=channels,
            kernel=kernel,
            stride=kernel,
            out=out,
        )

    linear = LayerSpec(
        name="linear",
        kind=LayerKind.LINEAR,
        source="mean",
        act=SUMS,
        weight=WEIGHT,
        in_channels=channels,
        out_channels=5,
    )
    return NetworkSpec(
        name="small",
        input_channels=3,
        input_height=6,
        input_width=6,
        input_act=ACT,
        layers=(
            conv("conv1", "input", 3, channels),
            conv("conv2", "conv1", channels, channels, residual="conv1", residual_act=ACT),
            window("most", "conv2", LayerKind.MAX, 2, ACT),
            conv("conv3", "most", channels, channels),
            window("mean", "conv3", LayerKind.SUM, 3, SUMS),
            linear,
        ),
    )


def small_tensors(network, seed=1):
    return random_tensors(network, seed)
