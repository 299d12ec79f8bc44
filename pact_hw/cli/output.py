"""What a command prints: tables for people, one JSON object for programs, progress on standard error."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichBars
from rich.table import Table

from ..progress import Advance, Progress

MOST_PROBLEMS = 5
FILE_WIDTH = 120


class TerminalProgress(Progress):
    """Bars and spinners on a terminal; elsewhere a line when a step begins and one when it ends."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._bars: RichBars | None = None

    @contextmanager
    def task(self, description: str, total: int | None = None) -> Iterator[Advance]:
        """See ``Progress.task``; steps may nest."""
        if not self._console.is_terminal:
            yield from self._lines(description)
        elif self._bars is not None:
            yield from self._bar(self._bars, description, total)
        else:
            columns = (
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
            )
            with RichBars(*columns, console=self._console) as bars:
                self._bars = bars
                try:
                    yield from self._bar(bars, description, total)
                finally:
                    self._bars = None

    def _lines(self, description: str) -> Iterator[Advance]:
        start = time.monotonic()
        click.echo(f"{description} ...", err=True)
        yield lambda _done: None
        click.echo(f"{description}: {time.monotonic() - start:.1f} s", err=True)

    @staticmethod
    def _bar(bars: RichBars, description: str, total: int | None) -> Iterator[Advance]:
        task = bars.add_task(description, total=total)
        yield lambda done: bars.advance(task, done)
        # A spinner has no total of its own: it ends as 1 of 1.
        bars.update(task, total=total or 1, completed=total or 1)


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
