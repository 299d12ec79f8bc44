"""Area of one requantiser of each kind, by width, and which is the smaller.

    python benchmarks/requantiser_area.py LIBERTY [--bits 1 2 3 4 5 6 8] [--residuals 0 1 2 3 4]

The constants of ``pact_hw.spec.requantiser_area`` are fitted to what this prints.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from analysis.synthesis import synthesise
from pact_hw.errors import InputError
from pact_hw.files import write_json, write_text
from pact_hw.spec import (
    ActFormat,
    HardwareSpec,
    RequantiserKind,
    RequantiserSpec,
    WeightFormat,
    requantiser_um2,
)
from rtl_gen.emit import write_design

MULT_BITS = {1: 16, 2: 16, 3: 20, 4: 24}
"""Multipliers that are exact (docs/conversion.md); 24 from 4 bits on."""


def spec_of(bits: int, residual: int, kind: RequantiserKind) -> HardwareSpec:
    requantiser = RequantiserSpec(
        kind=kind, level_bits=bits, residual_bits=residual, mult_bits=MULT_BITS.get(bits, 24)
    )
    return HardwareSpec(
        act=ActFormat(bits=bits),
        weight=WeightFormat(bits=bits),
        rows=1,
        cols=1,
        lanes=1,
        name="one",
        requantiser=requantiser,
    )


def measured(spec: HardwareSpec, liberty: Path, cache: Path) -> float:
    """um2 of one requantiser."""
    kept = cache / f"{spec.digest}.json"
    if not kept.is_file():
        with tempfile.TemporaryDirectory() as folder:
            write_json(kept, synthesise(write_design(spec, Path(folder)), [liberty], timeout=900))
    modules = json.loads(kept.read_text())["modules"]
    return float(next(module["area_um2"] for module in modules if module["name"] == "one_requantiser"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("liberty", type=Path)
    parser.add_argument("--bits", type=int, nargs="*", default=[1, 2, 3, 4, 5, 6, 8])
    parser.add_argument("--residuals", type=int, nargs="*", default=[0, 1, 2, 3, 4])
    parser.add_argument("--cache", type=Path, default=Path("out/requantiser_area_cache"))
    parser.add_argument("--out", type=Path, default=Path("out/requantiser_area.md"))
    arguments = parser.parse_args()
    lines = ["| level bits | residual bits | kind | um2 | by the formula |", "|---|---|---|---|---|"]
    for residual in arguments.residuals:
        for bits in arguments.bits:
            for kind in RequantiserKind:
                try:
                    spec = spec_of(bits, residual, kind)
                except InputError:
                    continue  # too many thresholds
                found, formula = measured(spec, arguments.liberty, arguments.cache), requantiser_um2(spec)
                lines.append(f"| {bits} | {residual} | {kind.value} | {found:.1f} | {formula:.1f} |")
                print(lines[-1], file=sys.stderr)
    text = "\n".join(lines) + "\n"
    write_text(arguments.out, text)
    print(text)


if __name__ == "__main__":
    main()
