"""What a generated array's area is a sum of: counts that follow from its description (``area``)."""

from __future__ import annotations

from pact_hw.spec import Dataflow, HardwareSpec, MacKind, RequantiserKind, RequantiserSpec, WeightEncoding

from .area_composable import composable_control, composable_pe, composable_row

KINDS = ("pe", "row", "requantiser", "control")
PAIR_MIN_BITS, PAIR_MIN_SIDE = 4, 4
"""From where the generator adds lanes in pairs (``rtl_gen.partial_products``; a test compares)."""

Features = dict[str, float]


def instances(spec: HardwareSpec) -> dict[str, int]:
    """How often each kind of module stands in the design."""
    return {
        "pe": spec.rows * spec.cols,
        "row": spec.rows,
        "requantiser": spec.rows if spec.requantiser else 0,
        "control": 1,
    }


def code_sum_bits(spec: HardwareSpec, terms: int) -> int:
    """Bits of a sum of ``terms`` products of an activation and a weight code, both unsigned."""
    return (terms * spec.act.max * spec.weight.levels).bit_length()


def in_pairs(spec: HardwareSpec) -> bool:
    """Whether the generator adds two lanes' activations once per row, and PEs choose among the sums."""
    return (
        _output_stationary(spec)
        and not _composable(spec)
        and spec.act.bits >= PAIR_MIN_BITS
        and spec.weight.bits > 1
        and spec.lanes % 2 == 0
        and min(spec.rows, spec.cols) >= PAIR_MIN_SIDE
    )


def act_sum_bits(spec: HardwareSpec, terms: int) -> int:
    """Bits of a sum of ``terms`` activations."""
    return (terms * spec.act.max).bit_length()


def terms_in_array(spec: HardwareSpec) -> int:
    """The most products that one sum inside the array collects."""
    if _output_stationary(spec):
        return spec.max_reduction
    return min(spec.max_reduction, spec.rows * spec.lanes)


def _odd(spec: HardwareSpec) -> bool:
    return spec.weight.encoding is WeightEncoding.ODD


def _composable(spec: HardwareSpec) -> bool:
    return spec.mac_kind is MacKind.COMPOSABLE


def _output_stationary(spec: HardwareSpec) -> bool:
    return spec.dataflow is Dataflow.OUTPUT_STATIONARY


def _tree_bits(terms: int, bits: list[int]) -> int:
    """Bits of all sums in a balanced tree over ``terms`` terms; ``bits[n]`` is the width of n terms."""
    total, sizes = 0, [1] * terms
    while len(sizes) > 1:
        paired = [a + b for a, b in zip(sizes[::2], sizes[1::2], strict=False)]
        total += sum(bits[size] for size in paired)
        sizes = paired + sizes[len(paired) * 2 :]
    return total


def features(spec: HardwareSpec) -> dict[str, Features]:
    """The counts that each kind of module's area is a sum of."""
    return {
        "pe": _pe(spec),
        "row": _row(spec),
        "requantiser": _requantiser(spec, spec.requantiser) if spec.requantiser else {},
        "control": _control(spec),
    }


def _pe(spec: HardwareSpec) -> Features:
    """Bits to be added take a gate and, nearly one for one, a full adder."""
    act, weight, lanes = spec.act.bits, spec.weight.bits, spec.lanes
    acc = code_sum_bits(spec, terms_in_array(spec))
    if _composable(spec):
        return composable_pe(spec, acc)
    stationary, pairs = not _output_stationary(spec), in_pairs(spec)
    return {
        "product bits": lanes * act * weight * (not pairs),
        "pair bits": lanes // 2 * act * weight * pairs,
        "pair top bits": lanes // 2 * weight * pairs,
        "sum bits": code_sum_bits(spec, lanes),
        "columns": act + weight - 1,
        "accumulator bits": acc * (not stationary),
        "partial sum bits": acc * stationary,
        "stationary weight bits": lanes * weight * stationary,
        "one": 1,
    }


