"""Verilog that tells Yosys which of a library's cells to put where."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .liberty import Cell
from .polarity import LOW
from .recipe import (
    ADDERS_FILE,
    BUFFER_FILE,
    CELLS_FILE,
    FLIP_FILE,
    FULL_ADDER_FILE,
    MULTIPLEXER_FILE,
    PLAIN_ADDERS_FILE,
)

if TYPE_CHECKING:
    from .library import Library

_PLAIN = {
    "full_adder": "a, b, c, output carry, sum);\n  assign sum = a ^ b ^ c;\n"
    "  assign carry = (a & b) | (c & (a | b));\nendmodule\n",
    "half_adder": "a, b, output carry, sum);\n  assign sum = a ^ b;\n  assign carry = a & b;\nendmodule\n",
}


def mapping_files(library: Library, top: str) -> dict[str, str]:
    """The files that a recipe refers to, by name."""
    plain = {kind: f"module {top}_{kind} (input {body}" for kind, body in _PLAIN.items()}
    low = plain["full_adder"].replace("full_adder", f"full_adder{LOW}", 1)
    adders = dict(plain)
    if library.full_adder:
        name = f"{top}_full_adder"
        adders["full_adder"] = library.full_adder.instance(name)
        adders["full_adder_low"] = library.full_adder.instance(name + LOW, low=True)
    if library.half_adder:
        adders["half_adder"] = library.half_adder.instance(f"{top}_half_adder")
    files = {
        ADDERS_FILE: "\n".join(adders.values()),
        PLAIN_ADDERS_FILE: "\n".join([*plain.values(), low]),
        CELLS_FILE: "\n".join(_black_boxes(library)),
        MULTIPLEXER_FILE: _multiplexer(library),
        BUFFER_FILE: "\n".join(_no_buffer(cell) for cell in library.buffers) or "// none\n",
    }
    if library.full_adder:
        files[FULL_ADDER_FILE] = library.full_adder.techmap()
    if library.register:
        files[FLIP_FILE] = library.register.techmap(flipped=True)
    return files


def _black_boxes(library: Library) -> list[str]:
    boxes = {}
    for adder in filter(None, (library.full_adder, library.half_adder)):
        boxes[adder.cell] = _box(adder.cell, adder.inputs, (adder.carry, adder.total))
    if library.register:
        one = library.register
        boxes[one.cell] = _box(one.cell, (one.data, one.clock), (one.output,))
    if library.and_or:
        cell = library.and_or
        boxes[cell.name] = _box(cell.name, tuple(cell.inputs), tuple(cell.functions))
    return list(boxes.values())


def _multiplexer(library: Library) -> str:
    cell = library.and_or
    if cell is None:
        return "// none\n"
    values = zip(cell.inputs, ("A", "~S", "B", "S"), strict=True)
    pins = ", ".join(f".{pin}({value})" for pin, value in values)
    (output,) = cell.functions
    return (
        '(* techmap_celltype = "$_MUX_" *)\nmodule multiplexer (input A, B, S, output Y);\n'
        f"  {cell.name} cell_ ({pins}, .{output}(Y));\nendmodule\n"
    )


def _box(cell: str, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> str:
    ports = f"input {', '.join(inputs)}, output {', '.join(outputs)}"
    return f"(* blackbox *) module {cell} ({ports}); endmodule"


def _no_buffer(cell: Cell) -> str:
    (pin,), (output,) = cell.inputs, cell.functions
    return f"module {cell.name} (input {pin}, output {output}); assign {output} = {pin}; endmodule"
