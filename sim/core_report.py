"""What a simulation of a whole core found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .core_check import LayerResult


@dataclass(frozen=True, kw_only=True)
class CoreReport:
    """All layers of all images; the layers' results are summed up over the images."""

    design: str
    core_digest: str
    network: str
    network_digest: str
    images: int
    layers: tuple[LayerResult, ...]
    problems: tuple[str, ...]
    """One line for each image that is not as it must be, the first difference."""
    classes: tuple[int, ...] | None
    """The class of each image, where the run went to the logits."""
    predicted_seconds: float
    simulated_cycles: int
    seconds: float
    """Wall time of these cycles."""
    files: tuple[str, ...] = ()

    @property
    def cycles_per_second(self) -> float:
        """Simulated."""
        return self.simulated_cycles / self.seconds

    @property
    def macs_per_second(self) -> float:
        """Useful ones, simulated."""
        return sum(layer.macs for layer in self.layers) / self.seconds

    def to_json(self) -> dict[str, Any]:
        """Plain JSON members."""
        return {
            "design": self.design,
            "digest": self.core_digest,
            "network": self.network,
            "network_digest": self.network_digest,
            "passed": not self.problems,
            "images": self.images,
            "values_compared": sum(layer.values for layer in self.layers),
            "mismatches": sum(layer.mismatches for layer in self.layers),
            "cycles": sum(layer.cycles for layer in self.layers),
            "predicted_cycles": sum(layer.predicted_cycles for layer in self.layers),
            "stalls": sum(layer.stalls for layer in self.layers),
            "macs": sum(layer.macs for layer in self.layers),
            "classes": None if self.classes is None else list(self.classes),
            "problems": list(self.problems),
            "layers": [asdict(layer) for layer in self.layers],
            "predicted_seconds": self.predicted_seconds,
            "simulated_cycles": self.simulated_cycles,
            "seconds": self.seconds,
            "cycles_per_second": self.cycles_per_second,
            "macs_per_second": self.macs_per_second,
            "files": list(self.files),
        }


def summed(images: Sequence[Sequence[LayerResult]]) -> tuple[LayerResult, ...]:
    """The layers' results over all images; the first difference is that of the first image with one."""

    def one(results: Sequence[LayerResult]) -> LayerResult:
        totals = ("values", "mismatches", "cycles", "predicted_cycles", "stalls", "macs")
        return LayerResult(
            name=results[0].name,
            first=next((result.first for result in results if result.first is not None), None),
            **{name: sum(getattr(result, name) for result in results) for name in totals},
        )

    return tuple(one(results) for results in zip(*images, strict=True))
