"""Addresses of tensors that live for a while."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Life(NamedTuple):
    """``words`` that are in use from operation ``first`` to operation ``last``, both included."""

    words: int
    first: int
    last: int


def _first_fit(lives: Mapping[str, Life], order: list[str]) -> tuple[int, dict[str, int]]:
    """Each in the lowest place that nobody else has while it lives: words in all, and addresses."""
    bases: dict[str, int] = {}
    for name in order:
        life, base = lives[name], 0
        beside = sorted(
            (bases[other], lives[other].words)
            for other in bases
            if lives[other].first <= life.last and life.first <= lives[other].last
        )
        for start, words in beside:
            if start < base + life.words:
                base = max(base, start + words)
        bases[name] = base
    return max(bases[name] + lives[name].words for name in lives), bases


def allocate(lives: Mapping[str, Life]) -> tuple[int, dict[str, int]]:
    """Words needed in all, and the address of each: first fit, in order of time or size, the better."""
    names = list(lives)
    by_size = sorted(names, key=lambda name: -lives[name].words)
    return min((_first_fit(lives, names), _first_fit(lives, by_size)), key=lambda found: found[0])
