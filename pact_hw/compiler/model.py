"""The memory image: transfer list, program, weights and constants, and what brings them when."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..errors import InputError
from ..spec.core import CoreSpec
from ..spec.program import (
    FIELDS,
    TRANSFER_FIELDS,
    TRANSFER_WORDS,
    WORD_BITS,
    WORDS,
    Destination,
    encode,
)
from .limits import HINT
from .weights import to_bits, to_bytes
from .work import Constants, Load, Work

ALIGNMENT = 64
"""Bytes: every base address, and every part of the image, is a multiple."""


@dataclass
class Ring:
    """Addresses in a buffer that is filled round and round: who used what, and until when."""

    words: int
    next: int = 0
    used: list[tuple[int, int, int]] = field(default_factory=list)
    """First word, end, and the operation that reads them."""

    def take(self, words: int, operation: int) -> tuple[int, int]:
        """An address for ``words`` of ``operation``, and how many operations must have ended before."""
        if self.next + words > self.words:
            self.next = 0
        start, end = self.next, self.next + words
        before = [user + 1 for low, high, user in self.used if low < end and start < high]
        self.used = [entry for entry in self.used if not (entry[0] < end and start < entry[1])]
        self.used.append((start, end, operation))
        self.next = end
        return start, max(before, default=0)

    def keep(self, operation: int) -> int:
        """The address of what was taken last, which ``operation`` reads as well."""
        start, end, _ = self.used.pop()
        self.used.append((start, end, operation))
        return start


class Model:
    """Collects transfers and the bytes that they bring; ``image`` puts the transfer list in front."""

    def __init__(self, core: CoreSpec) -> None:
        self.transfers: list[dict[str, int]] = []
        self.readers: list[int] = []
        """Of each transfer: the operation for which it brings something, the first of several."""
        self._core = core
        self._parts: list[bytes] = []
        self._size = 0
        self._ring = Ring(core.constant_words)
        self._sent: Constants | None = None
        # Strips of a layer have the same: places of what is there already, by identity.
        self._weights: dict[int, int] = {}
        self._constants: dict[int, int] = {}

    def word_bytes(self, bits: int) -> int:
        """Bytes in memory of a word of ``bits`` bits: whole bus beats."""
        return -(-bits // self._core.bus_bits) * self._core.bus_bits // 8

    def _add(self, data: bytes) -> int:
        """The place of ``data`` behind the transfer list."""
        start = self._size
        padded = data + bytes(-len(data) % ALIGNMENT)
        self._parts.append(padded)
        self._size += len(padded)
        return start

    @property
    def ready(self) -> int:
        """Transfers that must be complete before the next operation: all but weights, which it awaits itself.

        They end in order; so the weights of the operations before, which are used up, count as well.
        """
        return max(
            index + 1
            for index, transfer in enumerate(self.transfers)
            if transfer["destination"] != Destination.WEIGHTS
        )

    def _transfer(
        self, destination: Destination, words: int, source: int, address: int, after: int, operation: int
    ) -> None:
        self.readers.append(operation)
        self.transfers.append(
            {
                "destination": int(destination), "after_operations": after, "address": address,
                "words": words, "source": source,
            }
        )  # fmt: skip

    def reserve_program(self, operations: int) -> None:
        """The first transfer: a program of so many operations; its bytes come with ``image``."""
        words = (operations + 1) * WORDS
        if words > self._core.program_words:
            raise InputError(
                f"the network's {operations} operations take {words} words of program, the core has "
                f"program_words {self._core.program_words}: {HINT}"
            )
        self._transfer(Destination.PROGRAM, words, 0, 0, 0, 0)
        self._size = -(-words * self.word_bytes(WORD_BITS) // ALIGNMENT) * ALIGNMENT

    def activations(self, load: Load, base: int, after: int, operation: int) -> None:
        """Bring what ``operation`` reads to a tensor at ``base``, when ``after`` operations have ended."""
        address = base + load.first_word
        self._transfer(Destination.ACTIVATIONS, load.words, load.memory, address, after, operation)

    def constants(self, work: Work, operation: int) -> int:
        """Bring ``work``'s constants; their address."""
        if work.constants is None:
            return 0
        core, words = self._core, work.n_tiles
        if work.constants is self._sent:
            return self._ring.keep(operation)
        if words > core.constant_words:
            raise InputError(
                f"layer {work.layer!r}: its requantisers take {words} constant words, the core has "
                f"constant_words {core.constant_words}: {HINT}"
            )
        self._sent = work.constants
        address, after = self._ring.take(words, operation)
        if id(work.constants) not in self._constants:
            data = _constant_bytes(core, work.constants, self.word_bytes(core.constant_word_bits))
            self._constants[id(work.constants)] = self._add(data)
        source = self._constants[id(work.constants)]
        self._transfer(Destination.CONSTANTS, words, source, address, after, operation)
        return address

    def weights(self, work: Work, reads: int, operation: int) -> None:
        """Bring ``work``'s weights ``reads`` times."""
        assert work.mode is not None
        core, words = self._core, work.n_tiles * work.tile_weights
        if id(work.weights) not in self._weights:
            bits = to_bits(work.weight_words(), work.mode.weight_bits)
            data = to_bytes([bits], self.word_bytes(core.weight_word_bits))
            self._weights[id(work.weights)] = self._add(data)
        source = self._weights[id(work.weights)]
        for _ in range(reads):
            self._transfer(Destination.WEIGHTS, words, source, 0, 0, operation)

    def image(self, operations: list[dict[str, int]]) -> bytes:
        """Everything, the transfer list first."""
        front = -(-len(self.transfers) * TRANSFER_WORDS * 4 // ALIGNMENT) * ALIGNMENT
        for transfer in self.transfers:
            if transfer["destination"] != Destination.ACTIVATIONS:
                transfer["source"] += front
        records = b"".join(
            _word_bytes(encode(TRANSFER_FIELDS, transfer, TRANSFER_WORDS), 4) for transfer in self.transfers
        )
        words = [word for fields in operations for word in encode(FIELDS, fields, WORDS)] + [0] * WORDS
        program = _word_bytes(words, self.word_bytes(WORD_BITS))
        parts = [records.ljust(front, b"\0"), program + bytes(-len(program) % ALIGNMENT), *self._parts]
        return b"".join(parts)


def _word_bytes(words: list[int], size: int) -> bytes:
    return b"".join(word.to_bytes(size, "little") for word in words)


def _constant_bytes(core: CoreSpec, constants: Constants, word_bytes: int) -> bytes:
    spec, cols = core.requantiser, core.array.cols
    widths = (
        (constants.mult, spec.mult_bits), (constants.add, spec.add_bits), (constants.shift, spec.shift_bits),
        (constants.residual_mult, core.residual_mult_bits),
    )  # fmt: skip
    parts = [
        to_bits(values.reshape(-1, cols)[:, [col]], bits) for col in range(cols) for values, bits in widths
    ]
    return to_bytes(parts, word_bytes)
