"""From a generated design to cells, area and delay.

What is counted: every cell of the design (registers, accumulators, corrections, control, requantiser), with
drive strengths and buffers chosen by load, before placement: no wires, no clock tree, no scan. The
hierarchy is kept: each kind of module is synthesised once and multiplied by its number of instances, so a
64 x 64 array takes as long as a small one; nothing is optimised across the borders of modules.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pact_hw
from pact_hw.design import Design
from pact_hw.errors import InputError
from pact_hw.files import write_text
from pact_hw.progress import SILENT, Progress
from pact_hw.tools import opensta

from . import polarity
from .gate_level import models
from .library import Library
from .mapping import mapping_files
from .recipe import (
    ABC_FILE,
    FINISH,
    FULL_ADDERS,
    MAPPED_FILE,
    NETLIST_FILE,
    PREPARE,
    VERILOG_FILE,
    Recipe,
    library_file,
)
from .sizing import modules_in_use, size
from .strengths import Strengths
from .timing import Timing, static_timing
from .yosys import run

ABC_SOURCE = (
    "abc's estimate: longest combinational path within one kind of module, in plain gates "
    "(no full-adder cells), without drive strengths, wires and flip-flops, as OpenSTA is not installed"
)
_MODULE = re.compile(r"Extracting gate netlist of module `\\?(.*?)' to")
_MACRO = re.compile(r"\(\* blackbox \*\)\s*module (\w+)")
_DELAY = re.compile(r"\bDelay = +([\d.]+) ps")


@dataclass(frozen=True, kw_only=True)
class _Outcome:
    cells: dict[str, Counter[str]]
    """Of each kind of module, the top first: how many of each kind of cell and part it has."""
    log: str
    yosys: str
    verilog: str
    timing: Timing | None


def synthesise(
    design: Design,
    liberty: Sequence[Path] = (),
    *,
    progress: Progress = SILENT,
    timeout: float = 1800.0,
    recipe: Recipe = FULL_ADDERS,
    netlist: Path | None = None,
    timed: bool = True,
) -> dict[str, Any]:
    """Cells, area and delay of ``design`` in a cell library, as JSON members (docs/commands.md).

    Modules that are marked as black boxes (``(* blackbox *)``: memories) count nothing.

    Args:
        design: what ``rtl_gen`` wrote.
        liberty: Liberty files (plain or .gz) of one library; none: the built-in generic library, and
            areas in NAND2 gate equivalents (``area_ge``) instead of um2 (``area_um2``).
        progress: listener.
        timeout: seconds for Yosys.
        recipe: what Yosys is asked to do.
        netlist: where to write the netlist as Verilog, with a model of each cell (``gate_level``).
        timed: whether to find the delay, which takes as long again for large arrays.

    Raises:
        InputError: a library is unusable, there is no Yosys, or it refuses or does not finish.
    """
    library = Library.of(liberty)
    macros = _MACRO.findall(design.verilog.read_text(encoding="utf-8"))
    library = replace(library, areas={**library.areas, **dict.fromkeys(macros, 0.0)})
    timed = timed and bool(liberty)
    with progress.task(f"Yosys: {design.top} in {library.name}"):
        try:
            found = _run(design, library, recipe, timeout, timed=timed)
        except InputError as error:
            raise InputError(f"{design.top} with {library.name}: {error}") from None
    instances = _instances(found.cells, design.top)
    area = {name: _area(found.cells[name], library, instances) for name in instances}
    kinds: Counter[str] = Counter()
    for name, count in instances.items():
        for cell, number in found.cells[name].items():
            if cell not in instances:
                kinds[cell] += count * number
    if netlist is not None:
        write_text(netlist, found.verilog + "\n" + models(library.cells, library.registers, kinds))
    total = sum(area[name] * count for name, count in instances.items())
    unit = "um2" if liberty else "ge"
    macs = design.hardware.macs_per_cycle
    result: dict[str, Any] = {
        "design": design.top,
        "digest": design.hardware.digest,
        "library": library.name,
        f"area_{unit}": total,
        f"area_{unit}_per_mac": total / macs,
    }
    if liberty and library.nand2 is not None and library.nand2.area:
        result |= {"nand2_cell": library.nand2.name, "nand2_um2": library.nand2.area}
    return result | {
        "macs_per_cycle": macs,
        "cells": sum(kinds.values()),
        "cells_by_kind": dict(sorted(kinds.items())),
        "modules": [
            {"name": name, "instances": count, f"area_{unit}": area[name]}
            for name, count in instances.items()
        ],
        **_delay(found, instances, timed=timed),
        "full_adder_cell": library.full_adder and library.full_adder.cell,
        "recipe": recipe.to_json(),
        "versions": {"yosys": found.yosys, "pact_hw": pact_hw.__version__},
    }


def _run(design: Design, library: Library, recipe: Recipe, timeout: float, *, timed: bool) -> _Outcome:
    with tempfile.TemporaryDirectory(prefix="pact-hw-synth-") as name:
        folder = Path(name)
        liberties = [library_file(index) for index in range(len(library.texts))]
        (folder / VERILOG_FILE).write_bytes(design.verilog.read_bytes())
        (folder / ABC_FILE).write_text("\n".join(recipe.abc) + "\n")
        for file, text in zip(liberties, library.texts, strict=True):
            (folder / file).write_text(text)
        for file, text in mapping_files(library, design.top).items():
            (folder / file).write_text(text)
        (folder / "prepare.ys").write_text(PREPARE.format(top=design.top))
        run("prepare.ys", folder=folder, timeout=timeout)
        adder = library.full_adder
        if adder and adder.carry_inverted and adder.total_inverted:
            netlist = json.loads((folder / NETLIST_FILE).read_text())
            polarity.choose(netlist, f"{design.top}_full_adder")
            (folder / NETLIST_FILE).write_text(json.dumps(netlist))
        script = recipe.script(
            top=design.top,
            libraries=len(library.texts),
            full_adder=adder is not None,
            flip=library.register is not None and library.register.inverting,
            estimated=timed and opensta() is None,
        )
        (folder / "run.ys").write_text(script)
        log, version = run("run.ys", folder=folder, timeout=timeout)
        netlist = json.loads((folder / NETLIST_FILE).read_text())
        size(netlist, Strengths.of(library.cells, library.registers, recipe.load_share))
        (folder / NETLIST_FILE).write_text(json.dumps(netlist))
        (folder / "finish.ys").write_text(FINISH)
        run("finish.ys", folder=folder, timeout=timeout)
        timing = None
        if timed:
            timing = static_timing(
                MAPPED_FILE, top=design.top, libraries=liberties, folder=folder, timeout=timeout
            )
        return _Outcome(
            cells={
                name: Counter(cell["type"] for cell in body["cells"].values())
                for name, body in reversed(modules_in_use(netlist).items())
            },
            log=log,
            yosys=version,
            verilog=(folder / MAPPED_FILE).read_text(),
            timing=timing,
        )


def _instances(cells: dict[str, Counter[str]], top: str) -> dict[str, int]:
    """How often each kind of module stands in the design, the top first."""
    counts: dict[str, int] = {}

    def visit(name: str, count: int) -> None:
        counts[name] = counts.get(name, 0) + count
        for cell, number in cells[name].items():
            if cell in cells:
                visit(cell, count * number)

    visit(top, 1)
    return counts


def _area(cells: Counter[str], library: Library, modules: dict[str, int]) -> float:
    """Area of a module's own cells, without its submodules."""
    total = 0.0
    for cell, number in cells.items():
        if cell in modules:
            continue
        if cell not in library.areas:
            raise InputError(f"{library.name}: no area for {cell}, which Yosys left in the netlist")
        total += number * library.areas[cell]
    return total


def _delay(found: _Outcome, modules: dict[str, int], *, timed: bool) -> dict[str, Any]:
    """The result's members about time."""
    if not timed:
        return {"delay_ps": None, "delay_source": "unknown: not asked for, or the library has no times"}
    if opensta() and not found.timing:
        return {"delay_ps": None, "delay_source": "unknown: OpenSTA finds no path with a time"}
    if found.timing:
        path = f"{found.timing.start} to {found.timing.end}"
        return {
            "delay_ps": found.timing.delay_ps,
            "delay_source": found.timing.source,
            "longest_path": path,
        }
    delays = _estimates(found.log, modules)
    return {"delay_ps": max(delays.values(), default=None), "delay_source": ABC_SOURCE}


def _estimates(log: str, modules: dict[str, int]) -> dict[str, float]:
    """Delay in ps by module as abc estimates it, from Yosys' log; a later mapping replaces an earlier."""
    delays: dict[str, float] = {}
    module = ""
    for line in log.splitlines():
        if start := _MODULE.search(line):
            module = start[1]
        elif (delay := _DELAY.search(line)) and module in modules:
            delays[module] = float(delay[1])
    return delays
