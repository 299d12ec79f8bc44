"""What a simulation found."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from pact_hw.spec import HardwareSpec, schedule

from .vectors import PLAIN


@dataclass(frozen=True, kw_only=True)
class Mismatch:
    """The first difference of a product: where, what the reference says, what the array gave."""

    where: str
    expected: int
    got: int

    def __str__(self) -> str:
        return f"{self.where}: expected {self.expected}, got {self.got}"


@dataclass(frozen=True, kw_only=True)
class ProductResult:
    """One product in one scenario (``sim.vectors``: plain, reset, stalls)."""

    name: str
    scenario: str
    stalls: float
    m: int
    k: int
    n: int
    mode_bits: int | None
    """Width of the operands that a composable array was set to."""
    cycles: int
    predicted_cycles: int
    utilisation: float
    """Useful MACs over the array's peak in the cycles measured."""
    values_compared: int
    """Every value that left the array: with padding and, weight stationary, every partial sum."""
    mismatches: int
    first_mismatch: Mismatch | None

    @property
    def problem(self) -> str | None:
        """One line that says what is wrong, or None. Cycles are exact where nothing stalls."""
        if self.mismatches:
            return f"product {self.name!r} ({self.scenario}), {self.first_mismatch}"
        if not self.stalls and self.cycles != self.predicted_cycles:
            return (
                f"product {self.name!r} ({self.scenario}): took {self.cycles} cycles, "
                f"the schedule says {self.predicted_cycles}"
            )
        return None


@dataclass(frozen=True, kw_only=True)
class SimulationReport:
    """Every product in every scenario."""

    design: str
    hardware_digest: str
    results: tuple[ProductResult, ...]
    simulated_cycles: int
    """Clock cycles that the simulator ran, resets and stalls included."""
    seconds: float
    """Wall time of these cycles."""
    files: tuple[str, ...] = ()
    """Waveform and save file, if asked for."""

    @property
    def values_compared(self) -> int:
        """Over all results."""
        return sum(result.values_compared for result in self.results)

    @property
    def mismatches(self) -> int:
        """Over all results."""
        return sum(result.mismatches for result in self.results)

    @property
    def cycles(self) -> int:
        """Measured, of the products as asked for (``plain``)."""
        return sum(result.cycles for result in self.results if result.scenario == PLAIN)

    @property
    def predicted_cycles(self) -> int:
        """Of the same products; equal to ``cycles`` without stalls."""
        return sum(result.predicted_cycles for result in self.results if result.scenario == PLAIN)

    @property
    def problems(self) -> list[str]:
        """One line for every result that is not as it must be; the first one is the first mismatch."""
        return [result.problem for result in self.results if result.problem is not None]

    @property
    def passed(self) -> bool:
        """Every value right, and every unstalled product in exactly the predicted cycles."""
        return bool(self.results) and not self.problems

    def to_json(self) -> dict[str, Any]:
        """Plain JSON members."""
        return {
            "design": self.design,
            "digest": self.hardware_digest,
            "passed": self.passed,
            "values_compared": self.values_compared,
            "mismatches": self.mismatches,
            "cycles": self.cycles,
            "predicted_cycles": self.predicted_cycles,
            "simulated_cycles": self.simulated_cycles,
            "seconds": self.seconds,
            "problems": self.problems,
            "products": [asdict(result) for result in self.results],
            "files": list(self.files),
        }


def result_from_bench(spec: HardwareSpec, members: dict[str, Any]) -> ProductResult:
    """One entry of the bench's ``results``."""
    mode = spec.in_mode(members["mode_bits"])
    plan = schedule(mode, m=members["m"], k=members["k"], n=members["n"])
    first = members["first_mismatch"]
    cycles = members["cycles"]
    return ProductResult(
        name=members["name"],
        scenario=members["scenario"],
        stalls=members["stalls"],
        m=members["m"],
        k=members["k"],
        n=members["n"],
        mode_bits=members["mode_bits"],
        cycles=cycles,
        predicted_cycles=plan.cycles,
        utilisation=plan.macs / (max(1, cycles) * mode.macs_per_cycle),
        values_compared=members["values_compared"],
        mismatches=members["mismatches"],
        first_mismatch=None if first is None else Mismatch(**first),
    )
