"""Technology of the energy and memory models: constants with unit and source, from one TOML file."""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass, fields
from importlib import resources
from pathlib import Path
from typing import Any

from pact_hw.errors import InputError
from pact_hw.files import read

UNITS = {
    "node": "nm",
    "multiply_8x8": "pJ",
    "add_per_bit": "pJ/bit",
    "sram_small_per_bit": "pJ/bit",
    "sram_large_per_bit": "pJ/bit",
    "dram_per_bit": "pJ/bit",
    "sram_bitcell": "um2",
    "sram_array_efficiency": "1",
    "sram_port_area": "1",
}


@dataclass(frozen=True, kw_only=True)
class Process:
    """One process; units in the names."""

    name: str
    node_nm: float
    multiply_8x8_pj: float
    """An 8 x 8-bit product; others in proportion to the product of their widths."""
    add_pj_per_bit: float
    sram_small_pj_per_bit: float
    """A macro of 8 KB, beside the array."""
    sram_large_pj_per_bit: float
    """A macro of 1 MB: what the chip's memory is made of."""
    dram_pj_per_bit: float
    sram_bitcell_um2: float
    sram_array_efficiency: float
    """Cells over the whole macro."""
    sram_port_area: float
    """What each port beyond the first adds, over the area of a macro with one."""
    sources: dict[str, str]
    """Where each constant is from, by its name in the file."""

    def sram_um2(self, size_bytes: float, *, ports: int = 1) -> float:
        """Area of on-chip memory whose macros have ``ports`` ports, each to read or to write."""
        one_port = size_bytes * 8 * self.sram_bitcell_um2 / self.sram_array_efficiency
        return one_port * (1 + self.sram_port_area * (ports - 1))


def _member(name: str) -> str:
    """The attribute of ``Process`` that holds constant ``name`` of the file."""
    unit = UNITS[name]
    if unit == "pJ/bit":
        return name.removesuffix("_per_bit") + "_pj_per_bit"
    return name if unit == "1" else f"{name}_{unit.lower()}"


def processes(path: Path | None = None) -> dict[str, Process]:
    """The processes of a TOML file by name; None: the packaged ones.

    Raises:
        InputError: the file is missing or no TOML, or a constant is missing, unknown, not positive, in
            another unit, or without source.
    """
    if path is None:
        text = (resources.files("analysis") / "data" / "processes.toml").read_text(encoding="utf-8")
        tables = tomllib.loads(text)
    else:
        tables = read(path, lambda: tomllib.loads(path.read_text(encoding="utf-8")))
    where = path or "processes.toml"
    if not tables:
        raise InputError(f"{where}: has no process: a table such as [7nm] with {', '.join(UNITS)}")
    return {name: _process(f"{where}: [{name}]", name, table) for name, table in tables.items()}


def _process(where: str, name: str, table: Any) -> Process:
    if not isinstance(table, dict) or set(table) != set(UNITS):
        given = sorted(table) if isinstance(table, dict) else table
        raise InputError(f"{where} must have exactly {', '.join(UNITS)}, not {given!r}")
    values = {_member(key): _value(f"{where} {key}", UNITS[key], entry) for key, entry in table.items()}
    sources = {key: str(entry["source"]) for key, entry in table.items()}
    return Process(name=name, sources=sources, **values)


def _value(where: str, unit: str, entry: Any) -> float:
    if not isinstance(entry, dict) or set(entry) != {"value", "unit", "source"} or not entry["source"]:
        raise InputError(f"{where} must have value, unit and source, not {entry!r}")
    if entry["unit"] != unit:
        raise InputError(f"{where} must be in {unit}, not {entry['unit']!r}")
    value = entry["value"]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise InputError(f"{where} must be a positive number, not {value!r}")
    return float(value)


def between(low: Process, high: Process, node_nm: float) -> Process:
    """A process between two: every constant a power of the node, drawn through both.

    That is an interpolation and no measurement: its name and its sources say so.
    """
    part = math.log(node_nm / low.node_nm) / math.log(high.node_nm / low.node_nm)
    name = f"{node_nm:g}nm, interpolated"
    source = f"interpolated: a power of the node, through {low.name} and {high.name}"
    values = {
        field.name: getattr(low, field.name) ** (1 - part) * getattr(high, field.name) ** part
        for field in fields(Process)
        if field.name not in ("name", "sources")
    }
    return Process(name=name, sources=dict.fromkeys(UNITS, source), **values)


def paper_process() -> Process:
    """The node of the paper's chip, 14 nm."""
    known = processes()
    return between(known["7nm"], known["45nm"], 14.0)
