"""What a generated array is: shape, formats, dataflow, exact accumulator width."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from ..errors import InputError
from .canonical import digest
from .formats import ActFormat, WeightFormat, accumulator_range, check_int, signed_bits
from .hardware_json import from_members, to_members
from .kinds import Dataflow, Drain, MacKind
from .requantiser import MAX_THRESHOLD_BITS, RequantiserKind, RequantiserSpec

MAX_TREE_STAGES = 16
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")


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
    pipeline: int = 0
    """PEs between two registers of the operands on their way through the array, 1 in a systolic one;
    0: operands reach all PEs at once. Weight stationary: of the activations, on their way along a row."""
    drain: Drain = Drain.SHIFT

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
        check_int("pipeline", self.pipeline, 0, 1024)
        if self.tree_stages and not self._may_have_stages:
            raise InputError(
                "tree_stages needs a fixed output-stationary array, not a "
                f"{self.mac_kind.value} {self.dataflow.value} one"
            )
        self._check_drain()
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

    def _check_drain(self) -> None:
        if not isinstance(self.drain, Drain):
            raise InputError(f"drain must be a Drain, not {self.drain!r}")
        if self.drain is Drain.SHIFT:
            return
        if self.dataflow is not Dataflow.OUTPUT_STATIONARY:
            raise InputError(
                f"a {self.drain.value} drain needs the output-stationary dataflow, not {self.dataflow.value}"
            )
        if self.requantiser:
            raise InputError(
                f"a requantiser takes a column a cycle: drain must be shift, not {self.drain.value}"
            )

    def _check_modes(self) -> None:
        if self.mac_kind is not MacKind.FIXED and self.dataflow is not Dataflow.OUTPUT_STATIONARY:
            raise InputError(f"a {self.mac_kind.value} array is output-stationary, not {self.dataflow.value}")
        if self.mac_kind is not MacKind.COMPOSABLE:
            if self.narrowest_bits != 0:
                kind, bits = self.mac_kind.value, self.narrowest_bits
                raise InputError(f"narrowest_bits of a {kind} array must be 0, not {bits!r}")
            return
        if self.narrowest_bits == 0:
            object.__setattr__(self, "narrowest_bits", 2)
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
        """Operand bits that an array can be set to at run time, widest first; of a fixed one none.

        Composable: of both operands, ``in_mode`` is the index. Bit-serial: of activations, any.
        """
        if self.mac_kind is MacKind.BIT_SERIAL:
            return tuple(range(self.act.bits, 0, -1))
        if self.mac_kind is MacKind.FIXED:
            return ()
        halvings = (self.act.bits // self.narrowest_bits).bit_length()
        return tuple(self.act.bits >> mode for mode in range(halvings))

    def in_mode(self, bits: int | None) -> HardwareSpec:
        """What this array is when its operands have ``bits`` bits (None: the widest).

        Composable: a fixed one with more lanes, of which it has the values, cycles and order of operands;
        ports are this one's. Bit-serial: one whose activations are no wider.

        Raises:
            InputError: there is no such mode.
        """
        if bits is None and not self.modes:
            return self
        bits = self.act.bits if bits is None else bits
        if bits not in self.modes:
            only = f"modes for {', '.join(map(str, self.modes))} bits" if self.modes else "fixed widths"
            raise InputError(f"{self.name} has {only}, and none for {bits!r} bits")
        if self.mac_kind is MacKind.BIT_SERIAL:
            return replace(self, act=replace(self.act, bits=bits))
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
        return 1 << len(self.modes) - 1 if self.mac_kind is MacKind.COMPOSABLE else 1

    @property
    def beat_act_bits(self) -> int:
        """Bits of an activation in a beat."""
        return 1 if self.mac_kind is MacKind.BIT_SERIAL else self.act.bits

    @property
    def planes(self) -> int:
        """Beats that bring the bits of an activation, highest first."""
        return self.act.bits // self.beat_act_bits

    @property
    def macs_per_cycle(self) -> int:
        """Peak multiply-accumulates per cycle.

        Composable: in the widest mode; bit-serial: of 1-bit activations.
        """
        return self.rows * self.cols * self.lanes

    @property
    def values_per_beat(self) -> int:
        """Accumulators that leave the array in one output beat."""
        if self.drain is Drain.WIDE:
            return self.rows * self.cols
        return self.rows if self.dataflow is Dataflow.OUTPUT_STATIONARY else self.cols

    @property
    def drain_cycles(self) -> int:
        """Output beats of a tile; output stationary."""
        return 1 if self.drain is Drain.WIDE else self.cols

    @property
    def broadcast_cycles(self) -> int:
        """Registers of ``pipeline`` that the last PE's operands pass."""
        if not self.pipeline:
            return 0
        across = -(-self.cols // self.pipeline) - 1
        down = -(-self.rows // self.pipeline) - 1
        return across + (down if self.dataflow is Dataflow.OUTPUT_STATIONARY else 0)

    @property
    def array_latency_cycles(self) -> int:
        """Cycles from accepting a tile's last operands to offering its first (WS: that) result.

        Output stationary: one operand register, then the accumulator itself; with ``tree_stages``
        these between the two, one for the correction, and one for the result. Weight stationary:
        one operand register, then one partial-sum register per row, then the corrected output.
        In both, the registers of ``pipeline``.
        """
        if self.dataflow is not Dataflow.OUTPUT_STATIONARY:
            return self.rows + 1 + self.broadcast_cycles
        return 2 + self.broadcast_cycles + (self.tree_stages + 2 if self.tree_stages else 0)

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
        return to_members(self)

    @classmethod
    def from_json(cls, members: Any) -> HardwareSpec:
        """The spec that ``to_json`` wrote.

        Raises:
            InputError: a member is missing, unknown, or out of range.
        """
        return cls(**from_members(members))

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON: the same hardware has the same digest."""
        return digest(self.to_json())
