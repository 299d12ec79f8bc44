"""What ``proofs`` proves: blocks, widths, definitions."""

from collections.abc import Iterator
from dataclasses import dataclass

import definitions
from stream_rules import streams as streams_of

from pact_hw.spec import (
    ActFormat,
    Drain,
    HardwareSpec,
    MacKind,
    RequantiserKind,
    RequantiserSpec,
    WeightEncoding,
    WeightFormat,
)

ODD = WeightEncoding.ODD
AT_ONCE, STEP, BOUNDED = "at once", "next state", "bounded"


@dataclass(frozen=True, kw_only=True)
class Proof:
    """``fail`` of ``verilog`` (with the design of ``spec``) is never 1.

    AT_ONCE: registers are wires, so that a pipeline is one function. STEP: in the next state, from any
    state in which it is not. BOUNDED: in the first ``cycles`` after a reset.
    """

    block: str
    widths: str
    spec: HardwareSpec
    verilog: str
    method: str
    cycles: int = 1
    quick: bool = False


def array(act: int, weight: int, encoding: WeightEncoding = ODD, **more: object) -> HardwareSpec:
    members = {"rows": 1, "cols": 1, "lanes": 1, "max_reduction": 40, "name": "dut", **more}
    weights = WeightFormat(bits=weight, encoding=encoding)
    return HardwareSpec(act=ActFormat(bits=act), weight=weights, **members)  # type: ignore[arg-type]


def proofs() -> list[Proof]:
    """Everything that is proved, quick ones first."""
    found = [*sums(), *corrections(), *requantisers(), *streams()]
    return sorted(found, key=lambda proof: not proof.quick)


def sums() -> Iterator[Proof]:
    """Processing elements: the body that synthesis gets."""
    shapes = [(1, 1, 8), (2, 2, 4), (4, 4, 1), (3, 3, 2), (1, 1, 16), (3, 2, 3), (8, 2, 1), (2, 8, 1)]
    for act, weight, lanes in [*shapes, (5, 5, 1), (6, 6, 1), (2, 2, 6)]:
        spec = array(act, weight, lanes=lanes)
        yield Proof(
            block="product sum",
            widths=f"{act}x{weight}, {lanes} lanes",
            spec=spec,
            verilog=definitions.product_sum(spec),
            method=STEP,
            quick=(act, weight, lanes) in ((1, 1, 8), (4, 4, 1)),
        )
    for weight, lanes in ((1, 8), (2, 4), (3, 2), (4, 1), (4, 2), (8, 1), (2, 8), (1, 16)):
        spec = array(4, weight, lanes=lanes, mac_kind=MacKind.BIT_SERIAL)
        yield Proof(
            block="bit-serial product sum",
            widths=f"weights of {weight} bits, {lanes} lanes",
            spec=spec,
            verilog=definitions.serial_sum(spec),
            method=STEP,
            quick=(weight, lanes) == (4, 1),
        )
    for bits, narrowest, lanes in ((4, 2, 1), (4, 2, 2), (8, 4, 1), (8, 2, 1)):
        spec = array(bits, bits, lanes=lanes, mac_kind=MacKind.COMPOSABLE, narrowest_bits=narrowest)
        for mode in spec.modes:
            yield Proof(
                block="composable product sum",
                widths=f"{bits}x{bits} down to {narrowest}x{narrowest}, {lanes} lanes, set to {mode}",
                spec=spec,
                verilog=definitions.composable(spec, mode),
                method=STEP,
                quick=(bits, lanes, mode) == (4, 1, 4),
            )


