"""``pact-hw compile``: a network for a generated core."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from .options import FOLDER, command, out
from .output import Output, facts, grid


@command("compile", example="compile out/core --network out/integer --out out/compiled")
@click.argument("folder", metavar="HW", type=FOLDER)
@click.option("--network", type=FOLDER, required=True, help="Integer network (from convert).")
@click.option(
    "--bus-limited/--unlimited",
    default=True,
    show_default=True,
    help="Choose tiles for the core's bus, or as if memory were infinitely fast.",
)
@out()
def compile_command(folder: Path, network: Path, bus_limited: bool, out: Path, as_json: bool) -> None:
    """Compile an integer network for a generated core (HW): operations, weights, memory map, cycles."""
    from ..compiler import compile_network, save_compiled
    from ..design import load_design
    from ..network_files import load_network

    output = Output(as_json=as_json)
    design = load_design(folder)
    core = design.runnable_core()
    spec, tensors = load_network(network)
    with output.progress.task("Compiling"):
        compiled = compile_network(spec, tensors, core, bus_limited=bus_limited)
    save_compiled(out, compiled)
    result = {**compiled.summary(), "out": str(out)}
    output.finish(result, *compiled_tables(f"{spec.name} on {design.top}", result))


def compiled_tables(title: str, result: Mapping[str, Any]) -> list[Table]:
    """A row a layer, then the sums."""
    head = ("layer", "operations", "MACs", "cycles", "utilisation", "bytes in", "stored", "loaded", "words")
    rows = [
        (
            layer["name"],
            len(layer["operations"]),
            f"{layer['macs']:,}",
            f"{layer['cycles']:,}",
            f"{layer['utilisation']:.1%}" if layer["macs"] else "",
            f"{layer['bytes_in']:,}",
            *(f"{layer[name]:,}" if layer[name] else "" for name in ("stored_bytes", "loaded_bytes")),
            f"{layer['words']:,}",
        )
        for layer in result["layers"]
    ]
    shown = {
        "predicted cycles": f"{result['cycles']:,}",
        "utilisation of convolutions": f"{result['convolutions']:.1%}",
        "activation words": f"{result['activation_words']:,}",
        "bytes of the model": f"{result['model_bytes']:,}",
        "bytes in for an image": f"{result['bytes_in']:,}",
        "of these what was stored before, or came twice": f"{result['loaded_bytes']:,}",
        "bytes stored for an image": f"{result['stored_bytes']:,}",
        "bytes of memory for it": f"{result['memory_bytes']:,}",
    }
    return [grid(title, head, rows), facts("In all", shown)]
