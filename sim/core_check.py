"""A core's run against the reference: every level as it was written, every operation's cycles, the logits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pact_hw.compiler import Compiled, Piece, Placement
from pact_hw.golden.matmul import Int64
from pact_hw.spec import CoreSpec
from pact_hw.spec.core_schedule import START_CYCLES, operation_cycles
from pact_hw.spec.registers import CoreError

from .core_run import Record


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The first value of a layer that is not the reference's."""

    channel: int
    row: int
    column: int
    expected: int
    got: int | None
    """None: it was not written."""

    def __str__(self) -> str:
        got = "was not written" if self.got is None else f"got {self.got}"
        where = f"channel {self.channel}, row {self.row}, column {self.column}"
        return f"{where}: expected {self.expected}, {got}"


@dataclass(frozen=True, kw_only=True)
class LayerResult:
    """A layer of one image: values and cycles."""

    name: str
    values: int
    mismatches: int
    first: Difference | None
    cycles: int
    """Measured, stalls aside."""
    predicted_cycles: int
    stalls: int
    macs: int

    @property
    def problem(self) -> str | None:
        """One line that says what is wrong, or None."""
        if self.first is not None:
            more = self.mismatches - 1
            return f"layer {self.name!r}, {self.first}; {more} more of its {self.values} values differ"
        if self.cycles != self.predicted_cycles:
            return (
                f"layer {self.name!r}: took {self.cycles} cycles, the schedule says {self.predicted_cycles}"
            )
        return None


def unpacked(core: CoreSpec, data: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint16]:
    """The narrowest codes of each write (writes x bytes): of the column groups that the widest take."""
    count, width = core.array.cols * core.array.operand_words, core.code_bits
    bits = np.unpackbits(data, axis=1, count=count * width, bitorder="little")
    codes: npt.NDArray[np.uint16] = (bits.reshape(-1, count, width) << np.arange(width)).sum(
        axis=2, dtype=np.uint16
    )
    return codes


class Shadow:
    """The activation buffer as the recorded writes make it, and which codes were written by whom."""

    def __init__(self, core: CoreSpec) -> None:
        self._core = core
        shape = (core.activation_words, core.word_channels)
        self.codes = np.zeros(shape, dtype=np.uint16)
        self.writer = np.full(shape, -1, dtype=np.int32)

    def write(self, writes: npt.NDArray[np.void], operation: int) -> None:
        """The writes of an operation, in order (of several to one place the last one counts)."""
        cols = self._core.array.cols
        codes = unpacked(self._core, writes["data"])
        for group in range(self._core.col_groups):
            mine = (writes["mask"] >> np.uint64(group) & np.uint64(1)).astype(bool)
            words = writes["address"][mine]
            part = group % self._core.array.operand_words * cols
            self.codes[words, group * cols : (group + 1) * cols] = codes[mine, part : part + cols]
            self.writer[words, group * cols : (group + 1) * cols] = operation


def check_run(compiled: Compiled, record: Record, expected: Mapping[str, Int64]) -> list[LayerResult]:
    """Every layer of one run, in order; ``expected`` holds the reference's levels (C x Y x X) by layer."""
    shadow = Shadow(compiled.core)
    spent = np.diff(record.ends, axis=0)
    spent[:1, 0] -= START_CYCLES
    results = []
    for layer in compiled.layers:
        if layer.name in compiled.pieces:
            pieces = [_piece(piece, shadow, record) for piece in compiled.pieces[layer.name]]
            found = np.concatenate(pieces, axis=1)
        else:
            found = compiled.decode(record.results)
        cycles, stalls = spent[[i for i in layer.operations if i < len(spent)]].sum(axis=0).tolist()
        wanted = expected[layer.name]
        wrong = found != wanted
        results.append(
            LayerResult(
                name=layer.name,
                values=wanted.size,
                mismatches=int(wrong.sum()),
                first=_first(wrong, wanted, found),
                cycles=cycles - stalls,
                predicted_cycles=sum(
                    operation_cycles(compiled.core, compiled.operations[i]) for i in layer.operations
                ),
                stalls=stalls,
                macs=layer.macs,
            )
        )
    return results


_UNWRITTEN = -(1 << 62)


def _levels(place: Placement, shadow: Shadow, operations: tuple[int, ...]) -> Int64:
    """The levels that ``operations`` wrote; ``_UNWRITTEN`` where they did not."""
    written = np.isin(shadow.writer, operations).astype(np.int64)
    everywhere = place.levels(written) == place.levels(np.ones_like(written))
    return np.where(everywhere, place.levels(shadow.codes), _UNWRITTEN)


def _piece(piece: Piece, shadow: Shadow, record: Record) -> Int64:
    """The levels of a strip behind its last operation, before something else lies there."""
    for operation in piece.operations:
        if operation < len(record.writes):
            shadow.write(record.writes[operation], operation)
    return _levels(piece.placement, shadow, piece.operations)


def _first(wrong: npt.NDArray[np.bool_], expected: Int64, got: Int64) -> Difference | None:
    if not wrong.any():
        return None
    channel, row, column = (int(i) for i in np.unravel_index(np.argmax(wrong), wrong.shape))
    value = int(got[channel, row, column])
    return Difference(
        channel=channel,
        row=row,
        column=column,
        expected=int(expected[channel, row, column]),
        got=None if value == _UNWRITTEN else value,
    )


def run_problem(record: Record, layers: list[LayerResult], compiled: Compiled) -> str | None:
    """One line that says what is wrong with a run, or None; a core's error comes first."""
    if not record.came:
        return f"the core did not end; it was in operation {record.operations_done}"
    if record.error is not CoreError.NONE:
        done = record.operations_done
        name = next((layer.name for layer in compiled.layers if done in layer.operations), "the end")
        return (
            f"the core stopped in operation {done} ({name}): {record.error.name}, {record.error.description}"
        )
    return next((layer.problem for layer in layers if layer.problem is not None), None)
