"""Area of a generated array, from its structure, with coefficients fitted to synthesis.

For each kind of module (a PE, a row, a requantiser, the rest once a design) the area is a sum of
*features* (``area_features``), counts that follow from the description (bits that are multiplied,
registers), times non-negative coefficients in um2. The coefficients are fitted once per cell library to
synthesised designs (``data/area_points.csv``, by ``benchmarks/area_fit.py``) and stand in
``data/area_coefficients.csv``; other designs, held out of the fit, say how well it predicts (docs/models.md).
What is counted is what synthesis counts: cells before placement, without wires, clock tree or scan.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from pact_hw.errors import InputError
from pact_hw.spec import Drain, HardwareSpec, MacKind

from .area_features import features, instances
from .tables import packaged_text

DEFAULT_LIBRARY = "asap7"


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
        kind: counts[kind] * _area(coefficients, kind, found, library)
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


def _area(
    coefficients: dict[tuple[str, str], float], kind: str, found: dict[str, float], library: str
) -> float:
    """um2 of one module of ``kind``. What has no coefficient is an error, never 0."""
    for name, value in found.items():
        if value and (kind, name) not in coefficients:
            raise InputError(f"the area model has no {name!r} of a {kind} in {library}: synthesise it")
    return sum(value * coefficients.get((kind, name), 0.0) for name, value in found.items())


def _check_kind(spec: HardwareSpec) -> None:
    if spec.mac_kind is MacKind.BIT_SERIAL:
        raise InputError("the area model knows fixed and composable arrays, not bit-serial: synthesise it")
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
