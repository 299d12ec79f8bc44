"""From a generated design to cells, area and delay.

What is counted: every cell of the design (registers, accumulators, corrections, control, requantiser),
before placement: no wires, no clock tree, no scan. The hierarchy is kept: each kind of module is
synthesised once and multiplied by its number of instances, so a 64 x 64 array takes as long as a small
one; nothing is optimised across the borders of modules.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pact_hw
from analysis.technology import generic_liberty
from pact_hw.design import Design
from pact_hw.errors import InputError
from pact_hw.files import write_text
from pact_hw.progress import SILENT, Progress

from . import polarity
from .gate_level import models
from .liberty import (
    Cell,
    FullAdder,
    Register,
    and_or,
    cells,
    full_adder,
    half_adder,
    missing,
    nand2,
    read_liberty,
    register,
)
from .mapping import mapping_files
from .recipe import (
    ABC_FILE,
    FULL_ADDERS,
    MAPPED_FILE,
    NETLIST_FILE,
    PREPARE,
    STAT_FILE,
    VERILOG_FILE,
    Recipe,
    library_file,
)
from .yosys import run

DELAY_SOURCE = (
    "abc's estimate: longest combinational path within one kind of module, in plain gates "
    "(no full-adder cells), without wires and flip-flops"
)
_MODULE = re.compile(r"Extracting gate netlist of module `\\?(.*?)' to")
_DELAY = re.compile(r"\bDelay = +([\d.]+) ps")


@dataclass(frozen=True, kw_only=True)
class Library:
    """One cell library, from one or several Liberty files, or the built-in generic one."""

    name: str
    texts: tuple[str, ...]
    full_adder: FullAdder | None
    half_adder: FullAdder | None
    register: Register | None
    nand2: Cell | None
    and_or: Cell | None
    """(a & b) | (c & d)."""
    buffers: tuple[Cell, ...]
    areas: dict[str, float]
    cells: tuple[Cell, ...]

    @classmethod
    def of(cls, liberty: Sequence[Path]) -> Library:
        """Read ``liberty`` (none: the generic library).

        Raises:
            InputError: a file is missing or damaged, or the files together lack a kind of cell that
                every design needs.
        """
        name = " + ".join(path.name for path in liberty) or "generic"
        texts = tuple(read_liberty(path) for path in liberty) or (generic_liberty(),)
        found = [cell for text in texts for cell in cells(text)]
        if lacking := missing(found):
            raise InputError(f"{name}: no usable {lacking} among its {len(found)} cells: give all its files")
        return cls(
            name=name,
            texts=texts,
            full_adder=full_adder(found),
            half_adder=half_adder(found),
            register=next(filter(None, (register(text, cells(text)) for text in texts)), None),
            nand2=nand2(found),
            and_or=and_or(found),
            buffers=tuple(
                cell for cell in found if len(cell.inputs) == 1 and list(cell.tables().values()) == [0b10]
            ),
            cells=tuple(found),
            areas={cell.name: cell.area for cell in found if cell.area is not None},
        )


def synthesise(
    design: Design,
    liberty: Sequence[Path] = (),
    *,
    progress: Progress = SILENT,
    timeout: float = 1800.0,
    recipe: Recipe = FULL_ADDERS,
    netlist: Path | None = None,
) -> dict[str, Any]:
    """Cells and area of ``design`` in a cell library, as JSON members (docs/commands.md).

    Args:
        design: what ``rtl_gen`` wrote.
        liberty: Liberty files (plain or .gz) of one library; none: the built-in generic library, and
            areas in NAND2 gate equivalents (``area_ge``) instead of um2 (``area_um2``).
        progress: listener.
        timeout: seconds for Yosys.
        recipe: what Yosys is asked to do.
        netlist: where to write the netlist as Verilog, with a model of each cell (``gate_level``).

    Raises:
        InputError: a library is unusable, there is no Yosys, or it refuses or does not finish.
    """
    library = Library.of(liberty)
    with progress.task(f"Yosys: {design.top} in {library.name}"):
        try:
            log, stat, version, mapped = _run(design, library, recipe, timeout)
        except InputError as error:
            raise InputError(f"{design.top} with {library.name}: {error}") from None
    instances = _instances(stat, design.top)
    area = {name: _area(stat[name], library, stat) for name in instances}
    kinds: dict[str, int] = {}
    for name, count in instances.items():
        for cell, number in _leaf_cells(stat[name], stat).items():
            kinds[cell] = kinds.get(cell, 0) + count * number
    if netlist is not None:
        registers = [library.register] if library.register else []
        write_text(netlist, mapped + "\n" + models(library.cells, registers, kinds))
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
        "delay_ps": max(_delays(log, instances).values(), default=None) if liberty else None,
        "delay_source": DELAY_SOURCE if liberty else "unknown: the generic library has no times",
        "full_adder_cell": library.full_adder and library.full_adder.cell,
        "recipe": recipe.to_json(),
        "versions": {"yosys": version, "pact_hw": pact_hw.__version__},
    }


def _run(
    design: Design, library: Library, recipe: Recipe, timeout: float
) -> tuple[str, dict[str, Any], str, str]:
    """Yosys' log, its statistics by module name, its version, and the netlist."""
    with tempfile.TemporaryDirectory(prefix="pact-hw-synth-") as name:
        folder = Path(name)
        (folder / VERILOG_FILE).write_bytes(design.verilog.read_bytes())
        (folder / ABC_FILE).write_text("\n".join(recipe.abc) + "\n")
        for index, text in enumerate(library.texts):
            (folder / library_file(index)).write_text(text)
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
        )
        (folder / "run.ys").write_text(script)
        log, version = run("run.ys", folder=folder, timeout=timeout)
        stat = json.loads((folder / STAT_FILE).read_text())
        mapped = (folder / MAPPED_FILE).read_text()
    return (
        log,
        {module.removeprefix("\\"): value for module, value in stat["modules"].items()},
        version,
        mapped,
    )


def _instances(stat: dict[str, Any], top: str) -> dict[str, int]:
    """How often each kind of module stands in the design, the top first."""
    counts: dict[str, int] = {}

    def visit(name: str, count: int) -> None:
        counts[name] = counts.get(name, 0) + count
        for cell, number in stat[name]["num_cells_by_type"].items():
            if cell in stat:
                visit(cell, count * number)

    visit(top, 1)
    return counts


def _leaf_cells(module: dict[str, Any], stat: dict[str, Any]) -> dict[str, int]:
    return {cell: number for cell, number in module["num_cells_by_type"].items() if cell not in stat}


def _area(module: dict[str, Any], library: Library, stat: dict[str, Any]) -> float:
    """Area of a module's own cells, without its submodules."""
    total = 0.0
    for cell, number in _leaf_cells(module, stat).items():
        if cell not in library.areas:
            raise InputError(f"{library.name}: no area for {cell}, which Yosys left in the netlist")
        total += number * library.areas[cell]
    return total


def _delays(log: str, modules: dict[str, int]) -> dict[str, float]:
    """Delay in ps by module as abc estimates it, from Yosys' log; a later mapping replaces an earlier."""
    delays: dict[str, float] = {}
    module = ""
    for line in log.splitlines():
        if start := _MODULE.search(line):
            module = start[1]
        elif (delay := _DELAY.search(line)) and module in modules:
            delays[module] = float(delay[1])
    return delays
