"""Which cells of a library do the same, the weakest first, and how much each should drive."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .liberty import Cell, Register


@dataclass(frozen=True, kw_only=True)
class Strengths:
    """What sizing knows of a library. Loads are capacitances in the library's unit."""

    loads: dict[str, dict[str, float]]
    """Of each cell's input pins. Clock pins load nothing: there is no clock tree before placement."""
    outputs: dict[str, tuple[str, ...]]
    limits: dict[str, float]
    """What each cell should drive at most."""
    families: dict[str, tuple[str, ...]]
    """Of each cell: those of the same function and pins, the weakest first, each the smallest of its
    strength."""
    buffers: tuple[str, ...]

    @classmethod
    def of(cls, cells: Sequence[Cell], registers: Sequence[Register], share: float) -> Strengths:
        """Of a library's cells; each should drive at most ``share`` of its maximum capacitance."""
        usable = {cell.name: cell for cell in cells if not cell.dont_use and cell.area and cell.max_load}
        clocks = {register.cell: register.clock for register in registers}
        groups: dict[object, list[Cell]] = {}
        for cell in usable.values():
            if not cell.state:
                groups.setdefault((tuple(cell.inputs), tuple(sorted(cell.tables().items()))), []).append(cell)
        for one in registers:
            if one.cell in usable:
                key = (one.data, one.clock, one.output, one.inverting)
                groups.setdefault(key, []).append(usable[one.cell])
        families = [_best_of_each_strength(group) for group in groups.values()]
        buffer = next((family for family in families if _is_buffer(usable[family[0]])), ())
        return cls(
            loads={
                cell.name: {
                    pin: 0.0 if clocks.get(cell.name) == pin else cell.loads.get(pin, 0.0)
                    for pin in cell.inputs
                }
                for cell in cells
            },
            outputs={cell.name: tuple(cell.functions) for cell in cells},
            limits={name: share * cell.max_load for name, cell in usable.items()},
            families={
                cell.name: family
                for group, family in zip(groups.values(), families, strict=True)
                for cell in group
            },
            buffers=buffer,
        )

    def driver(self, cell: str, load: float) -> str | None:
        """The weakest of ``cell``'s family that may drive ``load``, never a weaker one; None: no one may."""
        family = [one for one in self.families[cell] if self.limits[one] >= self.limits[cell]]
        index = bisect_left([self.limits[one] for one in family], load)
        return family[index] if index < len(family) else None

    def stronger(self, cell: str) -> str | None:
        """The next strength of ``cell``'s family; None: it is the strongest."""
        stronger = [one for one in self.families.get(cell, ()) if self.limits[one] > self.limits[cell]]
        return stronger[0] if stronger else None


def _best_of_each_strength(group: Iterable[Cell]) -> tuple[str, ...]:
    family: list[Cell] = []
    for cell in sorted(group, key=lambda cell: (cell.area, -cell.max_load, cell.name)):
        if not family or cell.max_load > family[-1].max_load:
            family.append(cell)
    return tuple(cell.name for cell in family)


def _is_buffer(cell: Cell) -> bool:
    return len(cell.inputs) == 1 and not cell.state and list(cell.tables().values()) == [0b10]
