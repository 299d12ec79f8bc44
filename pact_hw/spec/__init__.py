"""The one contract between the rooms: formats, requantiser, hardware, network, schedule.

Frozen dataclasses of the standard library only. A bad value is refused at construction with the
value quoted; everything can be written as canonical JSON and has a SHA-256 digest.
"""

from .canonical import SCHEMA_VERSION, canonical_json, digest, seal, unseal
from .core import CoreSpec
from .formats import (
    MAX_BITS,
    ActEncoding,
    ActFormat,
    WeightEncoding,
    WeightFormat,
    accumulator_range,
    signed_bits,
)
from .hardware import HardwareSpec
from .kinds import Dataflow, Drain, MacKind
from .layer import LayerKind, LayerSpec
from .network import NetworkSpec
from .requantiser import RequantiserKind, RequantiserSpec
from .requantiser_area import requantiser_um2, with_smaller_requantiser
from .schedule import MatrixSchedule, schedule

__all__ = [
    "MAX_BITS",
    "SCHEMA_VERSION",
    "ActEncoding",
    "ActFormat",
    "CoreSpec",
    "Dataflow",
    "Drain",
    "HardwareSpec",
    "LayerKind",
    "LayerSpec",
    "MacKind",
    "MatrixSchedule",
    "NetworkSpec",
    "RequantiserKind",
    "RequantiserSpec",
    "WeightEncoding",
    "WeightFormat",
    "accumulator_range",
    "canonical_json",
    "digest",
    "requantiser_um2",
    "schedule",
    "seal",
    "signed_bits",
    "unseal",
    "with_smaller_requantiser",
]
