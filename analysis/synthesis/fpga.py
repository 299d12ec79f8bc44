"""From a generated design to the LUTs, flip-flops, DSP blocks and clock of an FPGA.

Yosys maps, nextpnr places and routes. A design has more ports than a chip has pins, so it stands behind a
scan chain (``scan``), whose cells are in no count. Yosys reads what simulation runs, sums and products as
operators, not the placed adders that are made for cell libraries: FPGAs have carry chains and multipliers.
Each kind of module is mapped once, as in ``run``.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any

import pact_hw
from pact_hw.design import Design
from pact_hw.errors import InputError
from pact_hw.files import read_json, write_json
from pact_hw.progress import SILENT, Progress

from . import child, yosys
from .fpga_device import Device, device_of
from .scan import SCAN_TOP, scan_chain

TARGET_MHZ = 400
"""What nextpnr is asked for: more than it can reach, so that it gives its best."""
_PORTS = "read_verilog -nosynthesis design.v\nhierarchy -check -top {top}\nproc\nwrite_json ports.json\n"
_MAP = """\
read_verilog -nosynthesis design.v
hierarchy -check -top {top}
setattr -mod -set keep_hierarchy 1 *
read_verilog scan.v
{synth} -top {scan}
delete */t:$scopeinfo
write_json parts.json
setattr -mod -unset keep_hierarchy *
flatten
opt_clean -purge
delete */t:$scopeinfo
write_json flat.json
"""


def place_and_route(
    design: Design,
    *,
    family: str,
    cache: Path,
    device: str | None = None,
    dsp: bool = False,
    seeds: int = 1,
    progress: Progress = SILENT,
    timeout: float = 1800.0,
) -> dict[str, Any]:
    """LUTs, flip-flops, DSP blocks and clock of ``design`` on an FPGA, as JSON members (docs/commands.md).

    Args:
        design: what ``rtl_gen`` wrote.
        family: ``"ecp5"`` or ``"ice40"``.
        cache: folder of results by content (Verilog, device, seed, versions): none is made twice.
        device: a chip of the family; None: its largest.
        dsp: whether multipliers go to DSP blocks.
        seeds: how many placements are tried: 1, 2, ..., ``seeds``.
        progress: listener.
        timeout: seconds for each program.

    Raises:
        InputError: a choice is not allowed, a tool is missing, or the design does not fit.
    """
    chip = device_of(family, device)
    if dsp and not chip.has_dsp:
        raise InputError(f"--dsp: {family} {chip.name} has no DSP blocks")
    if seeds < 1:
        raise InputError(f"--seeds {seeds}: 1 or more")
    program, version = _nextpnr(family)
    versions = {"yosys": yosys.command("")[1], "nextpnr": version, "pact_hw": pact_hw.__version__}
    verilog = design.verilog.read_text(encoding="utf-8")
    asked = [design.top, verilog, chip.family.synth, dsp, chip.options, TARGET_MHZ, versions]
    found = []
    with progress.task(f"nextpnr: {design.top} on {family} {chip.name}", total=seeds) as advance:
        for seed in range(1, seeds + 1):
            key = hashlib.sha256(json.dumps([*asked, seed]).encode()).hexdigest()
            kept = cache / f"{key}.json"
            if not kept.exists():
                try:
                    write_json(kept, _run(design.top, verilog, chip, program, seed, timeout, dsp=dsp))
                except InputError as error:
                    raise InputError(f"{design.top} on {family} {chip.name}: {error}") from None
            found.append(read_json(kept))
            advance(1)
    macs = design.hardware.macs_per_cycle
    clocks = [one["fmax_mhz"] for one in found]
    return {
        "design": design.top,
        "digest": design.digest,
        "family": family,
        "device": chip.name,
        "macs_per_cycle": macs,
        **found[0],
        "luts_per_mac": found[0]["luts"] / macs,
        "fmax_mhz": round(median(clocks), 2),
        "fmax_mhz_by_seed": clocks,
        "fmax_source": (
            "nextpnr, after routing, between registers (the scan chain's too); median over the seeds"
        ),
        "versions": versions,
    }


def _nextpnr(family: str) -> tuple[list[str], str]:
    """The command of nextpnr for ``family``, and its version: a native one on PATH, or the package's."""
    native = shutil.which(f"nextpnr-{family}")
    if native:
        done = subprocess.run([native, "--version"], capture_output=True, text=True, timeout=60)
        return [native], (done.stdout + done.stderr).strip()
    package = f"yowasp-nextpnr-{family}"
    module = package.replace("-", "_")
    if importlib.util.find_spec(module) is None:
        raise InputError(f"nextpnr for {family} is missing: pip install {package} (or pact-hw[fpga])")
    code = f"import {module} as m, sys; sys.exit(m.run_nextpnr_{family}(sys.argv[1:]))"
    return [sys.executable, "-c", code], importlib.metadata.version(package)


