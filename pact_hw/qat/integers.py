"""A quantised network as integers: weight codes, and proved requantiser constants."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from ..network_files import Arrays
from ..progress import SILENT, Progress
from ..spec import LayerSpec, NetworkSpec, RequantiserSpec, signed_bits
from .folding import accumulator_intervals, fold
from .layers import QuantConv2d, QuantLinear
from .networks import Network
from .requantiser_proof import prove
from .requantiser_search import Constants, search
from .staircase import check_size, staircase
from .structure import level_value, network_spec

WIDEST = RequantiserSpec(mult_bits=48, add_bits=62, max_shift=60, level_bits=16, residual_bits=16)
"""The limits of the search where none are given; the network then says what it needs."""


def _bits(*values: npt.NDArray[np.int64]) -> int:
    return max(signed_bits(int(v.min()), int(v.max())) for v in values)


def _residual_max(layer: LayerSpec) -> int:
    return 0 if layer.residual_act is None else layer.residual_act.max


def _requantiser(
    network: Network, spec: LayerSpec, codes: npt.NDArray[np.int64], widths: RequantiserSpec
) -> tuple[Constants, dict[str, Any]]:
    """The proved constants of one layer, and what their proof needed."""
    assert spec.out is not None
    assert spec.weight is not None
    affines = fold(
        network.layer(spec.name),
        out_value=level_value(network, spec.name),
        act_value=level_value(network, spec.source),
        weight=spec.weight,
        residual_value=Fraction(0) if spec.residual is None else level_value(network, spec.residual),
    )
    intervals = accumulator_intervals(codes, spec.weight, spec.act)
    stairs = [
        staircase(affine, interval, limit=spec.out.max, residual_max=_residual_max(spec))
        for affine, interval in zip(affines, intervals, strict=True)
    ]
    constants = search(spec.name, affines, stairs, widths)
    return constants, {
        "channels": spec.out_channels,
        "thresholds_checked": prove(spec.name, constants, stairs, widths),
        "lowest_accumulator": min(low for low, _ in intervals),
        "highest_accumulator": max(high for _, high in intervals),
        "widest_mult_bits": _bits(constants.mult, constants.residual_mult),
        "widest_add_bits": _bits(constants.add),
        "widest_shift": int(constants.shift.max()),
    }


def to_integers(
    network: Network, widths: RequantiserSpec = WIDEST, progress: Progress = SILENT
) -> tuple[NetworkSpec, Arrays, dict[str, dict[str, Any]]]:
    """``network`` as integers, and for each requantised layer what the proof found.

    Raises:
        InputError: a layer has no exact requantiser within ``widths``; it is named.
    """
    spec = network_spec(network)
    for layer in spec.layers:
        if layer.out is not None:
            check_size(layer.name, limit=layer.out.max, residual_max=_residual_max(layer))
    tensors: Arrays = {}
    proofs: dict[str, dict[str, Any]] = {}
    with progress.task("find and prove requantisers", total=len(spec.layers)) as advance:
        for layer in spec.layers:
            operation = network.layer(layer.name).operation
            assert isinstance(operation, QuantConv2d | QuantLinear)
            codes = tensors[f"{layer.name}.weight"] = operation.codes().numpy()
            if layer.out is not None:
                constants, proofs[layer.name] = _requantiser(network, layer, codes, widths)
                names = ("mult", "add", "shift", *(("residual_mult",) if layer.residual else ()))
                tensors |= {f"{layer.name}.{name}": getattr(constants, name) for name in names}
            advance(1)
    return spec, tensors, proofs
