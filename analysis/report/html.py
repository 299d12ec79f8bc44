"""Pieces of HTML; every text from outside is escaped here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from ..tables import Value

Row = Mapping[str, Value]


def number(value: Value) -> str:
    """``value`` for people: five digits, thousands apart, a dash for what is not known."""
    if value is None or value == "":
        return "\N{EN DASH}"
    if not isinstance(value, int | float):
        return str(value)
    if math.isinf(value):
        return "unlimited" if value > 0 else "-unlimited"
    if isinstance(value, int) or (abs(value) >= 1e4 and value == value):
        return f"{value:,.0f}"
    return f"{value:.5g}"


def tick(value: float) -> str:
    """``value`` at an axis, short: 0.5, 20, 5k, 10M, 2G, 1e+15."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if size <= abs(value) < 1e12:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def typed(text: Value) -> Value:
    """A CSV field as the number that it spells (JSON's and TOML's "inf" too), or itself; "" is None."""
    if not isinstance(text, str):
        return text
    if text == "":
        return None
    try:
        found = float(text)
    except ValueError:
        return text
    return int(text) if text.lstrip("-").isdigit() else found


def link(path: Path, folder: Path, text: str | None = None) -> str:
    """A link to a file below ``folder``, relative to it."""
    relative = PurePosixPath(path.relative_to(folder).as_posix())
    return f'<a href="{escape(quote(str(relative)))}">{escape(text or relative.name)}</a>'


def table(
    rows: Sequence[Row],
    columns: Sequence[str],
    *,
    caption: str,
    meanings: Mapping[str, str] | None = None,
    cells: Mapping[str, Sequence[str]] | None = None,
    identity: str = "",
) -> str:
    """A table whose head sorts it (with scripts) and whose cells carry their plain values.

    Args:
        rows: records.
        columns: which of their members, in this order.
        caption: what it shows.
        meanings: longer names of columns.
        cells: columns of ready-made HTML to put behind the first one, a piece for each row.
        identity: the ``id`` of the table.
    """
    meanings, cells = meanings or {}, cells or {}
    head = "".join(
        f'<th scope="col" title="{escape(meanings.get(name, name))}">{escape(name)}</th>'
        for name in (columns[0], *cells, *columns[1:])
    )
    lines = []
    for index, row in enumerate(rows):
        first, *others = (_cell(row.get(name)) for name in columns)
        ready = (f"<td>{pieces[index]}</td>" for pieces in cells.values())
        lines.append(f"<tr>{''.join((first, *ready, *others))}</tr>")
    name = f' id="{escape(identity)}"' if identity else ""
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}"><table{name}>'
        f"<caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def _cell(value: Value) -> str:
    if isinstance(value, int | float):
        return f'<td class="n" data-v="{value!r}">{escape(number(value))}</td>'
    return f"<td>{escape(number(value))}</td>"


def facts(members: Mapping[str, object]) -> str:
    """Names and values, one below the other."""
    pairs = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(str(value))}</dd>" for name, value in members.items()
    )
    return f"<dl>{pairs}</dl>"


def details(summary: str, body: str) -> str:
    """``body``, folded away until somebody asks."""
    return f"<details><summary>{escape(summary)}</summary>{body}</details>"
