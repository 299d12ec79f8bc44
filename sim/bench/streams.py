"""Both ends of a valid/ready stream, stepped once per clock cycle by one loop.

``step`` is called right after a rising edge, when every signal still has its value from before the
edge, and the writes take effect after it. A beat passes at an edge at which valid and ready are 1.
An offered beat is held until it is taken.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from cocotb.handle import SimHandleBase


def _getter(signal: SimHandleBase) -> Callable[[], str]:
    """Reads a signal as binary text.

    cocotb's handle builds a LogicArray for each value; the driver's loop is bound by such work, so it
    takes the text from the simulator's own object.
    """
    getter: Callable[[], str] = signal._handle.get_signal_val_binstr
    return getter


def _setter(signal: SimHandleBase) -> Callable[[int, str], None]:
    """Writes binary text of the right width, to take effect as a default deposit."""
    setter: Callable[[int, str], None] = signal._handle.set_signal_val_binstr
    return setter


DEPOSIT = 0


class Stalls:
    """Random pauses of one side of one stream, repeatable."""

    def __init__(self, probability: float, seed: str) -> None:
        self._probability = probability
        self._random = random.Random(seed).random  # noqa: S311 - a test pattern

    def __call__(self) -> bool:
        """Whether to pause in the next cycle."""
        return self._probability > 0 and self._random() < self._probability


class Source:
    """Offers beats to an input stream of the array."""

    def __init__(self, dut: Any, name: str, payloads: Sequence[str]) -> None:
        self.name = name
        self.count = 0
        self._ready = _getter(getattr(dut, f"{name}_ready"))
        self._valid = _setter(getattr(dut, f"{name}_valid"))
        self._payloads = [_setter(getattr(dut, payload)) for payload in payloads]
        self._driven: tuple[str, ...] = ("",) * len(payloads)
        self.stop()

    def start(self, beats: Iterator[tuple[str, ...]], stalls: Stalls) -> None:
        """From the next cycle on, offer ``beats``."""
        self.count = 0
        self._beats = beats
        self._stalls = stalls
        self._next = next(beats, None)
        self._offer()

    def stop(self) -> None:
        """Offer nothing."""
        self._offering = False
        self._next = None
        self._valid(DEPOSIT, "0")

    @property
    def exhausted(self) -> bool:
        """Every beat was taken."""
        return self._next is None

    def step(self) -> bool:
        """Whether a beat was taken at this edge."""
        if not self._offering:
            if self._next is not None:
                self._offer()
            return False
        if self._ready() != "1":
            return False
        self.count += 1
        self._next = next(self._beats, None)
        self._offer()
        return True

    def _offer(self) -> None:
        beat = self._next
        offering = beat is not None and not self._stalls()
        if offering != self._offering:
            self._offering = offering
            self._valid(DEPOSIT, "1" if offering else "0")
        if offering and beat is not None:
            for setter, new, old in zip(self._payloads, beat, self._driven, strict=True):
                if new != old:
                    setter(DEPOSIT, new)
            self._driven = beat


class Sink:
    """Takes beats from the array's output stream."""

    def __init__(self, dut: Any, name: str) -> None:
        self._valid = _getter(getattr(dut, f"{name}_valid"))
        self._ready = _setter(getattr(dut, f"{name}_ready"))
        self._data = _getter(getattr(dut, f"{name}_data"))
        self._last = _getter(getattr(dut, f"{name}_last"))
        self.stop()

    def start(self, stalls: Stalls) -> None:
        """From the next cycle on, take beats."""
        self.data: list[str] = []
        self.last: list[str] = []
        self._stalls = stalls
        self._taking = not stalls()
        self._ready(DEPOSIT, "1" if self._taking else "0")

    def stop(self) -> None:
        """Take nothing."""
        self._taking = False
        self._ready(DEPOSIT, "0")

    def step(self) -> bool:
        """Whether a beat was taken at this edge."""
        taken = self._taking and self._valid() == "1"
        if taken:
            self.data.append(self._data())
            self.last.append(self._last())
        taking = not self._stalls()
        if taking != self._taking:
            self._taking = taking
            self._ready(DEPOSIT, "1" if taking else "0")
        return taken
