"""A cell library: what synthesis needs to know of its Liberty files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from analysis.technology import generic_liberty
from pact_hw.errors import InputError

from .liberty import (
    Cell,
    FullAdder,
    Register,
    and_or,
    cells,
    full_adder,
    half_adder,
    missing,
    nand2,
    read_liberty,
    registers,
    without_power,
)


@dataclass(frozen=True, kw_only=True)
class Library:
    """One cell library, from one or several Liberty files, or the built-in generic one."""

    name: str
    texts: tuple[str, ...]
    full_adder: FullAdder | None
    half_adder: FullAdder | None
    registers: tuple[Register, ...]
    nand2: Cell | None
    and_or: Cell | None
    """(a & b) | (c & d)."""
    buffers: tuple[Cell, ...]
    areas: dict[str, float]
    cells: tuple[Cell, ...]

    @property
    def register(self) -> Register | None:
        """The smallest flip-flop."""
        return self.registers[0] if self.registers else None

    @classmethod
    def of(cls, liberty: Sequence[Path]) -> Library:
        """Read ``liberty`` (none: the generic library); what was read before is remembered.

        Raises:
            InputError: a file is missing or damaged, or the files together lack a kind of cell that
                every design needs.
        """
        name = " + ".join(path.name for path in liberty) or "generic"
        return _understood(name, tuple(read_liberty(path) for path in liberty) or (generic_liberty(),))


@lru_cache(maxsize=4)
def _understood(name: str, files: tuple[str, ...]) -> Library:
    texts = tuple(without_power(text) for text in files)
    found = [cell for text in texts for cell in cells(text)]
    if lacking := missing(found):
        raise InputError(f"{name}: no usable {lacking} among its {len(found)} cells: give all its files")
    return Library(
        name=name,
        texts=texts,
        full_adder=full_adder(found),
        half_adder=half_adder(found),
        registers=tuple(one for text in texts for one in registers(text, cells(text))),
        nand2=nand2(found),
        and_or=and_or(found),
        buffers=tuple(
            cell for cell in found if len(cell.inputs) == 1 and list(cell.tables().values()) == [0b10]
        ),
        cells=tuple(found),
        areas={cell.name: cell.area for cell in found if cell.area is not None},
    )
