"""What a command prints: tables for people, one JSON object for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.table import Table

from .progress import TerminalProgress

MOST_PROBLEMS = 5
FILE_WIDTH = 120


class Output:
    """Where one command's results go."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._console = Console()
        if not self._console.is_terminal:
            self._console.width = FILE_WIDTH  # a pipe has no width of its own
        self.progress = TerminalProgress()

    def finish(self, result: Mapping[str, Any], *tables: Table) -> None:
        """The command's result: ``result`` as JSON, or the ``tables``."""
        if self._as_json:
            click.echo(json.dumps(result, allow_nan=False))
        else:
            for table in tables:
                self._console.print(table)

    @staticmethod
    def verdict(problems: Sequence[str]) -> None:
        """End with exit code 1 if anything that was checked does not hold; the first lines say what."""
        for line in problems[:MOST_PROBLEMS]:
            click.echo(f"pact-hw: {line}", err=True)
        if len(problems) > MOST_PROBLEMS:
            click.echo(f"pact-hw: and {len(problems) - MOST_PROBLEMS} more", err=True)
        if problems:
            raise click.exceptions.Exit(1)


def facts(title: str, rows: Mapping[str, object]) -> Table:
    """A two-column table of names and values."""
    table = Table(title=title, show_header=False, title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column()
    if any(map(str, rows.values())):
        table.add_column(overflow="fold")
    for name, value in rows.items():
        table.add_row(name, *([str(value)] if len(table.columns) > 1 else []))
    return table


def grid(title: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    """A table whose first column is text and whose others are numbers."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for index, name in enumerate(head):
        table.add_column(name, justify="right" if index else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    return table
