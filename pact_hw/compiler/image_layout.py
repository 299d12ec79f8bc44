"""How the network's image is laid out: with its padding where levels are signed, unfolded where that pays."""

from __future__ import annotations

from ..spec import LayerKind, LayerSpec, NetworkSpec
from ..spec.core import CoreSpec
from ..spec.network import INPUT
from .placement import Fold, Image, place
from .slots import Slots


def _readers(network: NetworkSpec) -> list[LayerSpec]:
    return [x for x in network.layers if INPUT in (x.source, x.residual, *x.concat)]


def _fold(network: NetworkSpec, core: CoreSpec) -> Fold | None:
    """How a convolution of few channels, the image's only reader, is fed: as few beats as can be."""
    readers = _readers(network)
    layer = readers[0] if len(readers) == 1 else None
    if layer is None or layer.kind is not LayerKind.CONV or layer.groups > 1 or layer.residual == INPUT:
        return None
    channels, lanes = layer.in_channels, core.array.lanes
    _, out_height, out_width = network.shapes[layer.name]

    def beats(taps: int) -> int:
        return -(-layer.kernel // taps) * -(-taps * channels // lanes)

    most = min(layer.kernel, core.word_channels // channels)
    if most < 2:
        return None
    taps = min(range(1, most + 1), key=lambda taps: (beats(taps), -(-layer.kernel // taps), taps))
    if beats(taps) == beats(1) and -(-layer.kernel // taps) > layer.stride:
        return None  # not quicker, and not smaller
    return Fold(
        kernel=layer.kernel, stride=layer.stride, padding=layer.padding, out_width=out_width,
        out_height=out_height, taps=taps,
    )  # fmt: skip


def lay_out_image(network: NetworkSpec, core: CoreSpec, slots: Slots) -> Image:
    """The image's layout.

    Padding is physically there for signed levels, because beyond the image the core reads code 0.
    """
    shape = network.shapes[INPUT]
    fold = _fold(network, core)
    if fold is not None:
        parts = tuple(
            part * core.word_channels + slot
            for part in range(fold.parts)
            for slot in range(fold.taps * network.input_channels)
        )
        height = (fold.out_height - 1) * fold.stride + fold.kernel
        placement = place(core, network.input_act, parts, height, fold.out_width)
        return Image(placement=placement, shape=shape, fold=fold)
    padded = [x.padding for x in _readers(network) if x.kind is not LayerKind.MAX]
    padding = 0 if network.input_act.unsigned else max(padded, default=0)
    height, width = shape[1] + 2 * padding, shape[2] + 2 * padding
    return Image(placement=place(core, network.input_act, slots, height, width), shape=shape, padding=padding)
