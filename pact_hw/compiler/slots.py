"""Which slot of a pixel each channel of a tensor gets.

Usually channel c lies in slot c. But a group of a convolution is read by whole words; operands of a
concatenation and of a residual sum must lie in the same columns as the result. Weights and constants
follow, so any order is as good as another; a slot without a channel costs room only.
"""

from __future__ import annotations

from collections import defaultdict

from ..errors import InputError
from ..spec import LayerKind, LayerSpec, NetworkSpec
from ..spec.core import CoreSpec, Depthwise
from ..spec.network import INPUT
from .modes import Modes

Slots = tuple[int, ...]
Cuts = dict[int, int]
"""Channel -> the unit, in slots, at a multiple of which it must lie."""


def _up(value: int, unit: int) -> int:
    return -(-value // unit) * unit


def diagonal(layer: LayerSpec, core: CoreSpec) -> bool:
    """Whether ``core`` runs ``layer``, a depthwise convolution, a word of channels at a time."""
    depthwise = layer.kind is LayerKind.CONV and layer.groups == layer.in_channels == layer.out_channels
    return core.depthwise is Depthwise.DIAGONAL and depthwise and layer.groups > 1 and layer.out is not None


def _cuts(network: NetworkSpec, core: CoreSpec, modes: Modes) -> dict[str, Cuts]:
    """What readers and the layer itself ask of each tensor."""
    cuts: dict[str, Cuts] = defaultdict(dict)

    def ask(tensor: str, channels: range, unit: int) -> None:
        for channel in channels:
            cuts[tensor][channel] = max(unit, cuts[tensor].get(channel, 1))

    for layer in reversed(network.layers):
        same = [layer.source] if layer.kind in (LayerKind.SUM, LayerKind.MAX) else []
        if diagonal(layer, core):
            same.append(layer.source)
        elif layer.groups > 1:
            step_in, step_out = layer.in_channels // layer.groups, layer.out_channels // layer.groups
            unit = modes[layer.source].word_channels
            ask(layer.source, range(0, layer.in_channels, step_in), unit)
            ask(layer.name, range(0, layer.out_channels, step_out), core.array.cols)
        if layer.residual is not None and layer.residual_channel == 0:
            same.append(layer.residual)
        for operand in same:
            for channel, unit in cuts[layer.name].items():
                ask(operand, range(channel, channel + 1), unit)
    return cuts


def _in_order(channels: int, cuts: Cuts) -> Slots:
    slots, slot = [], 0
    for channel in range(channels):
        slot = _up(slot, cuts.get(channel, 1))
        slots.append(slot)
        slot += 1
    return tuple(slots)


def _beside(layer: LayerSpec, residual: Slots, cols: int) -> Slots:
    """Slots of a sum's result: those of the residual operand, whole column groups further on."""
    first = layer.residual_channel // cols * cols
    taken = {layer.residual_channel + r: slot + first for r, slot in enumerate(residual)}
    used = set(taken.values())
    free = (slot for slot in range(layer.out_channels + len(used) + max(used)) if slot not in used)
    return tuple(taken[n] if n in taken else next(free) for n in range(layer.out_channels))


def channel_slots(network: NetworkSpec, core: CoreSpec, modes: Modes) -> dict[str, Slots]:
    """The slots of the input and of every layer's output.

    Raises:
        InputError: a layer's operands cannot be brought into one order.
    """
    cuts, cols = _cuts(network, core, modes), core.array.cols
    slots = {INPUT: _in_order(network.input_channels, cuts[INPUT])}
    for layer in network.layers:
        source = slots[layer.source]
        if layer.kind.weighted and not diagonal(layer, core):
            found = _in_order(layer.out_channels, cuts[layer.name])
            if layer.residual is not None:
                found = _beside(layer, slots[layer.residual], cols)
        else:
            parts, base = [], 0
            for operand in (layer.source, *layer.concat):
                parts += [base + slot for slot in slots[operand]]
                base = _up(max(parts) + 1, cols)
            found = source if layer.kind is not LayerKind.CONCAT else tuple(parts)
            if layer.residual is not None:
                _check_beside(layer, found, slots[layer.residual], cols)
        slots[layer.name] = found
    return slots


def _check_beside(layer: LayerSpec, slots: Slots, residual: Slots, cols: int) -> None:
    steps = {slots[layer.residual_channel + r] - slot for r, slot in enumerate(residual)}
    if len(steps) != 1 or min(steps) % cols or min(steps) < 0:
        raise InputError(
            f"layer {layer.name!r}: its source and its residual operand {layer.residual!r} lie in different "
            f"columns of {cols}; such a sum cannot be placed on this core"
        )
