"""A generated design as it lies on disk: Verilog, and beside it the sealed ``design.json``.

``rtl_gen`` writes such folders; simulation and synthesis read them through ``load_design``, so that
nobody works on a file that is not what was generated.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import InputError
from .files import read, read_json, write_json
from .spec import CoreSpec, HardwareSpec, digest, seal, unseal
from .spec.program import FIELDS, TRANSFER_FIELDS

MANIFEST = "design.json"
PROGRAM_FORMAT = "program format"
"""The member of a core's ``versions`` that says which programs it understands."""


def program_format() -> str:
    """Digest of how a program lies in memory: a core runs programs of its own format only."""
    return digest([[list(field) for field in fields] for fields in (FIELDS, TRANSFER_FIELDS)])


@dataclass(frozen=True, kw_only=True)
class Port:
    """One port of the generated top module; every port is unsigned in Verilog."""

    name: str
    direction: str
    """``"input"`` or ``"output"``."""
    width: int
    description: str


@dataclass(frozen=True, kw_only=True)
class Design:
    """A folder with generated Verilog, checked against its manifest."""

    folder: Path
    hardware: HardwareSpec
    """The array; a core's array where the design is a core."""
    ports: tuple[Port, ...]
    versions: dict[str, str]
    core: CoreSpec | None = None

    @property
    def top(self) -> str:
        """The top module's name."""
        return self.hardware.name

    @property
    def digest(self) -> str:
        """Of the description that the design was generated from."""
        return self.hardware.digest if self.core is None else self.core.digest

    def runnable_core(self) -> CoreSpec:
        """The core, if programs of today's format run on it.

        Raises:
            InputError: the design is an array, or a core of another format.
        """
        if self.core is None:
            raise InputError(f"{self.folder}: is an array, not a core; generate it with --core")
        if self.versions.get(PROGRAM_FORMAT) != program_format():
            raise InputError(f"{self.folder}: the core is for programs of another format; generate it again")
        return self.core

    @property
    def verilog(self) -> Path:
        """The Verilog file: every module of the design."""
        return self.folder / f"{self.top}.v"

    @property
    def manifest(self) -> Path:
        """The sealed JSON beside the Verilog."""
        return self.folder / MANIFEST


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def save_manifest(design: Design) -> None:
    """Write ``design.json`` for Verilog that was just written."""
    spec = design.hardware
    body: dict[str, Any] = {
        **({} if design.core is None else {"core": design.core.to_json()}),
        "hardware": spec.to_json(),
        "hardware_digest": design.digest,
        "verilog": design.verilog.name,
        "verilog_sha256": _sha256(design.verilog),
        "macs_per_cycle": spec.macs_per_cycle,
        "acc_bits": spec.acc_bits,
        "latency_cycles": spec.latency_cycles,
        "ports": [vars(port) for port in design.ports],
        "versions": design.versions
        if design.core is None
        else {PROGRAM_FORMAT: program_format(), **design.versions},
    }
    write_json(design.manifest, seal(body))


def load_design(folder: Path) -> Design:
    """The design in ``folder``.

    Raises:
        InputError: a file is missing or was edited since it was generated.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    manifest = folder / MANIFEST
    body = unseal(read_json(manifest), name=str(manifest))
    try:
        core = CoreSpec.from_json(body["core"]) if "core" in body else None
        design = Design(
            folder=folder,
            hardware=HardwareSpec.from_json(body["hardware"]) if core is None else core.array,
            core=core,
            ports=tuple(Port(**port) for port in body["ports"]),
            versions=body["versions"],
        )
        expected = body["verilog_sha256"]
    except (KeyError, TypeError) as error:
        raise InputError(f"{manifest}: {type(error).__name__}: {error}") from None
    if read(design.verilog, lambda: _sha256(design.verilog)) != expected:
        raise InputError(f"{design.verilog}: was edited since it was generated; generate it again")
    return design
