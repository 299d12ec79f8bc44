"""Area of a core without its memories, by what it is for, beside its array.

    python benchmarks/core_area.py LIBERTY [--array 8x8x16] [--bits 4] [--requantisers 8 1] [--for resnet50]

Takes minutes for each number of requantisers. Memories are left out: they are macros in any technology.
"""

import argparse
import re
import tempfile
from pathlib import Path

from analysis.synthesis import synthesise
from pact_hw.compiler import examples
from pact_hw.compiler.sizing import core_for, with_fields_for
from pact_hw.design import Design, save_manifest
from pact_hw.files import write_text
from pact_hw.spec import ActFormat, CoreSpec, HardwareSpec, RequantiserSpec, WeightFormat
from rtl_gen.core.emit import write_core

_MEMORY = re.compile(r"^module (\w+_memory_\w+) \((.*?)^\);.*?^endmodule", re.DOTALL | re.MULTILINE)
PARTS = {
    "array": ("array", "row", "pe", "choices", "choice", "act_total", "act_words", "weight_words"),
    "requantisers": ("requantise", "requantiser"),
    "sums of passes and windows": ("sums", "sum"),
    "loops and addresses": (
        "drain",
        "loader",
        "passes",
        "pace",
        "operand",
        "weights",
        "patches",
        "lane_group",
        "writer",
        "store",
    ),
    "sequencer": ("sequencer",),
    "AXI": ("read_dma", "transfer_records", "unpacker", "registers", "result_writer", "control"),
}
"""Modules, without the core's name; all others are counted as "rest"."""


def without_memories(design: Design) -> None:
    """Make the memories of ``design`` black boxes."""

    def box(match: re.Match[str]) -> str:
        ports = re.sub(r"\breg\b", "wire", match[2])
        return f"(* blackbox *)\nmodule {match[1]} ({ports});\nendmodule"

    write_text(design.verilog, _MEMORY.sub(box, design.verilog.read_text(encoding="utf-8")))
    save_manifest(design)


def areas(core: CoreSpec, liberty: Path) -> dict[str, float]:
    """um2 by part."""
    with tempfile.TemporaryDirectory() as folder:
        design = write_core(core, Path(folder))
        without_memories(design)
        modules = synthesise(design, [liberty], timed=False)["modules"]
    found = dict.fromkeys((*PARTS, "rest"), 0.0)
    for module in modules:
        short = module["name"].removeprefix(f"{core.name}_")
        part = next((part for part, names in PARTS.items() if short in names), "rest")
        found[part] += module["area_um2"] * module["instances"]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("liberty", type=Path)
    parser.add_argument("--array", default="8x8x16", help="rows x cols x lanes")
    parser.add_argument("--bits", type=int, default=4)
    parser.add_argument("--edge-bits", type=int, default=8, help="widest levels and weights")
    parser.add_argument("--mult-bits", type=int, default=24)
    parser.add_argument(
        "--for", dest="network", choices=["resnet20", "resnet50"], help="sized for this network"
    )
    parser.add_argument("--requantisers", type=int, nargs="*", default=[8, 4, 2, 1])
    arguments = parser.parse_args()
    rows, cols, lanes = map(int, arguments.array.split("x"))
    array = HardwareSpec(
        act=ActFormat(bits=arguments.bits), weight=WeightFormat(bits=arguments.bits), rows=rows, cols=cols,
        lanes=lanes, name="core",
        requantiser=RequantiserSpec(mult_bits=arguments.mult_bits, add_bits=32, max_shift=24),
    )  # fmt: skip
    for count in arguments.requantisers:
        if arguments.network:
            network = getattr(examples, arguments.network)(arguments.bits)
            tensors = examples.random_tensors(network, 1)
            sized = core_for(network, tensors, array, requantisers=count)
            core = with_fields_for(network, tensors, sized)
        else:
            core = CoreSpec(
                array=array, widest_act_bits=arguments.edge_bits, widest_weight_bits=arguments.edge_bits,
                activation_words=4096, patch_words=64, weight_words=128, constant_words=16,
                program_words=2048, requantisers=count,
            )  # fmt: skip
        found = areas(core, arguments.liberty)
        beside = sum(found.values()) - found["array"]
        print(f"{count} requantisers: {beside / found['array']:.0%} beside the array")
        for part, area in found.items():
            print(f"  {part:<28} {area:8.0f} um2  {area / found['array']:6.1%} of the array", flush=True)


if __name__ == "__main__":
    main()
