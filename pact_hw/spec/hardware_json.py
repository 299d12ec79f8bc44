"""A ``HardwareSpec`` as JSON members, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import InputError
from .formats import ActFormat, WeightEncoding, WeightFormat
from .kinds import Dataflow, Drain, MacKind
from .requantiser import RequantiserKind, RequantiserSpec

if TYPE_CHECKING:
    from .hardware import HardwareSpec


def to_members(spec: HardwareSpec) -> dict[str, Any]:
    """The members of ``spec``."""
    requantiser = spec.requantiser and {
        "kind": spec.requantiser.kind.value,
        "mult_bits": spec.requantiser.mult_bits,
        "add_bits": spec.requantiser.add_bits,
        "max_shift": spec.requantiser.max_shift,
        "level_bits": spec.requantiser.level_bits,
        "residual_bits": spec.requantiser.residual_bits,
    }
    return {
        "name": spec.name,
        "act_bits": spec.act.bits,
        "weight_bits": spec.weight.bits,
        "weight_encoding": spec.weight.encoding.value,
        "rows": spec.rows,
        "cols": spec.cols,
        "lanes": spec.lanes,
        "dataflow": spec.dataflow.value,
        "mac_kind": spec.mac_kind.value,
        "max_reduction": spec.max_reduction,
        "acc_bits": spec.acc_bits,
        "requantiser": requantiser,
        # Members that most arrays lack are not written, so that digests stay what they were.
        **({"narrowest_bits": spec.narrowest_bits} if spec.narrowest_bits else {}),
        **({"tree_stages": spec.tree_stages} if spec.tree_stages else {}),
        **({"pipeline": spec.pipeline} if spec.pipeline else {}),
        **({"drain": spec.drain.value} if spec.drain is not Drain.SHIFT else {}),
    }


def from_members(members: Any) -> dict[str, Any]:
    """What ``HardwareSpec`` is to be constructed with.

    Raises:
        InputError: a member is missing or unknown.
    """
    try:
        requantiser = members["requantiser"]
        if requantiser is not None:
            kind = RequantiserKind(requantiser["kind"])
            requantiser = RequantiserSpec(**{**requantiser, "kind": kind})
        weight = WeightFormat(
            bits=members["weight_bits"], encoding=WeightEncoding(members["weight_encoding"])
        )
        return {
            "act": ActFormat(bits=members["act_bits"]),
            "weight": weight,
            "rows": members["rows"],
            "cols": members["cols"],
            "lanes": members["lanes"],
            "name": members["name"],
            "dataflow": Dataflow(members["dataflow"]),
            "mac_kind": MacKind(members["mac_kind"]),
            "max_reduction": members["max_reduction"],
            "requantiser": requantiser,
            "acc_bits": members["acc_bits"],
            "narrowest_bits": members.get("narrowest_bits", 0),
            "tree_stages": members.get("tree_stages", 0),
            "pipeline": members.get("pipeline", 0),
            "drain": Drain(members.get("drain", Drain.SHIFT.value)),
        }
    except InputError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"hardware description: {type(error).__name__}: {error}") from None
