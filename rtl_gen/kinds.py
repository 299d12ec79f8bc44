"""Which array is built of a description."""

from __future__ import annotations

from pact_hw.spec import HardwareSpec, MacKind

from .composable import ComposableArray
from .output_stationary import OutputStationaryArray
from .serial import SerialArray

KINDS: dict[MacKind, type[OutputStationaryArray]] = {
    MacKind.FIXED: OutputStationaryArray,
    MacKind.COMPOSABLE: ComposableArray,
    MacKind.BIT_SERIAL: SerialArray,
}


def output_stationary_array(spec: HardwareSpec, *, module_name: str | None = None) -> OutputStationaryArray:
    """The output-stationary array of ``spec``."""
    return KINDS[spec.mac_kind](spec, module_name=module_name)
