"""What a generated core is: an array, the buffers around it, and the widths that its layers may have.

A core runs the operations of a program (``spec.program``) one after the other::

    bus -> weight buffer ------------------------------+
    bus -> activation buffer -> patch buffer (a bank a row) -> array -> requantisers -+
                 ^       +----> residual operand, pooling windows ------------^       |
                 +--------------------------------------------------------------------+

The **activation buffer** holds whole tensors, pixel by pixel: a word is ``word_channels`` channels of
one pixel, ``act_bits`` each. Levels of more bits lie in several *planes* of ``act_bits`` bits, lowest
first; signed levels in offset binary (``golden.offset``). The loader copies what each row of the array
will read (its *patch*: a block of pixels and what surrounds it, zeros beyond the image) into that row's
bank; then all banks are read at one address. Levels and weights that are wider than the array's run in
several passes, one for each pair of slices, and are summed up behind it.

Where the array is composable, a tensor lies in codes of one of its modes' widths (``CoreMode``): as many
to a word as fit. Only what is wider than the widest mode takes planes and slices.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..errors import InputError
from .canonical import digest
from .core_mode import CoreMode, core_modes
from .formats import (
    MAX_BITS,
    ActFormat,
    WeightEncoding,
    WeightFormat,
    accumulator_range,
    check_int,
    signed_bits,
)
from .hardware import HardwareSpec
from .kinds import Dataflow, MacKind
from .program import FIELDS
from .requantiser import RequantiserKind, RequantiserSpec

RESULT_BITS = 32
"""A logit as it is written to memory, two's complement."""
ADDRESS_BITS = 32
"""Byte addresses on the bus."""


_LATER_MEMBERS = ("requantised_bits", "residual_mult_bits", "field_bits")
"""Descriptions written before there were these have none: such cores are as the defaults say."""


class Depthwise(enum.Enum):
    """How the array runs convolutions in which each channel is a group of its own."""

    NONE = "none"
    """As any groups: one operation a channel, with a word of its own for it."""
    DIAGONAL = "diagonal"
    """Each column may read a channel of its own, in one lane: a word of channels at a time."""