def _run(
    top: str, verilog: str, chip: Device, program: list[str], seed: int, timeout: float, *, dsp: bool
) -> dict[str, Any]:
    family = chip.family
    with tempfile.TemporaryDirectory(prefix="pact-hw-fpga-") as name:
        folder = Path(name)
        (folder / "design.v").write_text(verilog)
        (folder / "ports.ys").write_text(_PORTS.format(top=top))
        yosys.run("ports.ys", folder=folder, timeout=timeout)
        described = json.loads((folder / "ports.json").read_text())["modules"][top]["ports"]
        ports = {port: (one["direction"], len(one["bits"])) for port, one in described.items()}
        (folder / "scan.v").write_text(scan_chain(top, ports))
        synth = f"{family.synth} {family.dsp if dsp else family.no_dsp}"
        (folder / "map.ys").write_text(_MAP.format(top=top, synth=synth, scan=SCAN_TOP))
        yosys.run("map.ys", folder=folder, timeout=timeout)
        arguments = ["--json", "flat.json", "--report", "report.json", "--seed", str(seed), "--quiet"]
        options = [*chip.options, "--freq", str(TARGET_MHZ), "--timing-allow-fail"]
        chain, whole = _cells(folder / "parts.json"), _cells(folder / "flat.json")
        try:
            child.run("nextpnr", [*program, *arguments, *options], folder=folder, timeout=timeout)
        except InputError as error:
            if "no BELs remaining" not in str(error):
                raise
            need = _counted(chip, whole)
            raise InputError(
                f"it does not fit: {need['luts']:,} LUTs, {need['ffs']:,} flip-flops, {need['dsps']:,} DSP "
                f"blocks and {need['rams']:,} block RAMs are needed, the scan chain's included"
            ) from None
        report = json.loads((folder / "report.json").read_text())
    found = _counted(chip, whole - chain) | {
        f"scan_{name}": number for name, number in _counted(chip, chain).items() if name in ("luts", "ffs")
    }
    placed = report["utilization"][chip.family.logic_cell]
    ((_, clock),) = report["fmax"].items()
    return found | {
        "logic_cells": placed["used"] - found[chip.family.scan_cells],
        "logic_cells_of_device": placed["available"],
        "fmax_mhz": round(clock["achieved"], 2),
    }


def _cells(netlist: Path) -> Counter[str]:
    """The cells of the scan chain's module in ``netlist``, by kind."""
    module = json.loads(netlist.read_text())["modules"][SCAN_TOP]
    return Counter(cell["type"] for cell in module["cells"].values())


def _counted(chip: Device, cells: Counter[str]) -> dict[str, int]:
    family = chip.family
    return {
        "luts": sum(cells[kind] * luts for kind, luts in family.luts.items()),
        "ffs": sum(count for kind, count in cells.items() if kind.startswith(family.ff)),
        "dsps": cells[family.dsp_cell],
        "rams": cells[family.ram_cell],
    }