def _row(spec: HardwareSpec) -> Features:
    """A row's own cells, without its PEs (output stationary; else all is in ``control``)."""
    if not _output_stationary(spec):
        return {}
    act, lanes = spec.act.bits, spec.lanes
    widths = [act_sum_bits(spec, terms) for terms in range(lanes + 1)]
    total = act_sum_bits(spec, spec.max_reduction)
    if _composable(spec):
        return composable_row(spec, total)
    return {
        "operand bits": lanes * act,
        "pair sum bits": lanes // 2 * (act + 1) * in_pairs(spec),
        "activation tree bits": _tree_bits(lanes, widths),
        "activation sum bits": widths[lanes],
        "activation total bits": total,
        "corrected bits": spec.acc_bits,
        "excess bits": total * _odd(spec),
        "one": 1,
    }


def _requantiser(spec: HardwareSpec, requantiser: RequantiserSpec) -> Features:
    if requantiser.kind is RequantiserKind.THRESHOLD:
        return _threshold(spec, requantiser)
    acc, mult, residual = spec.acc_bits, requantiser.mult_bits, requantiser.residual_bits
    total = max(acc + mult, requantiser.add_bits) + 1
    return {
        "product bits": acc * mult + residual * mult,
        "multiplier edges": acc + residual + 2 * mult,
        "sum bits": total,
        "shifter bits": total * requantiser.shift_bits,
        "level bits": requantiser.level_bits,
        "output bits": max(requantiser.level_bits, acc),
        "one": 1,
    }


def _threshold(spec: HardwareSpec, requantiser: RequantiserSpec) -> Features:
    """Comparators, the choice among residual levels' thresholds, and the search among comparators."""
    compared = requantiser.steps * spec.acc_bits
    return {
        "compared bits": compared,
        "chosen threshold bits": compared * (requantiser.threshold_sets - 1),
        "searched steps": requantiser.steps,
        "threshold output bits": max(requantiser.level_bits, spec.acc_bits),
        "threshold one": 1,
    }


def _control(spec: HardwareSpec) -> Features:
    """What is there once: registers of shared operands, counters, handshakes; the requantisers' pipeline.

    Weight stationary: the skew, the sums of activations beside the columns, and every correction too.
    """
    shared = _shared(spec, spec.requantiser)
    act, weight, lanes, rows, cols = spec.act.bits, spec.weight.bits, spec.lanes, spec.rows, spec.cols
    if _composable(spec):
        return {**composable_control(spec), **shared}
    if _output_stationary(spec):
        return {
            "weight register bits": cols * lanes * weight,
            "choice bits": cols * lanes // 2 * weight * in_pairs(spec),
            "counter bits": (cols - 1).bit_length(),
            "output stationary": 1.0,
            **shared,
        }
    widths = [act_sum_bits(spec, terms) for terms in range(lanes + 1)]
    total = act_sum_bits(spec, terms_in_array(spec))
    return {
        "skew bits": rows * (rows + 1) // 2 * lanes * act,
        "tally tree bits": rows * _tree_bits(lanes, widths),
        "tally bits": rows * total,
        "column corrected bits": cols * spec.acc_bits,
        "column excess bits": total * _odd(spec),
        "row stages": rows,
        "weight stationary": 1.0,
        **shared,
    }


def _shared(spec: HardwareSpec, requantiser: RequantiserSpec | None) -> Features:
    """What all requantisers share: the registers in which constants wait for their stage."""
    if requantiser is None:
        return {"scale bits": 0, "residual bits": 0, "requantised": 0.0}
    if requantiser.kind is RequantiserKind.THRESHOLD:
        return {"threshold residual bits": spec.rows * requantiser.residual_bits, "by thresholds": 1.0}
    scale = requantiser.mult_bits + requantiser.add_bits + requantiser.shift_bits + requantiser.level_bits
    return {
        "scale bits": scale,
        "residual bits": spec.rows * requantiser.residual_bits,
        "requantised": 1.0,
    }
