"""How long work tells how far it is, without knowing who listens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Advance = Callable[[int], None]


class Progress:
    """The silent listener, and the interface of the others."""

    @contextmanager
    def task(self, description: str, total: int | None = None) -> Iterator[Advance]:
        """A step of the work; call the yielded function with how many of ``total`` units were done.

        ``total`` is None where the amount is unknown: a listener shows a spinner.
        """
        yield lambda _done: None


SILENT = Progress()
