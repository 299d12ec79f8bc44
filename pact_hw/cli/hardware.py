"""The commands of generated hardware: written, simulated, synthesised."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..files import write_json
from .core import check_options, core_options, core_spec, generate_core, simulate_core
from .options import FILE, FOLDER, command, out, seed
from .output import Output, facts
from .tables import products_table


@command(
    "generate", example="generate --act-bits 4 --weight-bits 4 --rows 8 --cols 8 --lanes 16 --out out/array"
)
@click.option("--act-bits", type=int, required=True, help="Width of the activations, 1 to 16.")
@click.option("--weight-bits", type=int, required=True, help="Width of the weights, 1 to 16.")
@click.option("--rows", type=int, required=True, help="Rows of processing elements.")
@click.option("--cols", type=int, required=True, help="Columns of processing elements.")
@click.option("--lanes", type=int, required=True, help="Multipliers in a processing element.")
@click.option(
    "--weight-encoding",
    type=click.Choice(["odd", "twos-complement"]),
    default="odd",
    show_default=True,
    help="What weight codes mean.",
)
@click.option(
    "--dataflow",
    type=click.Choice(["output-stationary", "weight-stationary"]),
    default="output-stationary",
    show_default=True,
    help="Which operand stays in the elements.",
)
@click.option(
    "--max-reduction",
    type=int,
    default=4608,
    show_default=True,
    help="Longest sum of products that must be exact.",
)
@click.option(
    "--mac-kind",
    type=click.Choice(["fixed", "composable", "bit-serial"]),
    default="fixed",
    show_default=True,
    help="One pair of widths; these or halves of them (down to 2 bits), chosen at run time; activations of "
    "any width up to this, chosen at run time, a bit a beat.",
)
@click.option(
    "--narrowest-bits",
    type=int,
    default=0,
    help="Composable: width of the narrowest operands.  [default: 2]",
)
@click.option(
    "--tree-stages",
    type=int,
    default=0,
    show_default=True,
    help="Registers that a product may pass on its way to the accumulator.",
)
@click.option(
    "--pipeline",
    type=int,
    default=0,
    show_default=True,
    help="Elements between two operand registers; 0: none.",
)
@click.option(
    "--drain",
    type=click.Choice(["shift", "wide"]),
    default="shift",
    show_default=True,
    help="How sums leave: a column a beat, or all at once.",
)
@click.option(
    "--requantiser",
    type=click.Choice(["none", "multiply-shift", "threshold", "smaller"]),
    default="none",
    is_flag=False,
    flag_value="multiply-shift",
    show_default=True,
    help="What makes levels of sums, behind each row; smaller: of the two, by area.",
)
@click.option("--level-bits", type=int, default=8, show_default=True, help="Width of these levels.")
@click.option(
    "--residual-bits", type=int, default=8, show_default=True, help="Width of a residual operand; 0: none."
)
@click.option("--name", default=None, help="Name of the top module.  [default: mac_array, pact_core]")
@click.option("--axi-stream", is_flag=True, help="Array: also NAME_axis.v, the array on AXI4-Stream.")
@core_options
@out()
def generate(
    act_bits: int,
    weight_bits: int,
    rows: int,
    cols: int,
    lanes: int,
    weight_encoding: str,
    dataflow: str,
    max_reduction: int,
    mac_kind: str,
    narrowest_bits: int,
    tree_stages: int,
    pipeline: int,
    drain: str,
    requantiser: str,
    level_bits: int,
    residual_bits: int,
    name: str | None,
    axi_stream: bool,
    core: bool,
    out: Path,
    as_json: bool,
    **core_sizes: Any,
) -> None:
    """Write a MAC array, or with --core a whole core on AXI, as Verilog, with its manifest."""
    from rtl_gen.emit import write_design

    from ..spec import (
        ActFormat,
        Dataflow,
        Drain,
        HardwareSpec,
        MacKind,
        RequantiserKind,
        RequantiserSpec,
        WeightEncoding,
        WeightFormat,
        with_smaller_requantiser,
    )

    check_options(core=core, requantiser=requantiser)
    output = Output(as_json=as_json)
    name = name or ("pact_core" if core else "mac_array")
    requantiser_spec = None
    if requantiser != "none":
        kind = "multiply-shift" if requantiser == "smaller" else requantiser
        requantiser_spec = RequantiserSpec(
            kind=RequantiserKind(kind), level_bits=level_bits, residual_bits=residual_bits
        )
    spec = HardwareSpec(
        act=ActFormat(bits=act_bits),
        weight=WeightFormat(bits=weight_bits, encoding=WeightEncoding(weight_encoding)),
        rows=rows,
        cols=cols,
        lanes=lanes,
        name=name,
        dataflow=Dataflow(dataflow),
        mac_kind=MacKind(mac_kind),
        narrowest_bits=narrowest_bits,
        max_reduction=max_reduction,
        requantiser=requantiser_spec,
        tree_stages=tree_stages,
        pipeline=pipeline,
        drain=Drain(drain),
    )
    if core:
        generate_core(output, core_spec(spec, **core_sizes), out)
        return
    if requantiser == "smaller":
        spec = with_smaller_requantiser(spec)
    with output.progress.task("Generating Verilog"):
        design = write_design(spec, out)
    result = {
        "verilog": str(design.verilog),
        "design": str(design.manifest),
        "digest": spec.digest,
        "macs_per_cycle": spec.macs_per_cycle,
        "acc_bits": spec.acc_bits,
        "latency_cycles": spec.latency_cycles,
    }
    if axi_stream:
        from rtl_gen.axi_stream import write_stream_array

        result["axi_stream"] = str(write_stream_array(spec, out))
    if spec.requantiser:
        result["requantiser"] = spec.requantiser.kind.value
    output.finish(result, facts(name, result))


@command("simulate", example="simulate out/array --vectors 20")
@click.argument("folder", metavar="DIR", type=FOLDER)
@click.option(
    "--vectors", type=click.IntRange(1), default=12, show_default=True, help="How many matrix products."
)
@click.option("--waves", is_flag=True, help="Array: leave an FST and a save file for the wave viewer.")
@click.option("--network", type=FOLDER, default=None, help="Core: the integer network (from convert).")
@click.option("--data", type=FOLDER, default=None, help="Core: folder of the network's data set.")
@click.option("--random-images", is_flag=True, help="Core: random pixels instead of a data set.")
@click.option(
    "--images", type=click.IntRange(1), default=1, show_default=True, help="Core: how many test images."
)
@click.option("--layers", default="", help="Core: only these layers, FIRST:LAST; either may be left out.")
@click.option(
    "--latency", type=click.IntRange(0), default=0, show_default=True, help="Core: the memory's, in cycles."
)
@click.option(
    "--bandwidth",
    type=click.IntRange(1, 256),
    default=256,
    show_default=True,
    help="Core: beats that the memory gives in 256 cycles.",
)
@click.option(
    "--simulator",
    type=click.Choice(["verilator", "icarus"]),
    default="verilator",
    show_default=True,
    help="Core: icarus is for small networks on small cores.",
)
@click.option("--wave-cycles", default=None, help="Core: leave an FST of the cycles FIRST:COUNT.")
@click.option("--out", type=FOLDER, default=None, help="Folder for the results.  [default: DIR/simulation]")
@seed()
def simulate(
    folder: Path,
    vectors: int,
    waves: bool,
    network: Path | None,
    out: Path | None,
    seed: int,
    as_json: bool,
    **of_core: Any,
) -> None:
    """Run a generated array (DIR) on matrix products, or a core on a whole network, bit by bit."""
    from ..design import load_design

    output = Output(as_json=as_json)
    design = load_design(folder)
    results = out or folder / "simulation"
    if design.core is not None:
        if network is None:
            raise click.UsageError(f"{folder} is a core: say with --network what it is to run.")
        simulate_core(output, design, network=network, seed=seed, folder=results, **of_core)
        return
    if network is not None:
        raise click.UsageError(f"{folder} is an array: networks run on cores (generate --core).")
    from sim.products import random_products
    from sim.runner import simulate as run

    report = run(
        design,
        random_products(design.hardware, vectors, seed),
        seed=seed,
        waves=waves,
        folder=results,
        progress=output.progress,
    )
    result = report.to_json()
    output.finish(result, products_table(f"{design.top} under Verilator", result["products"]))
    output.verdict(report.problems)


@command("synth", example="synth out/array --liberty cells.lib")
@click.argument("folder", metavar="DIR", type=FOLDER)
@click.option("--liberty", type=FILE, multiple=True, help="Cell library; repeat for several files of one.")
@click.option(
    "--fpga", type=click.Choice(["ecp5", "ice40"]), default=None, help="For an FPGA: placed and routed."
)
@click.option("--device", default=None, help="FPGA: which chip.  [default: ecp5 85k, ice40 hx8k]")
@click.option("--dsp", is_flag=True, help="FPGA: multipliers in DSP blocks.")
@click.option(
    "--seeds", type=click.IntRange(1), default=1, show_default=True, help="FPGA: how many placements."
)
@click.option("--out", type=FOLDER, default=None, help="Folder for the results.  [default: DIR/synthesis]")
def synth(
    folder: Path, liberty: tuple[Path, ...], fpga: str | None, out: Path | None, as_json: bool, **chip: Any
) -> None:
    """Synthesise a generated array (DIR): cells, area, delay; or LUTs and clock of an FPGA."""
    from ..design import load_design

    if fpga and liberty:
        raise click.UsageError("--liberty is for chips, --fpga for FPGAs: not both.")
    if not fpga and chip != {"device": None, "dsp": False, "seeds": 1}:
        raise click.UsageError("--device, --dsp and --seeds go with --fpga.")
    output = Output(as_json=as_json)
    design = load_design(folder)
    results = out or folder / "synthesis"
    if fpga:
        from analysis.synthesis.fpga import place_and_route

        result = place_and_route(
            design, family=fpga, cache=results / "fpga", progress=output.progress, **chip
        )
        write_json(results / f"{fpga}.json", result)
    else:
        from analysis.synthesis import synthesise

        result = synthesise(design, liberty, progress=output.progress)
        write_json(results / "synthesis.json", result)
    shown = {name: value for name, value in result.items() if not isinstance(value, dict | list)}
    output.finish(result, facts(f"{design.top}, synthesised", shown))


HARDWARE_COMMANDS = (generate, simulate, synth)
