"""LUTs, flip-flops, DSP blocks and clock of arrays on FPGAs, by precision.

    python benchmarks/fpga.py                # 4x4 elements of 4 lanes; minutes, what is there is kept

Writes ``--out``/fpga.csv and prints the table of docs/commands.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from analysis.synthesis.fpga import place_and_route
from analysis.tables import write_csv
from pact_hw.errors import InputError
from pact_hw.spec import ActFormat, HardwareSpec, WeightFormat
from rtl_gen.emit import write_design

CHIPS = (("ecp5", "85k", False), ("ecp5", "85k", True), ("ice40", "hx8k", False))
COLUMNS = ("luts", "ffs", "dsps", "logic_cells", "fmax_mhz")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bits", type=int, nargs="+", default=[2, 4, 8])
    parser.add_argument("--shape", type=int, nargs=3, default=[4, 4, 4], metavar=("ROWS", "COLS", "LANES"))
    parser.add_argument("--tree-stages", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("out/fpga"))
    arguments = parser.parse_args()
    rows, cols, lanes = arguments.shape
    found = []
    for bits in arguments.bits:
        spec = HardwareSpec(
            act=ActFormat(bits=bits),
            weight=WeightFormat(bits=bits),
            rows=rows,
            cols=cols,
            lanes=lanes,
            tree_stages=arguments.tree_stages,
        )
        design = write_design(spec, arguments.out / spec.digest)
        for family, device, dsp in CHIPS:
            try:
                result = place_and_route(
                    design,
                    family=family,
                    device=device,
                    dsp=dsp,
                    seeds=arguments.seeds,
                    cache=arguments.out / "kept",
                )
            except InputError as error:
                print(error)
                continue
            row = {"bits": bits, "chip": f"{family} {device}", "dsp": dsp}
            row |= {name: result[name] for name in COLUMNS}
            found.append(row)
            print("|", " | ".join(str(value) for value in row.values()), "|", flush=True)
    write_csv(arguments.out / "fpga.csv", found)


if __name__ == "__main__":
    main()
