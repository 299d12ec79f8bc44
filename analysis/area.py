"""Area of a generated array, from its structure, with coefficients fitted to synthesis.

For each kind of module (a PE, a row, a requantiser, the rest once a design) the area is a sum of
*features*, counts that follow from the description (bits that are multiplied, bits of adders in the tree,
registers), times non-negative coefficients in um2. The coefficients are fitted once per cell library to
synthesised designs (``data/area_points.csv``, by ``benchmarks/area_fit.py``) and stand in
``data/area_coefficients.csv``; other designs, held out of the fit, say how well it predicts (docs/models.md).
What is counted is what synthesis counts: cells before placement, without wires, clock tree or scan.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from pact_hw.errors import InputError
from pact_hw.spec import (
    Dataflow,
    Drain,
    HardwareSpec,
    MacKind,
    RequantiserKind,
    RequantiserSpec,
    WeightEncoding,
)

from .tables import packaged_text

DEFAULT_LIBRARY = "asap7"
KINDS = ("pe", "row", "requantiser", "control")
PAIR_MIN_BITS, PAIR_MIN_SIDE = 4, 4
"""From where the generator adds lanes in pairs (``rtl_gen.partial_products``; a test compares)."""

Features = dict[str, float]


@dataclass(frozen=True, kw_only=True)
class ArrayArea:
    """A whole design, by what it is for, in um2 of ``library``."""

    library: str
    nand2_um2: float
    pes_um2: float
    """Multipliers, trees, accumulators (weight stationary: and weights)."""
    rows_um2: float
    """Operand registers of the rows; for odd weights, sums of activations and their correction."""
    requantisers_um2: float
    control_um2: float
    """Everything that is there once: weight registers or skew, control, streams."""
    macs_per_cycle: int

    @property
    def total_um2(self) -> float:
        """The whole design."""
        return self.pes_um2 + self.rows_um2 + self.requantisers_um2 + self.control_um2

    @property
    def total_ge(self) -> float:
        """The whole design in gate equivalents: the library's smallest NAND2 is 1."""
        return self.total_um2 / self.nand2_um2

    @property
    def ge_per_mac(self) -> float:
        """Gate equivalents over multiply-accumulates per cycle."""
        return self.total_ge / self.macs_per_cycle

    @property
    def um2_per_mac(self) -> float:
        """The whole design over multiply-accumulates per cycle."""
        return self.total_um2 / self.macs_per_cycle


def array_area(spec: HardwareSpec, library: str = DEFAULT_LIBRARY) -> ArrayArea:
    """Area of the design of ``spec``, with its requantisers if it has any.

    Raises:
        InputError: no coefficients were fitted for this library, or for this kind of array.
    """
    coefficients, nand2 = _coefficients(library)
    _check_kind(spec)
    counts = instances(spec)
    parts = {
        kind: counts[kind] * sum(value * coefficients.get((kind, name), 0.0) for name, value in found.items())
        for kind, found in features(spec).items()
    }
    return ArrayArea(
        library=library,
        nand2_um2=nand2,
        pes_um2=parts["pe"],
        rows_um2=parts["row"],
        requantisers_um2=parts["requantiser"],
        control_um2=parts["control"],
        macs_per_cycle=spec.macs_per_cycle,
    )


def _check_kind(spec: HardwareSpec) -> None:
    kinds = [spec.mac_kind.value] + ([spec.requantiser.kind.value] if spec.requantiser else [])
    if not {*kinds} <= {MacKind.FIXED.value, RequantiserKind.MULTIPLY_SHIFT.value}:
        raise InputError(
            f"the area model knows fixed arrays and multiply-shift requantisers, not {' with '.join(kinds)}: "
            "synthesise it"
        )
    for what, value, known in (
        ("tree_stages", spec.tree_stages, 0),
        ("pipeline", spec.pipeline, 0),
        ("drain", spec.drain.value, Drain.SHIFT.value),
    ):
        if value != known:
            raise InputError(f"the area model knows arrays with {what} {known}, not {value}: synthesise it")


@cache
def _tables() -> tuple[dict[str, dict[tuple[str, str], float]], dict[str, float]]:
    libraries: dict[str, dict[tuple[str, str], float]] = {}
    nand2: dict[str, float] = {}
    for row in packaged_text("area_coefficients.csv"):
        if row["module"] == "nand2":
            nand2[row["library"]] = float(row["um2"])
        else:
            libraries.setdefault(row["library"], {})[row["module"], row["feature"]] = float(row["um2"])
    return libraries, nand2


def libraries() -> tuple[str, ...]:
    """The libraries that coefficients were fitted for."""
    return tuple(_tables()[0])


def _coefficients(library: str) -> tuple[dict[tuple[str, str], float], float]:
    tables, nand2 = _tables()
    if library not in tables:
        raise InputError(f"library must be one of {', '.join(tables)}, not {library!r}")
    return tables[library], nand2[library]


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


def _control(spec: HardwareSpec) -> Features:
    """What is there once: registers of shared operands, counters, handshakes; the requantisers' pipeline.

    Weight stationary: the skew, the sums of activations beside the columns, and every correction too.
    """
    requantiser = spec.requantiser
    scale = (
        requantiser.mult_bits + requantiser.add_bits + requantiser.shift_bits + requantiser.level_bits
        if requantiser
        else 0
    )
    shared = {
        "scale bits": scale,
        "residual bits": spec.rows * requantiser.residual_bits if requantiser else 0,
        "requantised": float(requantiser is not None),
    }
    act, weight, lanes, rows, cols = spec.act.bits, spec.weight.bits, spec.lanes, spec.rows, spec.cols
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
