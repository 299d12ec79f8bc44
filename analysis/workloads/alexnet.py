"""AlexNet (Krizhevsky et al., 2012): five convolutions, three of them in two groups, 61 million weights."""

from __future__ import annotations

from .layer import Layer, Workload

SIZE = 227
_CONVOLUTIONS = (
    # name, in, out, kernel, stride, groups, input size, output size
    ("conv1", 3, 96, 11, 4, 1, SIZE, 55),
    ("conv2", 96, 256, 5, 1, 2, 27, 27),
    ("conv3", 256, 384, 3, 1, 1, 13, 13),
    ("conv4", 384, 384, 3, 1, 2, 13, 13),
    ("conv5", 384, 256, 3, 1, 2, 13, 13),
)
_LINEAR = (("fc6", 256 * 6 * 6, 4096), ("fc7", 4096, 4096), ("fc8", 4096, 1000))


def alexnet() -> Workload:
    """AlexNet at 227 x 227."""
    layers = [
        Layer(
            name=name,
            in_channels=inputs,
            out_channels=outputs,
            kernel=kernel,
            stride=stride,
            groups=groups,
            out_pixels=after**2,
            act_elements=inputs * before**2 + outputs * after**2,
            in_width=before,
        )
        for name, inputs, outputs, kernel, stride, groups, before, after in _CONVOLUTIONS
    ]
    layers += [
        Layer(
            name=name,
            in_channels=inputs,
            out_channels=outputs,
            kernel=1,
            stride=1,
            out_pixels=1,
            act_elements=inputs + outputs,
        )
        for name, inputs, outputs in _LINEAR
    ]
    return Workload(name="alexnet", image_elements=SIZE**2 * 3, layers=tuple(layers))
