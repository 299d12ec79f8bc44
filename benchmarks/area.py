"""Area and delay of whole arrays in real cell libraries, per MAC: the table of docs/hardware.md.

    python benchmarks/area.py asap7=asap7.lib.gz [--bits 2 4 8x1] [--lanes 16] [--stages 0 5] [--full]

Arrays of 8 x 8 PEs with exact accumulators for 4608 products, ODD weights: registers, accumulators,
correction and control all counted, drive strengths chosen by load, before placement. Widths 1, 2, 3, 4, 8,
16 at 16 lanes (8x1: 8-bit activations, 1-bit weights); ``--full``: widths 5, 6, 12 and 1, 8 and 32 lanes as
well; ``--peers PEERS.csv``: the densest public designs beside ours. Delays are OpenSTA's where it is
installed. An answer that was given before (same Verilog, library, recipe and timer) is taken from
``--cache``, so that a broken run goes on; ``--out`` is written after each design.
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
from pact_hw.files import write_json, write_text
from pact_hw.spec import ActFormat, HardwareSpec, WeightFormat
from pact_hw.tools import opensta
from rtl_gen.emit import write_design

# Full adder, AND and flip-flop of ASAP7 (FAx1, AND2x2, DFFHQNx1), um2.
FULL_ADDER, AND, FLIP_FLOP = 0.20412, 0.08748, 0.2916
ROWS = COLS = 8


Widths = tuple[int, int]
"""Bits of activations and of weights."""


def spec(widths: Widths, lanes: int, stages: int) -> HardwareSpec:
    act, weight = widths
    return HardwareSpec(
        act=ActFormat(bits=act),
        weight=WeightFormat(bits=weight),
        rows=ROWS,
        cols=COLS,
        lanes=lanes,
        name="array",
        tree_stages=stages,
    )


def floor_um2(widths: Widths, lanes: int) -> float:
    """A PE of one AND for each product bit, one full adder for each bit but the accumulator's, registers."""
    act, weight = widths
    products = lanes * act * weight
    acc = (4608 * ((1 << act) - 1) * ((1 << weight) - 1)).bit_length()
    return (products * (AND + FULL_ADDER) + acc * FLIP_FLOP) / lanes


def tools_digest() -> str:
    """Of all that decides how a netlist is made and timed."""
    files = sorted(Path(analysis.synthesis.__file__).parent.glob("*.py"))
    timer = opensta()
    version = timer.version if timer else "none"
    return hashlib.sha256(b"".join(file.read_bytes() for file in files) + version.encode()).hexdigest()


def measured(hardware: HardwareSpec, library: str, path: Path, cache: Path) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as folder:
        design = write_design(hardware, Path(folder))
        parts = [design.verilog.read_bytes(), path.read_bytes(), tools_digest().encode()]
        kept = cache / f"{hashlib.sha256(b''.join(parts)).hexdigest()}.json"
        if not kept.is_file():
            write_json(kept, synthesise(design, [path], timeout=1800))
    result = json.loads(kept.read_text())
    widths, lanes = (hardware.act.bits, hardware.weight.bits), hardware.lanes
    floor = floor_um2(widths, lanes) if library == "asap7" else None
    area = result["area_um2_per_mac"]
    return {
        "library": library,
        "act_bits": widths[0],
        "weight_bits": widths[1],
        "lanes": lanes,
        "stages": hardware.tree_stages,
        "um2_per_mac": round(area, 3),
        "delay_ps": result["delay_ps"],
        "pe_um2": next(m["area_um2"] for m in result["modules"] if m["name"] == "array_pe"),
        "floor_um2_per_mac": floor and round(floor, 3),
        "above_floor": floor and round(area / floor - 1, 3),
        "longest_path": result.get("longest_path"),
        "delay_source": result["delay_source"],
        "recipe": result["recipe"]["name"],
        "versions": result["versions"],
    }


Peers = dict[tuple[str, int, int], tuple[float, str]]


def peers(paths: list[Path]) -> Peers:
    """The smallest area per MAC in ``paths`` in each library at each precision, with its design."""
    best: Peers = {}
    for path in paths:
        lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
        for row in csv.DictReader(lines):
            entry = (float(row["area_per_mac_um2"]), row["design"])
            at = row.get("library", "asap7"), int(row["act_bits"]), int(row["weight_bits"])
            best[at] = min(best.get(at, entry), entry)
    return best


def table(rows: list[dict[str, object]], best: Peers) -> str:
    lines = [
        "| library | bits | lanes | stages | um2 per MAC | delay, ps | one PE, um2 | floor | above it "
        "| densest peer |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        act, weight = int(str(row["act_bits"])), int(str(row["weight_bits"]))
        peer = best.get((str(row["library"]), act, weight))
        above = row["above_floor"]
        cells = (
            row["library"],
            f"{act}x{weight}",
            row["lanes"],
            row["stages"],
            row["um2_per_mac"],
            row["delay_ps"],
            f"{row['pe_um2']:.2f}",
            row["floor_um2_per_mac"] or "",
            f"{100 * float(str(above)):.0f} %" if above is not None else "",
            f"{peer[0]} ({peer[1]})" if peer else "",
        )
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join([*lines, *densities(rows)]) + "\n"


def densities(rows: list[dict[str, object]]) -> list[str]:
    """How much smaller a 2-bit MAC is than a 16-bit one, of the same library, lanes and stages."""
    areas = {
        (row["library"], row["lanes"], row["stages"], row["act_bits"]): float(str(row["um2_per_mac"]))
        for row in rows
        if row["act_bits"] == row["weight_bits"]
    }
    found = []
    for (library, lanes, stages, bits), area in areas.items():
        wide = areas.get((library, lanes, stages, 16))
        if bits == 2 and wide:
            found.append(f"\n{library}, {lanes} lanes, {stages} stages: 16 to 2 bits {wide / area:.1f}x")
    return found


def widths_of(text: str) -> Widths:
    """``8x1``, or ``8`` for ``8x8``."""
    act, _, weight = text.partition("x")
    return int(act), int(weight or act)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("libraries", nargs="+", metavar="NAME=LIBERTY")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--bits", type=widths_of, nargs="*", metavar="BITS or ACTxWEIGHT")
    parser.add_argument("--lanes", type=int, nargs="*")
    parser.add_argument("--stages", type=int, nargs="*", default=[0])
    parser.add_argument("--peers", type=Path, nargs="*", default=[])
    parser.add_argument("--cache", type=Path, default=Path("out/area_cache"))
    parser.add_argument("--out", type=Path, default=Path("out/area.json"))
    arguments = parser.parse_args()
    usual = (1, 2, 3, 4, 5, 6, 8, 12, 16) if arguments.full else (1, 2, 3, 4, 8, 16)
    lane_counts = arguments.lanes or ((16, 1, 8, 32) if arguments.full else (16,))
    rows = []
    for text in arguments.libraries:
        library, path = text.split("=", 1)
        for lanes in lane_counts:
            for bits in arguments.bits or [(bits, bits) for bits in usual]:
                for stages in arguments.stages:
                    rows.append(measured(spec(bits, lanes, stages), library, Path(path), arguments.cache))
                    last = rows[-1]
                    print(
                        f"{library} {bits[0]}x{bits[1]}, {lanes} lanes, {stages} stages: "
                        f"{last['um2_per_mac']} um2, {last['delay_ps']} ps",
                        file=sys.stderr,
                    )
                    write_json(arguments.out, rows)
    written = table(rows, peers(arguments.peers))
    write_text(arguments.out.with_suffix(".md"), written)
    print(written)


if __name__ == "__main__":
    main()
