"""How the network's image is laid out: with its padding where levels are signed, unfolded where that pays."""

from __future__ import annotations

from collections.abc import Iterator

from ..spec import LayerKind, LayerSpec, NetworkSpec
from ..spec.core import CoreSpec
from ..spec.core_mode import CoreMode
from ..spec.layer import Shape
from ..spec.network import INPUT
from .image import Fold, Image
from .placement import place
from .slots import Slots

OVERHEAD = 150
"""Cycles of an operation beside its passes, roughly."""


def lay_out_image(network: NetworkSpec, core: CoreSpec, mode: CoreMode, slots: Slots) -> Image:
    """The layout, in ``mode``, with which the first layer takes the fewest cycles, then the smallest."""
    readers = [x for x in network.layers if INPUT in (x.source, x.residual, *x.concat)]
    plain = _plain(network, mode, slots)
    layer = readers[0] if len(readers) == 1 else None
    if layer is None or layer.kind is not LayerKind.CONV or layer.groups > 1 or layer.residual == INPUT:
        return plain
    unfolded = list(_in_x(network, mode, layer))
    room = min(image.placement.words for image in (plain, *unfolded))
    images = [plain, *unfolded, _wholly(network, mode, layer, room)]
    outputs = network.shapes[layer.name]
    # Whole, or if need be so that a line of the result and what it reads leave room for others.
    have = core.activation_words
    fit = [image for image in images if _words(image) <= have or _line_words(image, layer) <= have // 2]
    return min(
        fit or [min(images, key=lambda image: _line_words(image, layer))],
        key=lambda image: (_time(layer, outputs, core, mode, image), _words(image)),
    )


def _words(image: Image) -> int:
    """Of the activation buffer: a strip is used while the next one comes."""
    place = image.placement
    return place.words if image.strips == 1 else 2 * image.lines * place.line


def _line_words(image: Image, layer: LayerSpec) -> int:
    """Of the image, what a line of the layer's result reads."""
    lines = 1 if image.fold is not None and not image.fold.taps else layer.kernel
    return min(lines, image.placement.height) * image.placement.line


def _time(layer: LayerSpec, outputs: Shape, core: CoreSpec, mode: CoreMode, image: Image) -> int:
    """Roughly the layer's cycles, or the bus beats of the image if they are more."""
    k, c, array, fold = layer.kernel, layer.in_channels, core.array, image.fold
    if fold is None:
        beats = k * k * mode.beats(c)
    elif fold.taps:
        beats = k * fold.parts * mode.beats(fold.taps * c)
    else:
        beats = mode.beats(k * k * c)
    assert layer.weight is not None
    slices = image.placement.planes * -(-layer.weight.bits // mode.weight_bits)
    passes = -(-outputs[0] // array.cols) * -(-outputs[1] * outputs[2] // array.rows) * slices
    bus = image.placement.words * -(-core.word_bits // core.bus_bits)
    return max(passes * max(beats, array.rows * core.requantise_steps) + image.strips * OVERHEAD, bus)


def _plain(network: NetworkSpec, mode: CoreMode, slots: Slots) -> Image:
    """Pixel by pixel. Beyond an image the core reads code 0, so signed levels come with their padding."""
    shape = network.shapes[INPUT]
    placement = place(mode, network.input_act, slots, *shape[1:], borders(network)[INPUT])
    return Image(placement=placement, shape=shape, lines=placement.height)


def borders(network: NetworkSpec) -> dict[str, int]:
    """How many pixels of level 0 each tensor has around it: signed levels as many as are read."""
    found = dict.fromkeys(network.shapes, 0)
    for layer in network.layers:
        if layer.kind is not LayerKind.MAX and not layer.act.unsigned:
            found[layer.source] = max(found[layer.source], layer.padding)
    return found


def _fold(network: NetworkSpec, layer: LayerSpec, taps: int) -> Fold:
    _, out_height, out_width = network.shapes[layer.name]
    return Fold(
        kernel=layer.kernel, stride=layer.stride, padding=layer.padding, out_height=out_height,
        out_width=out_width, taps=taps,
    )  # fmt: skip


def _in_x(network: NetworkSpec, mode: CoreMode, layer: LayerSpec) -> Iterator[Image]:
    """Unfolded in x, 2 neighbours or more in a word."""
    channels, word = layer.in_channels, mode.word_channels
    for taps in range(2, min(layer.kernel, word // channels) + 1):
        fold = _fold(network, layer, taps)
        slots = tuple(p * word + slot for p in range(fold.parts) for slot in range(taps * channels))
        height = (fold.out_height - 1) * fold.stride + fold.kernel
        placement = place(mode, network.input_act, slots, height, fold.out_width)
        yield Image(placement=placement, shape=network.shapes[INPUT], lines=height, fold=fold)


def _wholly(network: NetworkSpec, mode: CoreMode, layer: LayerSpec, room: int) -> Image:
    """Unfolded wholly, in strips of which two take no more than ``room`` words, where that can be."""
    fold = _fold(network, layer, 0)
    slots = tuple(range(layer.reduction))
    placement = place(mode, network.input_act, slots, fold.out_height, fold.out_width)
    height, lines = fold.out_height, fold.out_height
    if placement.words > room:
        most = max(1, room // (2 * placement.line))
        # Strips of equal height where they are at least half as high as they could be.
        lines = next((n for n in range(most, most // 2, -1) if height % n == 0), most)
    return Image(placement=placement, shape=network.shapes[INPUT], lines=lines, fold=fold)
