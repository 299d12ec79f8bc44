"""In which width each tensor's codes lie: of a composable array, the mode of the layers that read it."""

from __future__ import annotations

from ..spec import HardwareSpec, LayerSpec, NetworkSpec, WeightEncoding
from ..spec.core import CoreSpec
from ..spec.core_mode import CoreMode
from ..spec.network import INPUT

Modes = dict[str, CoreMode]
"""By tensor."""


def weight_bits(layer: LayerSpec, array: HardwareSpec) -> int:
    """Bits of ``layer``'s weights in the array's encoding: in two's complement odd ones take one more."""
    if layer.weight is None:
        return 1
    wider = layer.weight.encoding is WeightEncoding.ODD and array.weight.encoding is not WeightEncoding.ODD
    return layer.weight.bits + wider


def tensor_modes(network: NetworkSpec, core: CoreSpec) -> Modes:
    """The mode of the input and of every layer's output: the narrowest that holds its levels.

    And the weights that they are multiplied by, so that each layer runs in one pass, in the mode of what it
    reads; a tensor that layers of several widths read lies in the widest of them.
    """
    need = {INPUT: network.input_act.bits}
    for layer in network.layers:
        need[layer.name] = layer.out.bits if layer.out is not None else 1
        if layer.kind.weighted:
            need[layer.source] = max(need[layer.source], weight_bits(layer, core.array))
    return {name: core.mode(bits) for name, bits in need.items()}
