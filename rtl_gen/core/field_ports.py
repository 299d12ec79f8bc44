"""Ports through which a core's blocks read the fields of the operation."""

from __future__ import annotations

from collections.abc import Sequence

from pact_hw.design import Port
from pact_hw.spec import CoreSpec
from pact_hw.spec.core_widths import field_bits

from ..block import input_port


def field_ports(core: CoreSpec, names: Sequence[str]) -> list[Port]:
    """Inputs of a block that reads these fields of the operation."""
    return [input_port(name, field_bits(core, name), "of the operation") for name in names]
