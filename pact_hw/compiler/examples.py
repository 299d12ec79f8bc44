"""Well-known networks in integers, with random codes: shapes are the real ones, numbers are not.

As ``pact_hw.qat.convert`` makes them: an 8-bit signed image, residual operands before the activation, the
average pool as an exact sum. So sizes, cycles and exactness can be had without a training.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..golden.matmul import decode_weights
from ..spec import ActEncoding, ActFormat, LayerKind, LayerSpec, NetworkSpec, WeightFormat
from ..spec.network import INPUT

Arrays = dict[str, npt.NDArray[np.int64]]


class _Builder:
    """Layers one after the other, each with the shape of what it reads."""

    def __init__(self, bits: int, edge_bits: int) -> None:
        self.act, self.weight = ActFormat(bits=bits), WeightFormat(bits=bits)
        self.edge, self.edge_weight = ActFormat(bits=edge_bits), WeightFormat(bits=edge_bits)
        self.signed = ActFormat(bits=edge_bits, encoding=ActEncoding.SYMMETRIC)
        self.layers: list[LayerSpec] = []
        self.known = {INPUT: (self.signed, 3)}

    def conv(
        self, name: str, source: str, channels: int, kernel: int, stride: int = 1, *,
        out: ActFormat | None = None, residual: str | None = None, residual_stride: int = 1, groups: int = 1,
    ) -> str:  # fmt: skip
        """A convolution that keeps the size at stride 1; an option A shortcut if the residual is narrower."""
        act, in_channels = self.known[source]
        weight = self.edge_weight if source == INPUT else self.weight
        beside = self.known[residual] if residual else None
        return self._add(
            LayerSpec(
                name=name, kind=LayerKind.CONV, source=source, act=act, weight=weight, kernel=kernel,
                stride=stride, padding=kernel // 2, groups=groups, in_channels=in_channels,
                out_channels=channels, out=out or self.act, residual=residual,
                residual_act=beside and beside[0], residual_stride=residual_stride,
                residual_channel=(channels - beside[1]) // 2 if beside else 0,
            )
        )  # fmt: skip

    def pool(
        self, name: str, kind: LayerKind, source: str, kernel: int, stride: int, padding: int = 0
    ) -> str:
        """A maximum, or an exact sum."""
        act, channels = self.known[source]
        total = ActFormat(bits=(kernel * kernel * act.max).bit_length())
        return self._add(
            LayerSpec(
                name=name, kind=kind, source=source, act=act, kernel=kernel, stride=stride, padding=padding,
                in_channels=channels, out_channels=channels, out=total if kind is LayerKind.SUM else act,
            )
        )  # fmt: skip

    def network(self, name: str, source: str, classes: int, size: int) -> NetworkSpec:
        """With a linear layer at the end."""
        act, channels = self.known[source]
        self.layers.append(
            LayerSpec(
                name="linear", kind=LayerKind.LINEAR, source=source, act=act, weight=self.edge_weight,
                in_channels=channels, out_channels=classes,
            )
        )  # fmt: skip
        return NetworkSpec(
            name=name, input_channels=3, input_height=size, input_width=size, input_act=self.signed,
            layers=tuple(self.layers),
        )  # fmt: skip

    def _add(self, layer: LayerSpec) -> str:
        assert layer.out is not None
        self.layers.append(layer)
        self.known[layer.name] = layer.out, layer.out_channels
        return layer.name


def resnet20(bits: int = 4, edge_bits: int = 8) -> NetworkSpec:
    """ResNet-20 for 32 x 32 images, option A shortcuts (He et al., arXiv 1512.03385, section 4.2)."""
    b = _Builder(bits, edge_bits)
    x = b.conv("conv1", INPUT, 16, 3)
    for stage, channels in enumerate((16, 32, 64), 1):
        for block in range(3):
            name, stride = f"layer{stage}_{block}", 2 if stage > 1 and block == 0 else 1
            out = b.edge if (stage, block) == (3, 2) else None
            y = b.conv(f"{name}_conv1", x, channels, 3, stride)
            x = b.conv(f"{name}_conv2", y, channels, 3, out=out, residual=x, residual_stride=stride)
    return b.network("resnet20", b.pool("pool", LayerKind.SUM, x, 8, 8), 10, 32)


def resnet50(bits: int = 4, edge_bits: int = 8, size: int = 224) -> NetworkSpec:
    """ResNet-50 for ``size`` x ``size`` images, the stride in the 3 x 3 convolution as torchvision has it."""
    if size % 32:
        raise InputError(f"ResNet-50's images have a multiple of 32 lines, not {size}")
    b = _Builder(bits, edge_bits)
    x = b.pool("maxpool", LayerKind.MAX, b.conv("conv1", INPUT, 64, 7, 2), 3, 2, 1)
    for stage, (width, blocks) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3)), 1):
        for block in range(blocks):
            name, stride = f"layer{stage}_{block}", 2 if stage > 1 and block == 0 else 1
            out = b.edge if (stage, block) == (4, 2) else None
            y = b.conv(f"{name}_conv1", x, width, 1)
            y = b.conv(f"{name}_conv2", y, width, 3, stride)
            if block == 0:
                x = b.conv(f"{name}_downsample", x, 4 * width, 1, stride, out=b.signed)
            x = b.conv(f"{name}_conv3", y, 4 * width, 1, out=out, residual=x)
    return b.network("resnet50", b.pool("avgpool", LayerKind.SUM, x, size // 32, size // 32), 1000, size)


def mobilenet(bits: int = 4, edge_bits: int = 8, size: int = 224) -> NetworkSpec:
    """MobileNet (v1) for ``size`` x ``size`` images (Howard et al., arXiv 1704.04861, table 1)."""
    if size % 32:
        raise InputError(f"MobileNet's images have a multiple of 32 lines, not {size}")
    b = _Builder(bits, edge_bits)
    x, channels = b.conv("conv1", INPUT, 32, 3, 2), 32
    widths = (64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
    for block, width in enumerate(widths, 2):
        stride = 2 if block in (3, 5, 7, 13) else 1
        x = b.conv(f"conv{block}_dw", x, channels, 3, stride, groups=channels)
        x = b.conv(f"conv{block}_pw", x, width, 1, out=b.edge if block == len(widths) + 1 else None)
        channels = width
    return b.network("mobilenet", b.pool("avgpool", LayerKind.SUM, x, size // 32, size // 32), 1000, size)


NETWORKS = {"mobilenet": mobilenet, "resnet20": resnet20, "resnet50": resnet50}


def random_tensors(network: NetworkSpec, seed: int) -> Arrays:
    """Weight codes as a trained network has them (bell-shaped), and constants that spread the levels.

    A third of the levels are 0, roughly, and few are clipped.
    """
    random = np.random.default_rng(seed)
    tensors: Arrays = {}
    for layer in network.layers:
        n = layer.out_channels
        spread = 1.0
        if layer.weight is not None:
            shape: tuple[int, ...] = (n, layer.in_channels // layer.groups)
            shape += (layer.kernel, layer.kernel) if layer.kind is LayerKind.CONV else ()
            bell = random.normal(0.5, 0.2, shape) * layer.weight.levels
            codes = np.clip(np.rint(bell), 0, layer.weight.levels).astype(np.int64)
            tensors[f"{layer.name}.weight"] = codes
            spread = float(decode_weights(codes, layer.weight).std())
        if layer.out is None:
            continue
        if layer.kind is LayerKind.SUM:  # exact
            one = np.ones(n, dtype=np.int64)
            constants = {"mult": one, "add": 0 * one, "shift": 0 * one}
        elif layer.requantised:
            reach = layer.out.max * 2.0**20
            sums = np.sqrt(layer.reduction) * layer.act.max / 2 * spread
            signs = random.choice([-1, 1], n)
            constants = {
                "mult": np.rint(signs * random.uniform(0.3, 0.5, n) * reach / sums),
                "add": np.rint(random.uniform(0, 0.4, n) * reach),
                "shift": np.full(n, 20),
            }
            if layer.residual_act is not None:
                constants["residual_mult"] = np.rint(
                    random.uniform(0.2, 0.8, n) * reach / layer.residual_act.max
                )
        else:
            continue
        tensors |= {f"{layer.name}.{name}": np.asarray(v).astype(np.int64) for name, v in constants.items()}
    return tensors
