"""Area of whole arrays in real cell libraries, per MAC: the table of docs/hardware.md.

    python benchmarks/area.py asap7=asap7.lib.gz [--full] [--peers PEERS.csv] [--out out/area.json]

Arrays of 8 x 8 PEs with exact accumulators for 4608 products, ODD weights: registers, accumulators,
correction and control all counted, before placement. Widths 1, 2, 3, 4, 8, 16 at 16 lanes and 1;
``--full``: widths 5, 6, 12 and 8 and 32 lanes as well. An answer that was given before (same Verilog,
library and recipe) is taken from ``--cache``, so that a broken run goes on.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import sys
import tempfile
from pathlib import Path

import analysis.synthesis
from analysis.synthesis import synthesise
from analysis.synthesis.recipe import FULL_ADDERS
from pact_hw.files import write_json, write_text
from pact_hw.spec import ActFormat, HardwareSpec, WeightFormat
from rtl_gen.emit import write_design

# Full adder, AND and flip-flop of ASAP7 (FAx1, AND2x2, DFFHQNx1), um2.
FULL_ADDER, AND, FLIP_FLOP = 0.20412, 0.08748, 0.2916


def spec(bits: int, lanes: int) -> HardwareSpec:
    return HardwareSpec(
        act=ActFormat(bits=bits), weight=WeightFormat(bits=bits), rows=8, cols=8, lanes=lanes, name="array"
    )


def floor_um2(bits: int, lanes: int) -> float:
    """A PE of one AND for each product bit, one full adder for each bit but the accumulator's, registers."""
    products = lanes * bits * bits
    acc = (4608 * ((1 << bits) - 1) ** 2).bit_length()
    return (products * (AND + FULL_ADDER) + acc * FLIP_FLOP) / lanes


def recipe_digest() -> str:
    """Of all that decides how a netlist is made."""
    files = sorted(Path(analysis.synthesis.__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def measured(hardware: HardwareSpec, library: str, path: Path, cache: Path) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as folder:
        design = write_design(hardware, Path(folder))
        parts = [design.verilog.read_bytes(), path.read_bytes(), recipe_digest().encode()]
        kept = cache / f"{hashlib.sha256(b''.join(parts)).hexdigest()}.json"
        if not kept.is_file():
            write_json(kept, synthesise(design, [path], timeout=900))
    result = json.loads(kept.read_text())
    bits, lanes = hardware.act.bits, hardware.lanes
    return {
        "library": library,
        "bits": bits,
        "lanes": lanes,
        "um2_per_mac": round(result["area_um2_per_mac"], 3),
        "pe_um2": next(m["area_um2"] for m in result["modules"] if m["name"] == "array_pe"),
        "floor_um2_per_mac": round(floor_um2(bits, lanes), 3) if library == "asap7" else None,
        "delay_ps": result["delay_ps"],
        "delay_source": result["delay_source"],
        "recipe": FULL_ADDERS.name,
        "versions": result["versions"],
    }


def peers(path: Path | None) -> dict[int, tuple[float, str]]:
    """The smallest area per MAC of ``path`` at each precision, with its design."""
    best: dict[int, tuple[float, str]] = {}
    if path is not None:
        lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
        for row in csv.DictReader(lines):
            if row["act_bits"] == row["weight_bits"]:
                entry = (float(row["area_per_mac_um2"]), row["design"])
                bits = int(row["act_bits"])
                best[bits] = min(best.get(bits, entry), entry)
    return best


def table(rows: list[dict[str, object]], best: dict[int, tuple[float, str]]) -> str:
    lines = [
        "| library | bits | lanes | um2 per MAC | floor | above it | densest peer | delay, ps |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        area, floor = float(str(row["um2_per_mac"])), row["floor_um2_per_mac"]
        above = f"{100 * (area / float(str(floor)) - 1):.0f} %" if floor else ""
        peer = best.get(int(str(row["bits"]))) if row["library"] == "asap7" else None
        lines.append(
            f"| {row['library']} | {row['bits']}x{row['bits']} | {row['lanes']} | {area} | {floor or ''} | "
            f"{above} | {f'{peer[0]} {peer[1]}' if peer else ''} | {row['delay_ps']} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("libraries", nargs="+", metavar="NAME=LIBERTY")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--bits", type=int, nargs="*")
    parser.add_argument("--lanes", type=int, nargs="*")
    parser.add_argument("--peers", type=Path)
    parser.add_argument("--cache", type=Path, default=Path("out/area_cache"))
    parser.add_argument("--out", type=Path, default=Path("out/area.json"))
    arguments = parser.parse_args()
    widths = arguments.bits or ((1, 2, 3, 4, 5, 6, 8, 12, 16) if arguments.full else (1, 2, 3, 4, 8, 16))
    lane_counts = arguments.lanes or ((16, 1, 8, 32) if arguments.full else (16, 1))
    rows = []
    for text in arguments.libraries:
        library, path = text.split("=", 1)
        for lanes in lane_counts:
            for bits in widths:
                rows.append(measured(spec(bits, lanes), library, Path(path), arguments.cache))
                print(f"{library} {bits}x{bits} {lanes} lanes: {rows[-1]['um2_per_mac']}", file=sys.stderr)
                write_json(arguments.out, rows)
    text = table(rows, peers(arguments.peers))
    write_text(arguments.out.with_suffix(".md"), text)
    print(text)


if __name__ == "__main__":
    main()
