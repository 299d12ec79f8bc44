"""Progress where there is no terminal: how far, and about how long it still takes."""

import re

import pytest

from pact_hw.cli.progress import TerminalProgress, _duration


def test_lines_with_the_time_that_remains(capsys, monkeypatch):
    clock = iter([0.0, 10.0, 30.0, 40.0])
    monkeypatch.setattr("pact_hw.cli.progress.time.monotonic", lambda: next(clock))
    with TerminalProgress().task("work", total=1000) as advance:
        advance(100)  # 10 s: too early for a line
        advance(200)  # 30 s for 300 of 1,000
    assert capsys.readouterr().err.splitlines() == [
        "work ...",
        "work: 300 of 1,000, about 70 s left",
        "work: 40.0 s",
    ]


def test_a_step_of_unknown_length_tells_no_remaining_time(capsys, monkeypatch):
    monkeypatch.setattr("pact_hw.cli.progress.LINE_SECONDS", 0.0)
    with TerminalProgress().task("work") as advance:
        advance(1)
    assert re.fullmatch(r"work \.\.\.\nwork: [\d.]+ s\n", capsys.readouterr().err)


@pytest.mark.parametrize(("seconds", "text"), [(42.4, "42 s"), (400, "7 min"), (12600, "3.5 h")])
def test_durations(seconds, text):
    assert _duration(seconds) == text
