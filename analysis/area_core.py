"""Area of a generated core without its memories: the array, and what stands around it.

As ``area``: for each part the counts of ``core_features`` times coefficients in um2, fitted once per cell
library to synthesised cores (``data/core_area_points.csv``, by ``benchmarks/core_area_points.py``, which
writes ``data/core_area_coefficients.csv``). Memories are macros: ``CoreRun.memory_um2`` has their area.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

from pact_hw.errors import InputError
from pact_hw.spec import CoreSpec

from .area import DEFAULT_LIBRARY, array_area
from .area_features import Features, act_sum_bits, code_sum_bits
from .tables import packaged_text

PARTS = ("array", "requantisers", "sums", "loops", "sequencer", "bus")


@dataclass(frozen=True, kw_only=True)
class CoreArea:
    """Of a core, in um2 of ``library``, by part; ``PARTS`` are the names."""

    library: str
    nand2_um2: float
    parts_um2: dict[str, float]

    @property
    def total_um2(self) -> float:
        """All parts."""
        return sum(self.parts_um2.values())

    @property
    def total_ge(self) -> float:
        """The same in gate equivalents."""
        return self.total_um2 / self.nand2_um2


def core_area(core: CoreSpec, library: str = DEFAULT_LIBRARY) -> CoreArea:
    """Area of ``core`` without memories.

    Raises:
        InputError: no coefficients were fitted for this library, or for this kind of core.
    """
    coefficients = _coefficients().get(library)
    if coefficients is None:
        raise InputError(f"core area: library must be one of {', '.join(core_libraries())}, not {library!r}")
    parts = {
        part: sum(value * coefficients[part, name] for name, value in counts.items())
        for part, counts in core_features(core, library).items()
    }
    return CoreArea(library=library, nand2_um2=_bare(core, library)[1], parts_um2=parts)


def core_libraries() -> tuple[str, ...]:
    """The libraries that coefficients of cores were fitted for."""
    return tuple(_coefficients())


@cache
def _coefficients() -> dict[str, dict[tuple[str, str], float]]:
    found: dict[str, dict[tuple[str, str], float]] = {}
    for row in packaged_text("core_area_coefficients.csv"):
        found.setdefault(row["library"], {})[row["part"], row["feature"]] = float(row["um2"])
    return found


def _bare(core: CoreSpec, library: str) -> tuple[float, float]:
    """um2 of the array by itself, and of a NAND2."""
    area = array_area(replace(core.array, requantiser=None), library)
    return area.total_um2, area.nand2_um2


def core_features(core: CoreSpec, library: str) -> dict[str, Features]:
    """The counts that each part's area is a sum of; the array's own area is one of them."""
    array, requantiser, count = core.array, core.requantiser, core.requantisers
    bits = core.requantised_bits
    total = max(bits + requantiser.mult_bits, requantiser.add_bits) + 1
    depths = (core.activation_words, core.patch_words, core.weight_words, core.constant_words)
    address_bits = sum((depth - 1).bit_length() for depth in depths)
    return {
        "array": {
            "array um2": _bare(core, library)[0],
            "shadow bits": array.rows * array.cols * code_sum_bits(array, array.max_reduction),
            "total bits": array.rows * act_sum_bits(array, array.max_reduction),
        },
        "requantisers": {
            "product bits": count
            * (bits * requantiser.mult_bits + requantiser.residual_bits * core.residual_mult_bits),
            "total bits": count * total,
            "shifter bits": count * total * requantiser.shift_bits,
            "constant bits": count * core.channel_constant_bits,
            "waiting bits": array.cols * bits * (count < array.cols),
            "one": 1,
        },
        "sums": {
            "sum bits": array.cols * core.sum_bits,
            "corrected bits": array.cols * array.acc_bits,
            "shifted bits": array.cols
            * core.sum_bits
            * (core.act_planes * core.weight_slices - 1).bit_length(),
            "one": 1,
        },
        "loops": {
            "word bits": core.word_bits,
            "written bits": array.cols * requantiser.level_bits,
            "banks": array.rows,
            "address bits": address_bits,
            "one": 1,
        },
        "sequencer": {"address bits": address_bits, "one": 1},
        "bus": {
            "bus bits": core.bus_bits,
            "widest word bits": max(core.word_bits, core.weight_word_bits, core.constant_word_bits),
            "one": 1,
        },
    }