@dataclass(frozen=True, kw_only=True)
class CoreSpec:
    """One generated core.

    Args:
        array: The array, output stationary, with the requantiser's widths.
        widest_act_bits: Levels of layers may have up to so many bits.
        widest_weight_bits: Weights of layers may have up to so many bits.
        activation_words: Depth of the activation buffer, in words of ``word_channels`` levels.
        patch_words: Depth of one row's patch, in the same words; there are two patches a row.
        weight_words: Depth of the weight buffer, in beats of ``cols x lanes`` codes.
        constant_words: Depth of the requantiser's constants, in words of ``cols`` channels.
        program_words: Depth of the program memory, in 32-bit words.
        bus_bits: Width of the data bus.
        sum_bits: Width of a sum behind the array, two's complement; by default whatever the widest formats
            can give. While slices are summed up it may wrap; only the end must fit.
        requantised_bits: As many of a sum's bits go to the requantiser; by default all. Logits are not
            requantised, and may be wider.
        residual_mult_bits: Width of the residual operand's multiplier; by default as wide as the sum's.
        requantisers: How many there are, a divisor of ``cols``; by default as many. With fewer a row of
            sums takes ``requantise_steps`` cycles.
        depthwise: How the array runs depthwise convolutions.
        field_bits: Most bits of each of the operations' fields (``spec.program.FIELDS``); empty: as many as
            the core's sizes ask for.
    """

    array: HardwareSpec
    widest_act_bits: int = 8
    widest_weight_bits: int = 8
    activation_words: int = 16384
    patch_words: int = 1024
    weight_words: int = 1024
    constant_words: int = 128
    program_words: int = 4096
    bus_bits: int = 64
    sum_bits: int = 0
    requantised_bits: int = 0
    residual_mult_bits: int = 0
    requantisers: int = 0
    depthwise: Depthwise = Depthwise.NONE
    field_bits: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        array = self.array
        kinds = (MacKind.FIXED, MacKind.COMPOSABLE)
        if array.dataflow is not Dataflow.OUTPUT_STATIONARY or array.mac_kind not in kinds:
            raise InputError(
                "a core's array is output-stationary and fixed or composable, not "
                f"{array.dataflow.value} and {array.mac_kind.value}"
            )
        for name in ("tree_stages", "pipeline"):
            if getattr(array, name):
                raise InputError(f"a core's array has {name} 0, not {getattr(array, name)}")
        if array.requantiser is None:
            raise InputError("a core's array needs a requantiser")
        if array.requantiser.kind is not RequantiserKind.MULTIPLY_SHIFT:
            kind = array.requantiser.kind.value
            raise InputError(f"a core's requantiser multiplies and shifts, not {kind}")
        if not isinstance(self.depthwise, Depthwise):
            raise InputError(f"depthwise must be a Depthwise, not {self.depthwise!r}")
        if self.depthwise is Depthwise.DIAGONAL and array.modes:
            raise InputError(f"depthwise {self.depthwise.value} needs a fixed array, not a composable one")
        check_int("rows of a core", array.rows, 2, 1024)
        lanes = array.lanes * array.operand_words
        wide, narrow = max(lanes, array.cols), min(lanes, array.cols)
        if wide % narrow or (wide // narrow).bit_count() != 1:
            words = f" (of {array.operand_words} words each)" if array.modes else ""
            raise InputError(
                f"of a core's lanes{words} and cols one must be the other times a power of two, "
                f"not {lanes} and {array.cols}"
            )
        levels = array.requantiser.level_bits
        check_int("residual_bits of a core's requantiser", array.requantiser.residual_bits, 1, levels)
        if self.residual_mult_bits == 0:
            object.__setattr__(self, "residual_mult_bits", array.requantiser.mult_bits)
        check_int("residual_mult_bits", self.residual_mult_bits, 2, 56)
        check_int("widest_act_bits", self.widest_act_bits, array.act.bits, levels)
        check_int("widest_weight_bits", self.widest_weight_bits, array.weight.bits, MAX_BITS)
        for name in ("activation_words", "patch_words", "weight_words", "constant_words", "program_words"):
            check_int(name, getattr(self, name), 16, 1 << 24)
        if self.bus_bits not in (32, 64, 128, 256, 512):
            raise InputError(f"bus_bits must be 32, 64, 128, 256 or 512, not {self.bus_bits!r}")
        if self.sum_bits == 0:
            act = ActFormat(bits=self.widest_act_bits)
            weight = WeightFormat(bits=self.widest_weight_bits, encoding=array.weight.encoding)
            exact = signed_bits(*accumulator_range(act, weight, array.max_reduction))
            object.__setattr__(self, "sum_bits", exact)
        check_int("sum_bits", self.sum_bits, array.acc_bits, 62)
        if self.requantised_bits == 0:
            object.__setattr__(self, "requantised_bits", self.sum_bits)
        check_int("requantised_bits", self.requantised_bits, array.acc_bits, self.sum_bits)
        if self.requantisers == 0:
            object.__setattr__(self, "requantisers", array.cols)
        if self.field_bits and len(self.field_bits) != len(FIELDS):
            raise InputError(
                f"field_bits must be of {len(FIELDS)} fields, or none, not {len(self.field_bits)}"
            )
        for field, bits in zip(FIELDS, self.field_bits, strict=False):
            check_int(f"field_bits of {field.name}", bits, 1, field.bits)
        check_int("requantisers", self.requantisers, 1, array.cols)
        if array.cols % self.requantisers:
            raise InputError(
                f"requantisers must be a divisor of the {array.cols} cols, not {self.requantisers}"
            )

    @property
    def name(self) -> str:
        """The top module's name."""
        return self.array.name

    @property
    def requantiser(self) -> RequantiserSpec:
        """Widths of the requantiser's operands."""
        assert self.array.requantiser is not None
        return self.array.requantiser

    @property
    def requantise_steps(self) -> int:
        """Cycles in which a row's sums enter the requantisers."""
        return self.array.cols // self.requantisers

    @cached_property
    def modes(self) -> tuple[CoreMode, ...]:
        """How the array can be set, widest first; of a fixed one there is one way."""
        return core_modes(self.array)

    def mode(self, bits: int) -> CoreMode:
        """The narrowest mode that holds numbers of ``bits`` bits, or the widest, which takes several of."""
        return next((mode for mode in reversed(self.modes) if mode.bits >= bits), self.modes[0])

    @property
    def word_channels(self) -> int:
        """The narrowest codes that a word of the activation buffer holds: one pixel's channels."""
        return self.modes[-1].word_channels

    @property
    def code_bits(self) -> int:
        """Width of the narrowest codes in the activation buffer."""
        return self.modes[-1].bits

    @property
    def lane_groups(self) -> int:
        """Parts of a word that the array reads one at a time in its widest mode."""
        return self.word_channels // (self.array.lanes * self.array.operand_words)

    @property
    def col_groups(self) -> int:
        """Parts of a word, of ``cols`` of the narrowest codes."""
        return self.word_channels // self.array.cols

    @property
    def word_bits(self) -> int:
        """Width of the activation buffer."""
        return self.word_channels * self.code_bits

    @property
    def weight_word_bits(self) -> int:
        """Width of the weight buffer: the array's port for weights."""
        array = self.array
        return array.cols * array.lanes * array.operand_words * array.weight.bits

    @property
    def channel_constant_bits(self) -> int:
        """Width of one channel's constants: mult, add, shift, residual_mult, from the lowest bit."""
        requantiser = self.requantiser
        mults = requantiser.mult_bits + self.residual_mult_bits
        return mults + requantiser.add_bits + requantiser.shift_bits

    @property
    def constant_word_bits(self) -> int:
        """Width of the constants' memory: ``cols`` channels, column 0 lowest."""
        return self.array.cols * self.channel_constant_bits

    @property
    def act_planes(self) -> int:
        """Planes of the widest levels."""
        return -(-self.widest_act_bits // self.array.act.bits)

    @property
    def weight_slices(self) -> int:
        """Slices of the widest weights: an operation has no more.

        Slices are signed, so that two's complement ones of b bits reach 2**(b - 1) - 1 each at most.
        """
        bits, slices = self.array.weight.bits, 1
        if self.array.weight.encoding is WeightEncoding.ODD:
            return -(-self.widest_weight_bits // bits)
        if bits == 1:  # -1 and 0 only: nothing to compose positive weights of
            return 1
        highest = WeightFormat(bits=self.widest_weight_bits, encoding=self.array.weight.encoding).max
        while self.array.weight.max * ((1 << bits * slices) - 1) // ((1 << bits) - 1) < highest:
            slices += 1
        return slices

    def to_json(self) -> dict[str, Any]:
        """Plain JSON members; ``from_json`` gives the same spec back."""
        own = {name: getattr(self, name) for name in self.__dataclass_fields__}
        own |= {"depthwise": self.depthwise.value, "field_bits": list(self.field_bits)}
        return {**own, "array": self.array.to_json()}

    @classmethod
    def from_json(cls, members: Any) -> CoreSpec:
        """The spec that ``to_json`` wrote; raises InputError if it cannot be one."""
        try:
            names = [n for n in cls.__dataclass_fields__ if n in members or n not in _LATER_MEMBERS]
            own = {name: members[name] for name in names}
            own |= {
                "array": HardwareSpec.from_json(members["array"]),
                "depthwise": Depthwise(members["depthwise"]),
                "field_bits": tuple(members.get("field_bits", ())),
            }
            return cls(**own)
        except InputError:
            raise
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"core description: {type(error).__name__}: {error}") from None

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON: the same core has the same digest."""
        return digest(self.to_json())
