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
    """What follows for abc's estimate of the delay where full-adder cells were used: abc takes such a cell
    for the end of a path, so the delay is read from the same design in plain gates."""
    abc: tuple[str, ...]
    load_share: float
    """What a cell may drive, of its maximum capacitance in the library: for more, a stronger one or buffers
    are taken."""

    def script(self, *, top: str, libraries: int, full_adder: bool, flip: bool, estimated: bool) -> str:
        """The Yosys script; file names are those of ``run``'s working folder.

        ``flip``: the library's register inverts; ``estimated``: abc is to estimate the delay.
        """
        liberty = " ".join(f"-liberty {library_file(index)}" for index in range(libraries))
        present = {"{full_adder}": full_adder, "{flip}": flip}
        chosen = self.passes + (self.delay_passes if full_adder and estimated else ())
        return "".join(
            line.format(top=top, liberty=liberty, full_adder=FULL_ADDER_FILE, flip=FLIP_FILE) + "\n"
            for line in chosen
            if all(there or name not in line for name, there in present.items())
        )

    def to_json(self) -> dict[str, object]:
        """Plain JSON members."""
        lists = {"passes": self.passes, "delay_passes": self.delay_passes, "abc": self.abc}
        named = {name: list(lines) for name, lines in lists.items()}
        return {"name": self.name, **named, "load_share": self.load_share}


def library_file(index: int) -> str:
    """Name of the ``index``-th Liberty file in the working folder."""
    return f"library{index}.lib"


VERILOG_FILE = "design.v"
FULL_ADDER_FILE = "full_adder.v"
FLIP_FILE = "flip.v"
ADDERS_FILE = "adders.v"
PLAIN_ADDERS_FILE = "plain_adders.v"
CELLS_FILE = "cells.v"
BUFFER_FILE = "buffer.v"
MULTIPLEXER_FILE = "multiplexer.v"
NETLIST_FILE = "netlist.json"
MAPPED_FILE = "mapped.v"
ABC_FILE = "abc.script"

PREPARE = (
    f"read_verilog {VERILOG_FILE}\n"
    "hierarchy -check -top {top}\n"
    "proc\n"
    "opt_clean\n"
    f"write_json {NETLIST_FILE}\n"
)
"""What comes before a recipe: the polarity of the placed adders is chosen on this netlist."""

FINISH = f"read_json {NETLIST_FILE}\nwrite_verilog -noattr {MAPPED_FILE}\n"
"""What comes after a recipe: drive strengths were chosen on its netlist."""

FULL_ADDERS = Recipe(
    name="full-adders",
    # Without -flatten: each kind of module is synthesised once, however often it stands in the design.
    passes=(
        f"read_json {NETLIST_FILE}",
        f"read_verilog -lib {CELLS_FILE}",
        "design -save placed",
        f"techmap -map {ADDERS_FILE}",
        "synth -noabc -top {top}",
        "extract_fa -fa",
        "techmap -map {full_adder}",
        "techmap",
        "opt -full -purge",
        # A word's multiplexers share both polarities of their choice; abc would give each its own.
        f"techmap -map {MULTIPLEXER_FILE} t:$_MUX_",
        "techmap",
        "opt -full -purge",
        # Inverters before registers go through them, where the library's register inverts anyway; and an
        # AND before one is a NAND, where an inverter would be behind it.
        "dfflegalize -cell $_DFF_P_ x",
        "opt_expr -mux_bool",
        "select -set inverted t:$_NOT_ t:$_AND_ %u %co:+[Y] %co:+[D] t:$_DFF_P_ %i",
        "techmap -map {flip} @inverted",
        "dfflibmap {liberty}",
        "simplemap",
        "opt_clean",
        f"abc {{liberty}} -script {ABC_FILE}",
        # abc's buffers, where inverters cancelled between an input and an output, drive nothing.
        f"techmap -map {BUFFER_FILE}",
        "opt_clean -purge",
        "delete */t:$scopeinfo",
        f"write_json {NETLIST_FILE}",
    ),
    delay_passes=(
        "design -load placed",
        f"techmap -map {PLAIN_ADDERS_FILE}",
        "synth -noabc -top {top}",
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
    # About four gates of the cell's own kind.
    load_share=0.11,
)
"""Sums of products become full adders, and these the library's own cell, before anything else is mapped."""