def corrections() -> Iterator[Proof]:
    """What codes stand for: the correction alone, and whole arrays of one PE."""
    for encoding in WeightEncoding:
        for act, weight in ((1, 1), (2, 2), (3, 3), (4, 4), (5, 3), (8, 8), (4, 8), (8, 4), (16, 16)):
            # Lanes enough for the stand-ins' operands to reach every number.
            spec = array(act, weight, encoding, lanes=32, max_reduction=4608)
            yield Proof(
                block=f"correction, {encoding.value}",
                widths=f"{act}x{weight}, 4608 products",
                spec=spec,
                verilog=definitions.correction(spec),
                method=AT_ONCE,
                quick=act == weight == 2 and encoding is ODD,
            )
        for act, weight in ((1, 1), (2, 2), (3, 3), (2, 4), (4, 2), (4, 4)):
            spec = array(act, weight, encoding, max_reduction=3)
            yield Proof(
                block=f"one-PE array, {encoding.value}",
                widths=f"{act}x{weight}, tiles of up to 3 beats, 10 cycles",
                spec=spec,
                verilog=definitions.corrected(spec),
                method=BOUNDED,
                cycles=10,
                quick=act == weight == 1 and encoding is ODD,
            )
        for bits, mode in ((4, 4), (4, 2), (8, 2)):
            lanes = (bits // 2) ** 2
            spec = array(bits, bits, encoding, max_reduction=2 * lanes, mac_kind=MacKind.COMPOSABLE)
            yield Proof(
                block=f"one-PE composable array, {encoding.value}",
                widths=f"{bits}x{bits} set to {mode}, tiles of up to {2 * lanes} products, 8 cycles",
                spec=spec,
                verilog=definitions.corrected(spec, mode),
                method=BOUNDED,
                cycles=8,
            )


def requantisers() -> Iterator[Proof]:
    """Both kinds, from sum and constants to the level."""
    for level, mult, residual in ((4, 16, 0), (2, 8, 2), (4, 24, 4), (8, 24, 8), (8, 32, 8)):
        requantiser = RequantiserSpec(level_bits=level, mult_bits=mult, residual_bits=residual)
        spec = array(4, 4, requantiser=requantiser, max_reduction=4608)
        yield Proof(
            block="multiply-shift requantiser",
            widths=f"{spec.acc_bits}-bit sums, {mult}-bit multipliers, {residual}-bit residuals, "
            f"{level}-bit levels",
            spec=spec,
            verilog=definitions.multiply_shift(spec),
            method=AT_ONCE,
            quick=mult == 16,
        )
    for level, residual in ((1, 0), (2, 0), (2, 2), (3, 0), (4, 0), (3, 2), (5, 0), (4, 2)):
        requantiser = RequantiserSpec(
            kind=RequantiserKind.THRESHOLD, level_bits=level, residual_bits=residual
        )
        spec = array(4, 4, requantiser=requantiser, max_reduction=4608)
        yield Proof(
            block="threshold requantiser",
            widths=f"{spec.acc_bits}-bit sums, {residual}-bit residuals, {level}-bit levels",
            spec=spec,
            verilog=definitions.threshold(spec),
            method=AT_ONCE,
            quick=(level, residual) == (2, 0),
        )


def streams() -> Iterator[Proof]:
    """Rules of the streams: held until taken, nothing lost, nothing twice."""
    kinds = {
        "output-stationary array": None,
        "array with multiply-shift": RequantiserSpec(
            mult_bits=2, add_bits=2, max_shift=1, level_bits=1, residual_bits=0
        ),
        "array with thresholds": RequantiserSpec(
            kind=RequantiserKind.THRESHOLD, level_bits=1, residual_bits=0
        ),
    }
    for name, kind in kinds.items():
        for cols, cycles in ((1, 12), (2, 16), (3, 20)):
            spec = array(1, 1, cols=cols, requantiser=kind, max_reduction=3)
            yield Proof(
                block=f"streams of the {name}",
                widths=f"{cols} columns, {cycles} cycles",
                spec=spec,
                verilog=streams_of(spec),
                method=BOUNDED,
                cycles=cycles,
                quick=cols == 2 and kind is None,
            )
    others: dict[str, dict[str, object]] = {
        "bit-serial array": {"mac_kind": MacKind.BIT_SERIAL},
        "systolic array": {"pipeline": 1, "rows": 2},
        "systolic array with a wide drain": {"pipeline": 1, "rows": 2, "drain": Drain.WIDE},
        "array with a wide drain": {"drain": Drain.WIDE},
    }
    for name, more in others.items():
        spec = array(1, 1, cols=2, max_reduction=3, **more)
        yield Proof(
            block=f"streams of the {name}",
            widths="2 columns, 16 cycles",
            spec=spec,
            verilog=streams_of(spec),
            method=BOUNDED,
            cycles=16,
        )
