"""The first picture of a trade-off, as inline SVG: what a reader without scripts sees."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from .html import Row, number, tick

WIDTH, HEIGHT = 760, 460
LEFT, RIGHT, TOP, BOTTOM = 66, 16, 14, 52


@dataclass(frozen=True, kw_only=True)
class Scale:
    """From values to places on an axis; logarithmic where positive values span over a decade."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool

    @classmethod
    def of(cls, values: Sequence[float], start: float, end: float) -> Scale:
        """A scale that shows all finite ``values`` between ``start`` and ``end``, with a margin."""
        low, high = (min(values), max(values)) if values else (0.0, 1.0)
        logarithmic = low > 0 and high > 10 * low
        if logarithmic:
            margin = (high / low) ** 0.03
            return cls(low=low / margin, high=high * margin, start=start, end=end, logarithmic=True)
        margin = 0.03 * (high - low) or abs(high) * 0.1 or 1.0
        return cls(low=low - margin, high=high + margin, start=start, end=end, logarithmic=False)

    def at(self, value: float) -> float:
        """The place of ``value``."""
        if self.logarithmic:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Round values between the ends, about five."""
        if self.logarithmic:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            factors = (1, 2, 5) if len(powers) < 4 else (1,)
            every = [factor * 10.0**power for power in powers for factor in factors]
            return [value for value in every if self.low <= value <= self.high]
        step = 10 ** math.floor(math.log10((self.high - self.low) / 4))
        step *= next(f for f in (1, 2, 5, 10) if (self.high - self.low) / (f * step) <= 6)
        return [n * step for n in range(math.ceil(self.low / step), math.floor(self.high / step) + 1)]


def scatter(front: Sequence[Row], sample: Sequence[Row], across: str, up: str, labels: dict[str, str]) -> str:
    """Designs by two columns: some of all in grey, the front in colour with its numbers as titles."""
    shown = [(row, place) for row in front if (place := _place(row, across, up))]
    others = [place for row in sample if (place := _place(row, across, up))]
    places = [place for _, place in shown] + others
    x = Scale.of([place[0] for place in places], LEFT, WIDTH - RIGHT)
    y = Scale.of([place[1] for place in places], HEIGHT - BOTTOM, TOP)
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(labels[up])} against {escape(labels[across])}">'
    ]
    left, right, bottom = LEFT, WIDTH - RIGHT, HEIGHT - BOTTOM
    for value in x.ticks():
        at = round(x.at(value), 1)
        parts += [_line(at, at, TOP, bottom), _text(at, bottom + 18, "middle", tick(value))]
    for value in y.ticks():
        at = round(y.at(value), 1)
        parts += [_line(left, right, at, at), _text(left - 8, at + 4, "end", tick(value))]
    parts.append(_text((left + right) / 2, HEIGHT - 10, "middle", labels[across]))
    turned = f'<g transform="translate(14 {(TOP + bottom) / 2}) rotate(-90)">'
    parts.append(turned + _text(0, 0, "middle", labels[up]) + "</g>")
    parts += [f'<circle class="other" cx="{x.at(a):.1f}" cy="{y.at(b):.1f}" r="2"/>' for a, b in others]
    for row, (a, b) in shown:
        title = escape(f"design {row['point']}: {across} {number(a)}, {up} {number(b)}")
        circle = f'<circle class="front" cx="{x.at(a):.1f}" cy="{y.at(b):.1f}" r="4">'
        parts.append(f"{circle}<title>{title}</title></circle>")
    return "".join(parts) + "</svg>"


def _line(x1: float, x2: float, y1: float, y2: float) -> str:
    return f'<line class="grid" x1="{x1}" x2="{x2}" y1="{y1}" y2="{y2}"/>'


def _text(x: float, y: float, anchor: str, text: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _place(row: Row, across: str, up: str) -> tuple[float, float] | None:
    """Where a design is drawn; None: one of the two is unlimited or unknown."""
    a, b = row.get(across), row.get(up)
    if isinstance(a, int | float) and isinstance(b, int | float) and math.isfinite(a) and math.isfinite(b):
        return float(a), float(b)
    return None
