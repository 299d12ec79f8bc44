"""The registers of a core, as software sees them.

This is the one table behind the Verilog, the C header, the documentation and the bench. Every register
is 32 bits wide, at a byte address that is a multiple of 4. A read or a write elsewhere, a write to a
register that can only be read, and a write of less than 32 bits end in ``SLVERR`` and change nothing.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

REGISTER_ADDRESS_BITS = 8
IDENTITY = int.from_bytes(b"PACT", "big")
REGISTERS_VERSION = 1
BASE_ALIGNMENT = 64
"""Base addresses in memory are multiples of so many bytes."""
DEFAULT_WATCHDOG_CYCLES = 1 << 20


class CoreError(enum.IntEnum):
    """Why a core stopped; the engine's own errors come first."""

    NONE = 0, "no error"
    BAD_OPERATION = 1, "an operation's opcode or fields cannot be executed"
    ADDRESS_RANGE = 2, "an operation reads or writes beyond a buffer"
    WEIGHTS_MISSING = 3, "an operation needs more weights at a time than the weight buffer holds"
    BUS_READ = 8, "a read from memory was answered by SLVERR or DECERR"
    BUS_WRITE = 9, "a write to memory was answered by SLVERR or DECERR"
    BAD_TRANSFER = 10, "a transfer has no words, ends beyond its buffer, is not aligned, or was left over"
    WATCHDOG = 11, "the core waited for WATCHDOG_CYCLES without a beat on the bus"

    description: str

    def __new__(cls, value: int, description: str = "") -> CoreError:
        """A code with its meaning."""
        member = int.__new__(cls, value)
        member._value_ = value
        member.description = description
        return member


class Access(enum.Enum):
    """What a register does when it is read and written."""

    CONSTANT = "constant"
    STATUS = "read only"
    SETTING = "read, write"
    """Writes are refused while the core is busy."""
    ENABLE = "read, write at any time"
    FLAGS = "read, 1 clears"
    PULSES = "write only, 1 acts"


@dataclass(frozen=True, kw_only=True)
class BitField:
    """Bits ``low`` to ``low + bits - 1`` of a register."""

    name: str
    low: int
    bits: int = 1
    description: str


@dataclass(frozen=True, kw_only=True)
class Register:
    """A 32-bit register; the bits beyond ``bits`` read as 0, as do the lowest ``zero_bits``."""

    name: str
    address: int
    access: Access
    description: str
    bits: int = 32
    zero_bits: int = 0
    reset: int = 0
    fields: tuple[BitField, ...] = ()


def _flags(*named: tuple[str, str]) -> tuple[BitField, ...]:
    return tuple(BitField(name=name, low=bit, description=text) for bit, (name, text) in enumerate(named))


_EVENTS = _flags(
    ("finished", "the last result has reached the memory"),
    ("failed", "an error stopped the core"),
    ("refused", "a start or a setting was written while the core could not take it"),
)
_STATUS = (
    BitField(name="busy", low=0, description="runs a program"),
    BitField(name="finished", low=1, description="ended well; until the next start"),
    BitField(name="failed", low=2, description="stopped by an error; until a soft reset"),
    BitField(name="stopping", low=3, description="waits for what is under way on the bus, and drops it"),
    BitField(name="error", low=8, bits=4, description="why it failed (CoreError)"),
)
_CONTROL = _flags(
    ("start", "run; refused unless the core is idle or finished"),
    ("soft_reset", "give up what runs; the settings stay"),
)


def _base(name: str, address: int, description: str) -> Register:
    return Register(
        name=name,
        address=address,
        access=Access.SETTING,
        zero_bits=BASE_ALIGNMENT.bit_length() - 1,
        description=f"byte address {description}, a multiple of {BASE_ALIGNMENT}",
    )


def _status(name: str, address: int, description: str, bits: int = 32) -> Register:
    return Register(name=name, address=address, access=Access.STATUS, bits=bits, description=description)


DIGEST_WORDS = 8
REGISTERS = (
    Register(
        name="IDENTITY",
        address=0x00,
        access=Access.CONSTANT,
        reset=IDENTITY,
        description='"PACT", the first letter in the highest byte',
    ),
    Register(
        name="VERSION",
        address=0x04,
        access=Access.CONSTANT,
        reset=REGISTERS_VERSION,
        description="of this register map",
    ),
    Register(
        name="CONTROL",
        address=0x08,
        access=Access.PULSES,
        bits=len(_CONTROL),
        fields=_CONTROL,
        description="commands; reads as 0",
    ),
    Register(
        name="STATUS",
        address=0x0C,
        access=Access.STATUS,
        bits=12,
        fields=_STATUS,
        description="what the core does",
    ),
    _status("ERROR_OPERATION", 0x10, "operations that were finished when the core failed", 16),
    Register(
        name="INTERRUPT_ENABLE",
        address=0x14,
        access=Access.ENABLE,
        bits=len(_EVENTS),
        fields=_EVENTS,
        description="events that drive the interrupt line",
    ),
    Register(
        name="INTERRUPT_STATUS",
        address=0x18,
        access=Access.FLAGS,
        bits=len(_EVENTS),
        fields=_EVENTS,
        description="events since they were cleared",
    ),
    _base("MODEL_ADDRESS", 0x20, "of the model's image"),
    _base("INPUT_ADDRESS", 0x24, "of the input"),
    _base("RESULT_ADDRESS", 0x28, "of the results"),
    _base("TRANSFERS_ADDRESS", 0x2C, "of the transfer list"),
    Register(
        name="TRANSFER_COUNT",
        address=0x30,
        access=Access.SETTING,
        bits=16,
        description="records of the transfer list",
    ),
    Register(
        name="WATCHDOG_CYCLES",
        address=0x34,
        access=Access.SETTING,
        reset=DEFAULT_WATCHDOG_CYCLES,
        description="cycles of waiting without a beat on the bus that are an error; 0: never",
    ),
    _status("CYCLES_LOW", 0x40, "cycles since the start, low half"),
    _status("CYCLES_HIGH", 0x44, "high half", 16),
    _status("STALLS_LOW", 0x48, "of these, cycles in which the core waited for the memory, low half"),
    _status("STALLS_HIGH", 0x4C, "high half", 16),
    _status("OPERATIONS_DONE", 0x50, "operations finished since the start", 16),
    _status("TRANSFERS_DONE", 0x54, "transfers finished since the start", 16),
    *(
        Register(
            name=f"DIGEST_{word}",
            address=0x80 + 4 * word,
            access=Access.CONSTANT,
            description=f"word {word} of the core's SHA-256 digest, as its hexadecimal text reads",
        )
        for word in range(DIGEST_WORDS)
    ),
)
ADDRESSES = {register.name: register.address for register in REGISTERS}


def field_bits(register: str, field: str) -> tuple[int, int]:
    """Lowest bit and width of a register's field."""
    (found,) = (r for r in REGISTERS if r.name == register)
    (bits,) = (f for f in found.fields if f.name == field)
    return bits.low, bits.bits


def digest_word(digest: str, word: int) -> int:
    """What register ``DIGEST_<word>`` of a core with this digest holds."""
    return int(digest[8 * word : 8 * word + 8], 16)
