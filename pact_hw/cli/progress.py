"""Progress with the time that remains: bars on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichBars

from ..progress import Advance, Progress

LINE_SECONDS = 15.0
"""Where there is no terminal, a step tells how far it is this often."""


class TerminalProgress(Progress):
    """Bars and spinners on a terminal; elsewhere lines: begin, now and then, and end of a step."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._bars: RichBars | None = None

    @contextmanager
    def task(self, description: str, total: int | None = None) -> Iterator[Advance]:
        """See ``Progress.task``; steps may nest."""
        if not self._console.is_terminal:
            yield from self._lines(description, total)
        elif self._bars is not None:
            yield from self._bar(self._bars, description, total)
        else:
            columns = (
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
            )
            with RichBars(*columns, console=self._console) as bars:
                self._bars = bars
                try:
                    yield from self._bar(bars, description, total)
                finally:
                    self._bars = None

    @staticmethod
    def _lines(description: str, total: int | None) -> Iterator[Advance]:
        start = said = time.monotonic()
        done = 0
        click.echo(f"{description} ...", err=True)

        def advance(more: int) -> None:
            nonlocal done, said
            done += more
            now = time.monotonic()
            if total and 0 < done < total and now - said >= LINE_SECONDS:
                said = now
                left = (now - start) * (total - done) / done
                click.echo(f"{description}: {done:,} of {total:,}, about {_duration(left)} left", err=True)

        yield advance
        click.echo(f"{description}: {time.monotonic() - start:.1f} s", err=True)

    @staticmethod
    def _bar(bars: RichBars, description: str, total: int | None) -> Iterator[Advance]:
        task = bars.add_task(description, total=total)
        yield lambda done: bars.advance(task, done)
        # A spinner has no total of its own: it ends as 1 of 1.
        bars.update(task, total=total or 1, completed=total or 1)


def _duration(seconds: float) -> str:
    """``seconds`` as people say it: 42 s, 7 min, 3.5 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
