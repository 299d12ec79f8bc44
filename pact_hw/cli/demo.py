"""The main job, end to end: from real images to Verilog that was seen to compute the same numbers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import command, out, seed
from .output import Output, facts
from .tables import exactness_table, files_table, products_table, study_table

if TYPE_CHECKING:
    from sim.report import SimulationReport

    from ..spec import HardwareSpec, LayerSpec, RequantiserSpec

BITS = 4
ROWS = COLS = LANES = 8
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
    study = run_study(out / "study", STUDY, progress=output.progress)

    mismatches = sum(report.mismatches for report in reports)
    compared = sum(report.values_compared for report in reports)
    passed = not exactness["level_mismatches"] and all(report.passed for report in reports)
    folders = [network, out / "integer", *(out / report.design for report in reports), out / "study"]
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
        "fig6c": study["fig6c"],
        "files": files,
    }
    summary = {
        "accuracy on held-out images": f"{metrics['accuracy']:.1%} at {BITS} bits, "
        f"{metrics['float_accuracy']:.1%} in floating point",
        "integer network against PyTorch": f"{exactness['level_mismatches']} of "
        f"{exactness['levels_compared']:,} levels differ",
        "RTL against integer network": f"{mismatches} of {compared:,} values differ "
        f"({images} images, every layer)",
        "verdict": "exact, from PyTorch to Verilog" if passed else "NOT EXACT",
    }
    layers = [product for report in reports for product in report.to_json()["products"]]
    output.finish(
        result,
        exactness_table(exactness),
        products_table("Layers on the RTL", layers),
        study_table(study),
        files_table(files),
        facts("Summary", summary),
    )
    output.verdict([] if passed else ["NOT EXACT", *(line for report in reports for line in report.problems)])


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
        designs.setdefault(_array(layer, requantiser), []).append(product)
    reports = []
    for spec, products in designs.items():
        with output.progress.task(f"generate {spec.name}"):
            design = write_design(spec, out / spec.name)
        folder = out / spec.name / "simulation"
        reports.append(simulate(design, products, seed=seed, folder=folder, progress=output.progress))
    return reports


def _array(layer: LayerSpec, requantiser: RequantiserSpec) -> HardwareSpec:
    """The array of the demo's shape on which ``layer`` runs."""
    from ..spec import HardwareSpec

    assert layer.weight is not None
    return HardwareSpec(
        act=layer.act,
        weight=layer.weight,
        name=f"array_{layer.act.bits}x{layer.weight.bits}",
        max_reduction=1024,
        requantiser=requantiser,
        rows=ROWS,
        cols=COLS,
        lanes=LANES,
    )


def _is_result(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".")
