"""``pact-hw explore``: where models, generator, synthesis and simulation meet for a space of designs."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import InputError
from ..files import read
from .options import FILE, command, out
from .output import Output, facts
from .tables import front_table, refined_table

if TYPE_CHECKING:
    from analysis.explore.executors import Executor

    from ..spec import HardwareSpec

MOST_SHOWN = 20


@command("explore", example="explore docs/space.toml --out out/space")
@click.argument("space_file", metavar="SPACE.toml", type=FILE)
@click.option(
    "--workers",
    type=click.IntRange(1, 1024),
    default=None,
    help="Processes of this machine.  [default: one a core]",
)
@click.option("--scheduler", metavar="ADDRESS", default=None, help="A dask.distributed scheduler instead.")
@click.option(
    "--refine",
    type=click.IntRange(0, 1000),
    default=0,
    show_default=True,
    help="Arrays of the front to generate, synthesise and simulate.",
)
@click.option(
    "--liberty", type=FILE, multiple=True, help="Cell library for --refine; repeat for several files."
)
@out()
def explore(
    space_file: Path,
    workers: int | None,
    scheduler: str | None,
    refine: int,
    liberty: tuple[Path, ...],
    out: Path,
    as_json: bool,
) -> None:
    """Evaluate a declared space of designs (SPACE.toml), and find its Pareto front.

    A run that was stopped goes on where it was when it is started again.
    """
    from analysis.explore.refine import refine as measure
    from analysis.explore.results import write_results
    from analysis.explore.run import explore as run
    from analysis.explore.space import Space

    if scheduler is not None and workers is not None:
        raise click.UsageError("--workers counts processes of this machine: not with --scheduler")
    if liberty and not refine:
        raise click.UsageError("--liberty is for --refine")
    output = Output(as_json=as_json)
    space = Space.load(space_file)
    if refine and "core" in space.axes["chip"]:
        raise InputError("--refine measures arrays; of cores: generate --core, then simulate (docs/core.md)")
    if space.method.search and scheduler is None:
        if workers not in (None, 1):
            raise click.UsageError(f"--workers {workers}: a search's small steps run in this process alone")
        workers = 1
    found = run(space, out, _executor(workers, scheduler), progress=output.progress)
    result = write_results(space, found, out)
    refined: list[dict[str, Any]] = []
    if refine:

        def one(spec: HardwareSpec, folder: Path) -> Mapping[str, Any]:
            return _measured(spec, folder, liberty, output)

        how = {"liberty": [sha256(read(path, path.read_bytes)).hexdigest() for path in liberty]}
        refined = measure(found.front, out, one, most=refine, how=how, progress=output.progress)
        result = write_results(space, found, out, refined=refined)
    tables = [facts(f"Exploration {space.name!r}", _summary(result)), front_table(result, MOST_SHOWN)]
    output.finish(result, *tables, *([refined_table(refined)] if refined else []))
    problems = [] if result["front"] else ["no design keeps every limit"]
    output.verdict(problems + [f"{row['design']}: {line}" for row in refined for line in row["problems"]])


def _executor(workers: int | None, scheduler: str | None) -> Executor:
    from analysis.explore.executors import Cluster, Here, Processes

    if scheduler is not None:
        # A cluster that is lost is one line of ours, not many of dask's; it sets its levels when imported.
        with contextlib.suppress(ImportError):
            importlib.import_module("distributed")
        for name in ("distributed", "distributed.client", "tornado.application", "asyncio"):
            logging.getLogger(name).disabled = True
            logging.getLogger(name).setLevel(logging.CRITICAL)
        return Cluster(scheduler)
    workers = workers or os.cpu_count() or 1
    return Processes(workers) if workers > 1 else Here()


def _measured(
    spec: HardwareSpec, folder: Path, liberty: tuple[Path, ...], output: Output
) -> Mapping[str, Any]:
    """Area by synthesis and cycles by simulation of one array, with what does not hold."""
    from analysis.synthesis import synthesise
    from rtl_gen.emit import write_design
    from sim.products import random_products
    from sim.runner import simulate

    design = write_design(spec, folder)
    synthesis = synthesise(design, liberty, progress=output.progress)
    products = random_products(spec, 8, 0)
    report = simulate(design, products, seed=0, folder=folder / "simulation", progress=output.progress)
    simulation = report.to_json()
    names = ("cycles", "predicted_cycles", "values_compared", "mismatches")
    return {
        **{name: value for name, value in synthesis.items() if not isinstance(value, dict | list)},
        **{name: simulation[name] for name in names},
        "problems": list(report.problems),
    }


def _summary(result: Mapping[str, Any]) -> dict[str, object]:
    return {
        "designs in the space": f"{result['designs_in_space']:,}",
        "evaluated": f"{result['designs_evaluated']:,} ({result['kind']}; {result['evaluated_now']:,} now)",
        "within the limits": f"{result['eligible']:,}",
        "on the front": f"{len(result['front']):,}",
        "objectives": ", ".join(f"{way} {name}" for name, way in result["objectives"].items()),
    }
