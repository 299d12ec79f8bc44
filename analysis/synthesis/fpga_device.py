"""The FPGAs that open tools place and route for, as data."""

from __future__ import annotations

from dataclasses import dataclass

from pact_hw.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Family:
    """One family of FPGAs: how Yosys maps to it and what its cells count."""

    name: str
    synth: str
    """The Yosys pass. Without wide multiplexers: they take two LUTs each where one would do."""
    dsp: str
    """Its option for multipliers in DSP blocks."""
    no_dsp: str
    luts: dict[str, int]
    """LUTs in each kind of cell. A cell of a carry chain or memory counts as the LUTs that it takes."""
    ff: str
    """How the names of flip-flops begin."""
    dsp_cell: str
    ram_cell: str
    logic_cell: str
    """What nextpnr counts: a LUT (ECP5), or a LUT and a flip-flop (iCE40)."""
    scan_cells: str
    """What of the scan chain takes such cells: its ``"scan_luts"`` or its ``"scan_ffs"``."""


@dataclass(frozen=True, kw_only=True)
class Device:
    """One chip."""

    family: Family
    name: str
    options: tuple[str, ...]
    """Of nextpnr."""
    has_dsp: bool = True


_ECP5 = Family(
    name="ecp5",
    synth="synth_ecp5 -nowidelut",
    dsp="",
    no_dsp="-nodsp",
    luts={"LUT4": 1, "CCU2C": 2, "TRELLIS_DPR16X4": 4},
    ff="TRELLIS_FF",
    dsp_cell="MULT18X18D",
    ram_cell="DP16KD",
    logic_cell="TRELLIS_COMB",
    scan_cells="scan_luts",
)
_ICE40 = Family(
    name="ice40",
    synth="synth_ice40",
    dsp="-dsp",
    no_dsp="",
    luts={"SB_LUT4": 1},
    ff="SB_DFF",
    dsp_cell="SB_MAC16",
    ram_cell="SB_RAM40_4K",
    logic_cell="ICESTORM_LC",
    scan_cells="scan_ffs",
)


def _ecp5(size: str) -> Device:
    options = (f"--{size}", "--package", "CABGA381", "--speed", "6", "--lpf-allow-unconstrained")
    return Device(family=_ECP5, name=size, options=options)


def _ice40(name: str, package: str, *, has_dsp: bool = False) -> Device:
    options = (f"--{name}", "--package", package, "--pcf-allow-unconstrained")
    return Device(family=_ICE40, name=name, options=options, has_dsp=has_dsp)


DEVICES = {
    "ecp5": {size: _ecp5(size) for size in ("85k", "45k", "25k", "12k")},
    "ice40": {
        "hx8k": _ice40("hx8k", "ct256"),
        "hx1k": _ice40("hx1k", "tq144"),
        "lp8k": _ice40("lp8k", "cm225"),
        "up5k": _ice40("up5k", "sg48", has_dsp=True),
    },
}
"""Of each family, the first is taken where none is named. ECP5 at its slowest speed grade, 6."""


def device_of(family: str, name: str | None) -> Device:
    """The device ``name`` of ``family``; None: the first.

    Raises:
        InputError: there is no such family or device.
    """
    if family not in DEVICES:
        raise InputError(f"--fpga {family}: there is {' or '.join(DEVICES)}")
    devices = DEVICES[family]
    if name is None:
        return next(iter(devices.values()))
    if name not in devices:
        raise InputError(f"--device {name}: of {family} there is {' or '.join(devices)}")
    return devices[name]
