"""Cores on the command line: their options, how they are written, how networks run on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
from rich.table import Table

from ..design import Design
from ..errors import InputError
from ..spec import CoreSpec, HardwareSpec, NetworkSpec, RequantiserSpec
from ..spec.core import Depthwise
from .options import FOLDER, F, given
from .output import Output, facts, grid

_SIZES = {
    "activation_words": "words of the activation buffer (a pixel's channels each)",
    "patch_words": "words of each row's patch",
    "weight_words": "words of the weight buffer (a beat each)",
    "constant_words": "words of the requantisers' constants",
    "program_words": "words of the program",
}
_WIDE = RequantiserSpec(mult_bits=44, add_bits=60, max_shift=60, level_bits=16, residual_bits=16)
"""For networks that are not known: averages over whole images are wide, and exact multipliers long."""


def core_options(function: F) -> F:
    """What ``generate`` has for cores."""
    options = [
        click.option("--core", is_flag=True, help="A whole core on AXI around the array."),
        click.option("--for", "network", type=FOLDER, default=None, help="Size the core for this network."),
        click.option("--bus-bits", type=int, default=64, show_default=True, help="Core: width of its bus."),
    ]
    options += [
        click.option("--requantisers", type=int, default=0, help="Core: how many.  [default: one a column]"),
        click.option(
            "--depthwise",
            type=click.Choice([way.value for way in Depthwise]),
            default=Depthwise.NONE.value,
            show_default=True,
            help="Core: how its array runs depthwise convolutions.",
        ),
    ]
    for name, what in _SIZES.items():
        default = CoreSpec.__dataclass_fields__[name].default
        text = f"Core: {what}.  [default: {default}]"
        options.append(click.option(f"--{name.replace('_', '-')}", type=int, default=None, help=text))
    for option in reversed(options):
        function = option(function)
    return function


def check_options(*, core: bool, requantiser: str) -> None:
    """Refuse options of ``generate`` that would change nothing.

    Raises:
        click.UsageError: a core's option without --core, an array's with it, levels without a requantiser.
    """
    if core and requantiser not in ("none", "multiply-shift"):
        raise click.UsageError(f"a core's requantiser multiplies and shifts, not {requantiser}")
    of_core = given("network", "bus_bits", "requantisers", "depthwise", *_SIZES)
    if of_core and not core:
        raise click.UsageError(f"{of_core[0]} goes with --core.")
    of_array = given("axi_stream", "level_bits", "residual_bits")
    if of_array and core:
        raise click.UsageError(f"{of_array[0]} goes with an array, not with --core.")
    of_levels = given("level_bits", "residual_bits")
    if of_levels and requantiser == "none":
        raise click.UsageError(f"{of_levels[0]} goes with --requantiser.")


def core_spec(
    array: HardwareSpec,
    *,
    network: Path | None,
    bus_bits: int,
    requantisers: int = 0,
    depthwise: str = Depthwise.NONE.value,
    **sizes: int | None,
) -> CoreSpec:
    """The core around ``array``: for ``network``, or with the sizes given (None: the usual)."""
    given: dict[str, Any] = {name: size for name, size in sizes.items() if size is not None}
    ways: dict[str, Any] = {
        "bus_bits": bus_bits,
        "requantisers": requantisers,
        "depthwise": Depthwise(depthwise),
    }
    if network is not None:
        from ..compiler.sizing import core_for, with_fields_for
        from ..network_files import load_network

        spec, tensors = load_network(network)
        sized = replace(core_for(spec, tensors, array, **ways), **given)
        # With sizes of the user's own it may be meant for other networks as well.
        return sized if given else with_fields_for(spec, tensors, sized)
    array = replace(array, requantiser=_WIDE)
    return CoreSpec(array=array, widest_act_bits=_WIDE.level_bits, **ways, **given)


def generate_core(output: Output, spec: CoreSpec, out: Path) -> None:
    """Write the core; its facts are the command's result."""
    from rtl_gen.core.emit import write_core

    with output.progress.task("Generating Verilog"):
        design = write_core(spec, out)
    result = {
        "verilog": str(design.verilog),
        "design": str(design.manifest),
        "registers": str(out / "registers.md"),
        "digest": spec.digest,
        "macs_per_cycle": spec.array.macs_per_cycle,
        "bus_bits": spec.bus_bits,
        "requantisers": spec.requantisers,
        "depthwise": spec.depthwise.value,
        **{name: getattr(spec, name) for name in _SIZES},
    }
    output.finish(result, facts(spec.name, result))


