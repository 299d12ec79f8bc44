"""How Yosys is asked to work: as data, so that results can say how they were made."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Yosys passes and the script for abc.

    ``{top}`` and ``{liberty}`` (the ``-liberty`` options) are filled in; a pass that mentions
    ``{full_adder}`` is left out where the library has none.
    """

    name: str
    passes: tuple[str, ...]
    delay_passes: tuple[str, ...]
    """What follows where full-adder cells were used: abc takes such a cell for the end of a path, so the
    delay is read from the same design in plain gates."""
    abc: tuple[str, ...]

    def script(self, *, top: str, libraries: int, full_adder: bool) -> str:
        """The Yosys script; file names are those of ``run``'s working folder."""
        liberty = " ".join(f"-liberty {library_file(index)}" for index in range(libraries))
        if full_adder:
            chosen = self.passes + self.delay_passes
        else:
            chosen = tuple(line for line in self.passes if "{full_adder}" not in line)
        return "".join(
            line.format(top=top, liberty=liberty, full_adder=FULL_ADDER_FILE) + "\n" for line in chosen
        )

    def to_json(self) -> dict[str, object]:
        """Plain JSON members."""
        lists = {"passes": self.passes, "delay_passes": self.delay_passes, "abc": self.abc}
        return {"name": self.name} | {name: list(lines) for name, lines in lists.items()}


def library_file(index: int) -> str:
    """Name of the ``index``-th Liberty file in the working folder."""
    return f"library{index}.lib"


VERILOG_FILE = "design.v"
FULL_ADDER_FILE = "full_adder.v"
ABC_FILE = "abc.script"
STAT_FILE = "stat.json"

FULL_ADDERS = Recipe(
    name="full-adders",
    # Without -flatten: each kind of module is synthesised once, however often it stands in the design.
    passes=(
        f"read_verilog {VERILOG_FILE}",
        "synth -noabc -top {top}",
        "design -save synthesised",
        "extract_fa -fa",
        "techmap -map {full_adder}",
        "techmap",
        "opt -fast -purge",
        "dfflibmap {liberty}",
        f"abc {{liberty}} -script {ABC_FILE}",
        "opt_clean -purge",
        f"tee -q -o {STAT_FILE} stat -json {{liberty}}",
    ),
    delay_passes=(
        "design -load synthesised",
        "techmap",
        "opt -fast -purge",
        "dfflibmap {liberty}",
        f"abc {{liberty}} -script {ABC_FILE}",
    ),
    # Yosys' own script for Liberty files, without retiming, and with the timing that we want to read.
    abc=(
        "strash",
        "&get -n",
        "&fraig -x",
        "&put",
        "scorr",
        "dc2",
        "strash",
        "&get -n",
        "&dch -f",
        "&nf",
        "&put",
        "stime -p",
    ),
)
"""Sums of products become full adders, and these the library's own cell, before anything else is mapped."""
