"""The main job, end to end: from real images to Verilog that was seen to compute the same numbers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .core import core_tables
from .options import command, out, seed
from .output import Output, facts
from .tables import exactness_table, files_table, products_table, study_table

if TYPE_CHECKING:
    from sim.core_report import CoreReport
    from sim.report import SimulationReport

    from ..spec import ActFormat, HardwareSpec, RequantiserSpec, WeightFormat

BITS = 4
ROWS = COLS = LANES = 8
MAX_REDUCTION = 1024
STUDY = ("fig6b", "fig6c", "superlinear", "area_performance")
"""The figures of the study that the demo draws."""


@command("demo", example="demo --out out/demo")
@click.option(
    "--images",
    type=click.IntRange(1, 100),
    default=8,
    show_default=True,
    help="How many test images run on the RTL.",
)
@seed()
@out("out/demo")
def demo(images: int, seed: int, out: Path, as_json: bool) -> None:
    """Train, convert, generate, simulate, study: everything, on scikit-learn's handwritten digits."""
    from analysis.study import run_study

    from ..qat.convert import convert
    from ..qat.training import train

    output = Output(as_json=as_json)
    network = out / "network"
    metrics = train(
        network="digits",
        act_bits=BITS,
        weight_bits=BITS,
        seed=seed,
        out=network,
        progress=output.progress,
    )
    exactness = convert(network, out / "integer", progress=output.progress)
    reports = _simulate(out, images=images, seed=seed, output=output)
    core = _run_core(out, images=images, seed=seed, output=output)
    study = run_study(out / "study", STUDY, progress=output.progress)

    on_core = core.to_json()
    mismatches = sum(report.mismatches for report in reports)
    compared = sum(report.values_compared for report in reports)
    problems = [*(line for report in reports for line in report.problems), *core.problems]
    passed = not exactness["level_mismatches"] and not problems
    designs = [out / name for name in (*(report.design for report in reports), core.design)]
    folders = [network, out / "integer", *designs, out / "study"]
    files = sorted(str(path) for folder in folders for path in folder.rglob("*") if _is_result(path))
    result = {
        "passed": passed,
        "accuracy": metrics["accuracy"],
        "float_accuracy": metrics["float_accuracy"],
        "level_mismatches": exactness["level_mismatches"],
        "levels_compared": exactness["levels_compared"],
        "rtl_mismatches": mismatches,
        "rtl_values_compared": compared,
        "simulations": [report.to_json() for report in reports],
        "core": on_core,
        "fig6c": study["fig6c"],
        "files": files,
    }
    summary = {
        "accuracy on held-out images": f"{metrics['accuracy']:.1%} at {BITS} bits, "
        f"{metrics['float_accuracy']:.1%} in floating point",
        "integer network against PyTorch": f"{exactness['level_mismatches']} of "
        f"{exactness['levels_compared']:,} levels differ",
        "arrays against integer network": f"{mismatches} of {compared:,} values differ "
        f"({images} images, every layer)",
        "core against integer network": f"{on_core['mismatches']} of {on_core['values_compared']:,} values "
        f"differ ({images} images, {on_core['cycles'] // images:,} cycles each)",
        "verdict": "exact, from PyTorch to Verilog" if passed else "NOT EXACT",
    }
    layers = [product for report in reports for product in report.to_json()["products"]]
    output.finish(
        result,
        exactness_table(exactness),
        products_table("Layers on the arrays", layers),
        core_tables("The network on the core, from AXI to AXI", on_core)[0],
        study_table(study),
        files_table(files),
        facts("Summary", summary),
    )
    output.verdict([] if passed else ["NOT EXACT", *problems])


def _simulate(out: Path, *, images: int, seed: int, output: Output) -> list[SimulationReport]:
    """Generate one array for each pair of widths in the network, and run its layers on it."""
    from rtl_gen.emit import write_design
    from sim.network import network_products
    from sim.runner import simulate

    from ..network_files import load_network, required_requantiser
    from ..qat.data import DATA

    network, tensors = load_network(out / "integer")
    _training, held_out = DATA["digits"](seed)
    requantiser = required_requantiser(network, tensors)
    designs: dict[HardwareSpec, list[Any]] = {}
    for layer, product in network_products(network, tensors, held_out.levels[:images]):
        assert layer.weight is not None
        name = f"array_{layer.act.bits}x{layer.weight.bits}"
        designs.setdefault(_array(name, layer.act, layer.weight, requantiser), []).append(product)
    reports = []
    for spec, products in designs.items():
        with output.progress.task(f"generate {spec.name}"):
            design = write_design(spec, out / spec.name)
        folder = out / spec.name / "simulation"
        reports.append(simulate(design, products, seed=seed, folder=folder, progress=output.progress))
    return reports


def _run_core(out: Path, *, images: int, seed: int, output: Output) -> CoreReport:
    """Generate the smallest core for the network around a narrow array, and run whole images on it."""
    from rtl_gen.core.emit import write_core
    from sim.core_simulate import simulate_network

    from ..compiler.sizing import core_for
    from ..network_files import load_network
    from ..qat.data import DATA
    from ..spec import ActFormat, WeightFormat

    network, tensors = load_network(out / "integer")
    _training, held_out = DATA["digits"](seed)
    array = _array("core_4x4", ActFormat(bits=BITS), WeightFormat(bits=BITS), None)
    with output.progress.task(f"generate {array.name}"):
        design = write_core(core_for(network, tensors, array), out / array.name)
    folder = out / array.name / "simulation"
    pixels = held_out.levels[:images]
    return simulate_network(design, network, tensors, pixels, folder=folder, progress=output.progress)


def _array(
    name: str, act: ActFormat, weight: WeightFormat, requantiser: RequantiserSpec | None
) -> HardwareSpec:
    """An array of the demo's shape."""
    from ..spec import HardwareSpec

    return HardwareSpec(
        act=act,
        weight=weight,
        name=name,
        max_reduction=MAX_REDUCTION,
        requantiser=requantiser,
        rows=ROWS,
        cols=COLS,
        lanes=LANES,
    )


def _is_result(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".")