def simulate_core(
    output: Output,
    design: Design,
    *,
    network: Path,
    data: Path | None,
    random_images: bool,
    images: int,
    layers: str,
    latency: int,
    bandwidth: int,
    wave_cycles: str | None,
    simulator: str,
    seed: int,
    folder: Path,
) -> None:
    """Run a network on a core; the layers are the command's result, what is wrong its verdict."""
    from sim.core_run import External, Waves
    from sim.core_simulate import simulate_network
    from sim.simulator import Kind

    from ..network_files import load_network

    spec, tensors = load_network(network)
    first, _, last = layers.partition(":")
    window = None
    if wave_cycles is not None:
        begin, _, count = wave_cycles.partition(":")
        if not begin.isdecimal() or not count.isdecimal() or not int(count):
            raise InputError(f"--wave-cycles must be FIRST:COUNT, such as 1000:500, not {wave_cycles!r}")
        window = Waves(first_cycle=int(begin), cycles=int(count))
    pixels, labels = _images(spec, data, images, seed=seed, random_images=random_images)
    report = simulate_network(
        design,
        spec,
        tensors,
        pixels,
        first_layer=first or None,
        last_layer=(last if ":" in layers else first) or None,
        external=External(latency_cycles=latency, bandwidth_256=bandwidth),
        waves=window,
        kind=Kind(simulator),
        folder=folder,
        progress=output.progress,
    )
    result = report.to_json()
    if labels is not None and report.classes is not None:
        result["accuracy"] = float(np.mean(np.array(report.classes) == labels[: len(report.classes)]))
    output.finish(result, *core_tables(f"{spec.name} on {design.top} under {simulator}", result))
    output.verdict(report.problems)


def _images(
    spec: NetworkSpec, data: Path | None, count: int, *, seed: int, random_images: bool
) -> tuple[npt.NDArray[np.integer], npt.NDArray[np.int64] | None]:
    """Images and labels: the first test images of the network's data set, or random pixels."""
    if random_images:
        shape = (count, *spec.shapes["input"])
        act = spec.input_act
        low, high = (act.min, act.max) if spec.pixel_bits is None else (0, (1 << spec.pixel_bits) - 1)
        return np.random.default_rng(seed).integers(low, high + 1, shape), None
    from ..qat.data import load
    from ..qat.networks.catalogue import entry

    known = entry(spec.name)
    _, test = load(known.data_set, data, size=known.input_shape[-1], seed=seed)
    if count > len(test):
        raise InputError(f"--images must be at most {len(test)}, the test images that there are, not {count}")
    chosen = test.batch(np.arange(count))
    return chosen.levels, chosen.labels


def core_tables(title: str, result: Mapping[str, Any]) -> list[Table]:
    """What ``simulate_network`` found, layer by layer and in all."""
    head = ("layer", "cycles", "predicted", "stalls", "values", "wrong")
    rows = [
        (
            layer["name"],
            f"{layer['cycles']:,}",
            f"{layer['predicted_cycles']:,}",
            f"{layer['stalls']:,}",
            f"{layer['values']:,}",
            f"{layer['mismatches']:,}",
        )
        for layer in result["layers"]
    ]
    shown = {
        "images": result["images"],
        "simulated cycles": f"{result['simulated_cycles']:,}",
        "seconds": f"{result['seconds']:.1f} (expected {result['predicted_seconds']:.1f})",
        "cycles a second": f"{result['cycles_per_second']:,.0f}",
        "MACs a second": f"{result['macs_per_second']:,.0f}",
        **({"accuracy": f"{result['accuracy']:.1%}"} if "accuracy" in result else {}),
        **({"files": ", ".join(result["files"])} if result["files"] else {}),
    }
    return [grid(title, head, rows), facts("In all", shown)]
