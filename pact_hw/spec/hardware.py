"""What a generated array is: shape, formats, dataflow, exact accumulator width."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass, replace
from typing import Any

from ..errors import InputError
from .canonical import digest
from .formats import ActFormat, WeightEncoding, WeightFormat, accumulator_range, check_int, signed_bits
from .requantiser import MAX_THRESHOLD_BITS, RequantiserKind, RequantiserSpec

MAX_TREE_STAGES = 16
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")


class Dataflow(enum.Enum):
    """Which operand stays in the processing elements."""

    OUTPUT_STATIONARY = "output-stationary"
    """Each PE accumulates one output: rows are output pixels, cols are output channels."""
    WEIGHT_STATIONARY = "weight-stationary"
    """Each PE holds ``lanes`` weights: rows x lanes are reduction terms, cols are output channels;
    partial sums enter at the top of a column and leave at its bottom."""


class MacKind(enum.Enum):
    """How a PE multiplies."""

    FIXED = "fixed"
    """One pair of widths, set at generation."""
    COMPOSABLE = "composable"
    """One product of the widest operands, or four times as many of half the width, and so on, in each
    lane: chosen at run time, for a tile, by ``in_mode``. All are summed in one accumulator."""


@dataclass(frozen=True, kw_only=True)
class HardwareSpec:
    """One generated array, with or without a requantiser behind it.

    ``max_reduction`` is the longest sum of products that must be exact; ``acc_bits`` is derived
    from it and the formats, and a narrower one is refused (a wider one is allowed).
    """

    act: ActFormat
    weight: WeightFormat
    rows: int
    cols: int
    lanes: int
    name: str = "mac_array"
    dataflow: Dataflow = Dataflow.OUTPUT_STATIONARY
    mac_kind: MacKind = MacKind.FIXED
    max_reduction: int = 4608
    requantiser: RequantiserSpec | None = None
    acc_bits: int = 0
    narrowest_bits: int = 0
    """Of a composable array: width of its smallest operands, 2 if not given; 0 otherwise."""
    tree_stages: int = 0
    """Of a fixed output-stationary array: registers that a product may pass on its way to the accumulator.
    With any, the correction of the codes is registered as well, and so are the results."""

    def __post_init__(self) -> None:
        for dimension in ("rows", "cols", "lanes"):
            check_int(dimension, getattr(self, dimension), 1, 1024)
        check_int("max_reduction", self.max_reduction, 1, 1 << 20)
        if not _NAME.fullmatch(self.name):
            raise InputError(f"name must be a Verilog identifier ({_NAME.pattern}), not {self.name!r}")
        if not self.act.unsigned:
            raise InputError(
                f"an array's activations are unsigned, not {self.act.encoding.value}: "
                "signed levels run on it in offset binary (pact_hw.golden.offset)"
            )
        if self.requantiser and self.dataflow is not Dataflow.OUTPUT_STATIONARY:
            raise InputError(
                "a requantiser needs the output-stationary dataflow: the sums that leave a "
                f"{self.dataflow.value} array are partial"
            )
        self._check_modes()
        check_int("tree_stages", self.tree_stages, 0, MAX_TREE_STAGES)
        if self.tree_stages and not self._may_have_stages:
            raise InputError(
                "tree_stages needs a fixed output-stationary array, not a "
                f"{self.mac_kind.value} {self.dataflow.value} one"
            )
        # A reduction is padded with zero activations to whole beats, which adds nothing to any sum.
        low, high = accumulator_range(self.act, self.weight, self.max_reduction)
        thresholds = self.requantiser and self.requantiser.kind is RequantiserKind.THRESHOLD
        # A threshold that is never reached must fit.
        exact = signed_bits(low, high + 1 if thresholds else high)
        if self.acc_bits == 0:
            object.__setattr__(self, "acc_bits", exact)
        check_int("acc_bits", self.acc_bits, exact, 62)
        if self.requantiser and thresholds:
            bits = self.requantiser.threshold_bits(self.acc_bits)
            if bits > MAX_THRESHOLD_BITS:
                raise InputError(
                    f"{self.requantiser.level_bits}-bit levels with {self.requantiser.residual_bits}-bit "
                    f"residuals need {bits} bits of thresholds a channel, and at most {MAX_THRESHOLD_BITS} "
                    f"are taken: use {RequantiserKind.MULTIPLY_SHIFT.value}"
                )

    def _check_modes(self) -> None:
        if self.mac_kind is not MacKind.COMPOSABLE:
            check_int("narrowest_bits", self.narrowest_bits, 0, 0)
            return
        if self.narrowest_bits == 0:
            object.__setattr__(self, "narrowest_bits", 2)
        if self.dataflow is not Dataflow.OUTPUT_STATIONARY:
            raise InputError(f"a composable array is output-stationary, not {self.dataflow.value}")
        if self.act.bits != self.weight.bits or self.act.bits not in (4, 8, 16):
            raise InputError(
                "a composable array's widest operands are 4x4, 8x8 or 16x16 bits, "
                f"not {self.act.bits}x{self.weight.bits}"
            )
        if self.narrowest_bits not in (2, 4, 8) or self.narrowest_bits >= self.act.bits:
            raise InputError(
                f"narrowest_bits of a {self.act.bits}x{self.weight.bits} composable array must be 2, 4 or 8 "
                f"and less than {self.act.bits}, not {self.narrowest_bits!r}"
            )
        beat = self.lanes << 2 * (len(self.modes) - 1)
        check_int("lanes of the narrowest operands", beat, 1, 1024)
        check_int("max_reduction of a composable array", self.max_reduction, beat, 1 << 20)

    @property
    def _may_have_stages(self) -> bool:
        return self.dataflow is Dataflow.OUTPUT_STATIONARY and self.mac_kind is MacKind.FIXED

    @property
    def modes(self) -> tuple[int, ...]:
        """Operand bits that a composable array can be set to, widest first: ``in_mode`` is the index."""
        if self.mac_kind is not MacKind.COMPOSABLE:
            return ()
        halvings = (self.act.bits // self.narrowest_bits).bit_length()
        return tuple(self.act.bits >> mode for mode in range(halvings))

    def in_mode(self, bits: int | None) -> HardwareSpec:
        """What this array is when ``in_mode`` says ``bits`` (None: the widest): a fixed one with more lanes.

        Values, cycles and order of operands are those of the fixed array; ports are this one's.

        Raises:
            InputError: there is no such mode.
        """
        if bits is None and not self.modes:
            return self
        bits = self.act.bits if bits is None else bits
        if bits not in self.modes:
            only = f"modes for {', '.join(map(str, self.modes))} bits" if self.modes else "fixed widths"
            raise InputError(f"{self.name} has {only}, and none for {bits!r} bits")
        return replace(
            self,
            act=replace(self.act, bits=bits),
            weight=replace(self.weight, bits=bits),
            lanes=self.lanes * (self.act.bits // bits) ** 2,
            mac_kind=MacKind.FIXED,
            narrowest_bits=0,
        )

    @property
    def operand_words(self) -> int:
        """Words of the widest width that a lane's operand port has: as many as narrow values fill."""
        return 1 << max(0, len(self.modes) - 1)

    @property
    def macs_per_cycle(self) -> int:
        """Peak multiply-accumulates per cycle; of a composable array in its widest mode."""
        return self.rows * self.cols * self.lanes

    @property
    def values_per_beat(self) -> int:
        """Accumulators that leave the array in one output beat."""
        return self.rows if self.dataflow is Dataflow.OUTPUT_STATIONARY else self.cols

    @property
    def array_latency_cycles(self) -> int:
        """Cycles from accepting a tile's last operands to offering its first (WS: that) result.

        Output stationary: one operand register, then the accumulator itself; with ``tree_stages``
        these between the two, one for the correction, and one for the result. Weight stationary:
        one operand register, then one partial-sum register per row, then the corrected output.
        """
        if self.dataflow is not Dataflow.OUTPUT_STATIONARY:
            return self.rows + 1
        return 2 + (self.tree_stages + 2 if self.tree_stages else 0)

    @property
    def result_latency_cycles(self) -> int:
        """Registers behind the accumulators, in which results wait while the next tile begins."""
        return int(self.tree_stages > 0)

    @property
    def requantiser_latency_cycles(self) -> int:
        """Registers between the array's output and the level."""
        return self.requantiser.latency_cycles if self.requantiser else 0

    @property
    def latency_cycles(self) -> int:
        """Cycles from accepting the last operands to offering the first result at the ports."""
        return self.array_latency_cycles + self.requantiser_latency_cycles

    def to_json(self) -> dict[str, Any]:
        """Plain JSON members; ``from_json`` gives the same spec back."""
        requantiser = self.requantiser and {
            "kind": self.requantiser.kind.value,
            "mult_bits": self.requantiser.mult_bits,
            "add_bits": self.requantiser.add_bits,
            "max_shift": self.requantiser.max_shift,
            "level_bits": self.requantiser.level_bits,
            "residual_bits": self.requantiser.residual_bits,
        }
        return {
            "name": self.name,
            "act_bits": self.act.bits,
            "weight_bits": self.weight.bits,
            "weight_encoding": self.weight.encoding.value,
            "rows": self.rows,
            "cols": self.cols,
            "lanes": self.lanes,
            "dataflow": self.dataflow.value,
            "mac_kind": self.mac_kind.value,
            "max_reduction": self.max_reduction,
            "acc_bits": self.acc_bits,
            "requantiser": requantiser,
            # Members that most arrays lack are not written, so that digests stay what they were.
            **({"narrowest_bits": self.narrowest_bits} if self.modes else {}),
            **({"tree_stages": self.tree_stages} if self.tree_stages else {}),
        }

    @classmethod
    def from_json(cls, members: Any) -> HardwareSpec:
        """The spec that ``to_json`` wrote.

        Raises:
            InputError: a member is missing, unknown, or out of range.
        """
        try:
            requantiser = members["requantiser"]
            if requantiser is not None:
                kind = RequantiserKind(requantiser["kind"])
                requantiser = RequantiserSpec(**{**requantiser, "kind": kind})
            return cls(
                act=ActFormat(bits=members["act_bits"]),
                weight=WeightFormat(
                    bits=members["weight_bits"], encoding=WeightEncoding(members["weight_encoding"])
                ),
                rows=members["rows"],
                cols=members["cols"],
                lanes=members["lanes"],
                name=members["name"],
                dataflow=Dataflow(members["dataflow"]),
                mac_kind=MacKind(members["mac_kind"]),
                max_reduction=members["max_reduction"],
                requantiser=requantiser,
                acc_bits=members["acc_bits"],
                narrowest_bits=members.get("narrowest_bits", 0),
                tree_stages=members.get("tree_stages", 0),
            )
        except InputError:
            raise
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"hardware description: {type(error).__name__}: {error}") from None

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON: the same hardware has the same digest."""
        return digest(self.to_json())
