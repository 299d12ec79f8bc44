"""Sums that count twice when the next bit-plane begins: what bit-serial arrays go on from, as Verilog."""

from __future__ import annotations

from collections.abc import Mapping


def doubled(word: str, width: int) -> str:
    """Twice ``word``, which is known to fit in its ``width``."""
    return f"{{{word}[{width - 2}:0], 1'b0}}" if width > 1 else "1'b0"


def chosen(width: int, choices: Mapping[str, str]) -> str:
    """The word, of ``width`` bits, whose condition is 1: at most one is, else 0."""
    return " | ".join(f"({word} & {{{width}{{{condition}}}}})" for condition, word in choices.items())
