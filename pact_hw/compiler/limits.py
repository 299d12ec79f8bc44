"""What a core's numbers hold, and what not."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..errors import InputError
from ..golden.matmul import Int64, decode_weights
from ..golden.network import Tensors, weight_matrix
from ..spec import HardwareSpec, LayerSpec, RequantiserKind, signed_bits
from ..spec.core import RESULT_BITS, CoreSpec
from ..spec.core_widths import field_bits
from ..spec.program import FIELDS
from .slots import diagonal

HINT = "generate a core --for this network"
"""What helps where a core is too small for a network."""


def check_layer(layer: LayerSpec, tensors: Tensors, core: CoreSpec) -> None:
    """Refuse formats, sums and requantisers that ``core`` has not."""
    name = f"layer {layer.name!r}"
    if layer.requantised and layer.requantiser is RequantiserKind.THRESHOLD:
        raise InputError(f"{name}: thresholds are not on this core; it multiplies and shifts")
    if layer.residual is not None and not layer.kind.weighted:
        raise InputError(f"{name}: a {layer.kind.value} layer has no residual operand on this core")
    if layer.reduction > core.array.max_reduction:
        raise InputError(
            f"{name} adds up {layer.reduction} products, the core at most {core.array.max_reduction}: {HINT}"
        )
    formats = [("levels", layer.act.bits, core.widest_act_bits)]
    if layer.out is not None:
        formats.append(("levels", layer.out.bits, min(core.widest_act_bits, core.requantiser.level_bits)))
    if layer.residual_act is not None:
        formats.append(("residual levels", layer.residual_act.bits, core.requantiser.residual_bits))
    if layer.weight is not None:
        formats.append(("weights", layer.weight.bits, core.widest_weight_bits))
    sums = core.requantised_bits if layer.out is not None else min(RESULT_BITS, core.sum_bits)
    formats.append(("sums", signed_bits(*_sums(layer, tensors, core)), sums))
    for what, bits, have in formats:
        if bits > have:
            raise InputError(f"{name} has {what} of {bits} bits, the core of at most {have}: {HINT}")


def _sums(layer: LayerSpec, tensors: Tensors, core: CoreSpec) -> tuple[int, int]:
    """The lowest and the highest sum of codes that there can be."""
    if diagonal(layer, core):
        return diagonal_sums(layer, core.array)
    codes = layer.act.max - layer.act.min
    if layer.weight is None:
        return 0, codes * layer.reduction
    weights = decode_weights(weight_matrix(layer, tensors[f"{layer.name}.weight"]), layer.weight)
    low, high = np.minimum(weights, 0).sum(axis=0).min(), np.maximum(weights, 0).sum(axis=0).max()
    return int(low) * codes, int(high) * codes


def diagonal_sums(layer: LayerSpec, array: HardwareSpec) -> tuple[int, int]:
    """The same for a depthwise ``layer``, of whole slices: parts of them are complemented."""
    assert layer.weight is not None
    act, weight = array.act.bits, array.weight.bits
    highest = (1 << -(-layer.act.bits // act) * act) - 1
    most = layer.reduction * highest * ((1 << -(-layer.weight.bits // weight) * weight) - 1)
    return -most, most


def check_constants(layer: LayerSpec, values: dict[str, Int64], core: CoreSpec) -> None:
    """Refuse constants that ``core``'s requantiser cannot hold."""
    spec = core.requantiser
    for name, bits in (
        ("mult", spec.mult_bits),
        ("residual_mult", core.residual_mult_bits),
        ("add", spec.add_bits),
    ):
        end = 1 << (bits - 1)
        if values[name].min() < -end or values[name].max() >= end:
            worst = max(values[name].tolist(), key=abs)
            raise InputError(
                f"layer {layer.name!r} has {name} {worst}, the core's requantiser {bits} bits for it: {HINT}"
            )
    if values["shift"].max() > spec.max_shift:
        raise InputError(
            f"layer {layer.name!r} shifts by {values['shift'].max()}, the core's requantiser by at most "
            f"{spec.max_shift}: {HINT}"
        )


def check_fields(layer: str, fields: Mapping[str, int], core: CoreSpec) -> None:
    """Refuse an operation whose ``fields`` the core's registers cannot hold, or that it is not meant for.

    Signed fields wrap in their registers.
    """
    for number, field in enumerate(FIELDS):
        value = fields[field.name]
        bits = min([field_bits(core, field.name), *core.field_bits[number : number + 1]])
        if not field.signed and value >> bits:
            raise InputError(
                f"layer {layer!r}: {field.name} of an operation is {value}, "
                f"the core has {bits} bits for it: {HINT}"
            )
