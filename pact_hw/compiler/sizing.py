"""The smallest core for a network, around a given array."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..golden.network import Tensors
from ..spec import (
    MAX_BITS,
    ActFormat,
    HardwareSpec,
    LayerSpec,
    NetworkSpec,
    RequantiserSpec,
    WeightFormat,
    accumulator_range,
    signed_bits,
)
from ..spec.core import CoreSpec, Depthwise
from ..spec.program import FIELDS, WORDS, Opcode
from .as_products import as_products
from .compile import compile_network
from .compiled import Compiled
from .limits import diagonal_sums
from .lowering import lower
from .modes import weight_bits
from .slots import diagonal
from .work import Work

_MOST = 1 << 24
_WIDEST = RequantiserSpec(mult_bits=56, add_bits=62, max_shift=60, level_bits=16, residual_bits=16)


def core_for(
    network: NetworkSpec,
    tensors: Tensors,
    array: HardwareSpec,
    *,
    bus_bits: int = 64,
    requantisers: int = 0,
    depthwise: Depthwise = Depthwise.NONE,
    bus_limited: bool = True,
) -> CoreSpec:
    """A core that runs ``network``: ``array`` with the requantiser, the widths and the buffers that it takes.

    The patch buffer is the smallest with which the predicted time is within 1 % of the best; weights and
    constants are double-buffered.

    Raises:
        InputError: no core with such an array runs the network.
    """
    network, tensors = as_products(network, tensors, array)
    layers = network.layers
    levels = [x.act.bits for x in layers] + [x.out.bits for x in layers if x.out is not None]
    widest = max([array.act.bits, *levels])
    weights = max([array.weight.bits, *(min(MAX_BITS, weight_bits(x, array)) for x in layers)])
    beat = array.in_mode(array.modes[-1]).lanes if array.modes else 1
    reduction = max(beat, *(layer.reduction for layer in layers))
    roomy = CoreSpec(
        array=replace(array, requantiser=_WIDEST, max_reduction=reduction, acc_bits=0),
        widest_act_bits=widest,
        widest_weight_bits=weights,
        activation_words=_MOST, patch_words=1 << 16, weight_words=_MOST, constant_words=_MOST,
        program_words=_MOST, bus_bits=bus_bits, requantisers=requantisers,
        depthwise=depthwise, sum_bits=62,
    )  # fmt: skip
    works = lower(network, tensors, roomy).works
    sums = [(layer.out is not None, signed_bits(*_sums(layer, roomy))) for layer in layers]
    requantised = max(roomy.array.acc_bits, *(bits for written, bits in sums if written), 0)
    core = replace(
        roomy,
        array=replace(roomy.array, requantiser=_requantiser(works, layers, widest)),
        residual_mult_bits=_bits(works, "residual_mult"),
        sum_bits=max(requantised, *(bits for _, bits in sums)),
        requantised_bits=requantised,
        weight_words=_power(2 * max(work.tile_weights for work in works)),
        constant_words=_power(2 * max((x.n_tiles for x in works if x.constants is not None), default=0)),
    )
    return _with_patches(network, tensors, core, works, bus_limited)


def _sums(layer: LayerSpec, core: CoreSpec) -> tuple[int, int]:
    """The lowest and the highest sum of codes that ``layer``'s formats allow."""
    if diagonal(layer, core):
        return diagonal_sums(layer, core.array)
    act, weight = ActFormat(bits=layer.act.bits), layer.weight or WeightFormat(bits=1)
    return accumulator_range(act, weight, layer.reduction)


def _power(words: int) -> int:
    return max(16, 1 << max(0, words - 1).bit_length())


def _bits(works: list[Work], name: str) -> int:
    """Of the constants called ``name``."""
    found = [getattr(work.constants, name) for work in works if work.constants is not None]
    ends = [int(end) for values in found for end in (values.min(), values.max())]
    return max(2, signed_bits(min([0, *ends]), max([0, *ends])))


def _requantiser(works: list[Work], layers: Sequence[LayerSpec], level_bits: int) -> RequantiserSpec:
    shifts = [int(work.constants.shift.max()) for work in works if work.constants is not None]
    return RequantiserSpec(
        mult_bits=_bits(works, "mult"),
        add_bits=_bits(works, "add"),
        max_shift=max([0, *shifts]),
        level_bits=level_bits,
        residual_bits=max([1, *(layer.residual_act.bits for layer in layers if layer.residual_act)]),
    )


def _time(compiled: Compiled, bus_limited: bool) -> int:
    """Cycles of an image, of each layer the larger of the array's and the bus's."""
    bus = compiled.core.bus_bits // 8 if bus_limited else 1 << 62
    return sum(max(layer.cycles, layer.bytes_in // bus) for layer in compiled.layers)


def _with_patches(
    network: NetworkSpec, tensors: Tensors, core: CoreSpec, works: list[Work], bus_limited: bool
) -> CoreSpec:
    """``core`` with patch buffer and activation buffer as large as they pay."""
    matrices = [work for work in works if work.opcode == Opcode.MATRIX]
    pixels = [w.source.words * (1 if w.skip > 1 else w.y.kernel * w.x.kernel) for w in matrices]
    words = _power(max(pixels, default=0))
    best = compile_network(network, tensors, core, bus_limited=bus_limited)
    while True:
        found = replace(core, patch_words=words)
        compiled = compile_network(network, tensors, found, bus_limited=bus_limited)
        if _time(compiled, bus_limited) <= 1.01 * _time(best, bus_limited) or words >= core.patch_words:
            return replace(
                found,
                activation_words=max(16, compiled.activation_words),
                program_words=_power((len(compiled.operations) + 1) * WORDS),
            )
        words *= 2


def with_fields_for(
    network: NetworkSpec, tensors: Tensors, core: CoreSpec, *, bus_limited: bool = True
) -> CoreSpec:
    """``core`` with fields of operations no wider than ``network``'s program has them."""
    operations = compile_network(network, tensors, core, bus_limited=bus_limited).operations
    most = {field.name: max(fields[field.name] for fields in operations) for field in FIELDS}
    bits = (field.bits if field.signed else max(1, most[field.name].bit_length()) for field in FIELDS)
    return replace(core, field_bits=tuple(bits))
