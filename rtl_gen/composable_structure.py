"""What synthesis is to build of a composable PE (``structure``): adders placed one by one, as Verilog."""

from __future__ import annotations

from pact_hw.spec import HardwareSpec

from .composition import Key, bricks, key, levels
from .compressor import Bit
from .partial_products import GATE_PS, REGISTER_PS
from .structure import FEEDBACK_PS, placed_sum

SHIFT_PS = 50
"""A multiplexer between two adders."""


def structure(spec: HardwareSpec, width: int, feedback: str = "shift ? acc_in : acc") -> list[str]:
    """The body of the PE; ``width``: bits of its accumulator, to ``feedback`` of which products are added."""
    lines, columns, most = _brick_bits(spec)
    for level in range(levels(spec)):
        columns, most, more = _level(spec, level, columns, most)
        lines += more
    final = [*columns[()], *([] for _ in range(width - len(columns[()])))][:width]
    for number, bits in enumerate(final):
        bits.append(Bit(FEEDBACK_PS, f"feedback[{number}]", 0))
    more, _ = placed_sum(spec.name, final, "total")
    return [
        f"wire [{width - 1}:0] feedback = {feedback};",
        *lines,
        *more,
        "always @(posedge clk) acc <= total;",
    ]


Columns = dict[Key, list[list[Bit]]]


def _brick_bits(spec: HardwareSpec) -> tuple[list[str], Columns, dict[Key, int]]:
    """Verilog that multiplies chunks bit by bit; the bits to be added, and the most they add up to."""
    chunk = spec.narrowest_bits
    lines: list[str] = []
    columns: Columns = {}
    most: dict[Key, int] = {}
    for lane, i, j, act_at, weight_at in bricks(spec):
        at = key(spec, i, j)
        bits = columns.setdefault(at, [[] for _ in range(2 * chunk - 1)])
        most[at] = most.get(at, 0) + ((1 << chunk) - 1) ** 2
        for k in range(chunk):
            name = f"product_{lane}_{i}_{j}_{k}"
            act = f"act[{act_at + chunk - 1}:{act_at}]"
            lines.append(f"wire [{chunk - 1}:0] {name} = {act} & {{{chunk}{{weight[{weight_at + k}]}}}};")
            for place in range(chunk):
                bits[place + k].append(Bit(REGISTER_PS + GATE_PS, f"{name}[{place}]"))
    return lines, columns, most


def _level(
    spec: HardwareSpec, level: int, columns: Columns, most: dict[Key, int]
) -> tuple[Columns, dict[Key, int], list[str]]:
    """Each sum of ``columns`` made a number, shifted if ``level`` joins, and put to those it is added to."""
    lines: list[str] = []
    merged: Columns = {}
    merged_most: dict[Key, int] = {}
    for at, bits in columns.items():
        digit, rest, label = at[-1], at[:-1], "_".join(map(str, (level, *at)))
        into = merged.setdefault(rest, [])
        shift = digit * spec.narrowest_bits << level
        merged_most[rest] = merged_most.get(rest, 0) + (most[at] << shift)
        if digit == 0:
            # Nothing to choose: these bits are added as they are.
            for number, column in enumerate(bits):
                _put(into, number, column)
            continue
        width = most[at].bit_length()
        padded = [*bits, *([] for _ in range(width - len(bits)))]
        more, reduction = placed_sum(spec.name, padded, f"sum_{label}_all", f"{label}_")
        chosen = f"joined[{level}]" if levels(spec) > 1 else "joined"
        word, shifted = f"sum_{label}_all", f"shifted_{label}"
        span = f"[{width + shift - 1}:0]"
        lines += more
        lines.append(f"wire {span} {shifted} = {chosen} ? {{{word}, {shift}'d0}} : {{{shift}'d0, {word}}};")
        for number in range(width + shift):
            sources = [n for n in (number, number - shift) if 0 <= n < width]
            arrival = max(reduction.arrivals[n] for n in sources) + SHIFT_PS
            _put(into, number, [Bit(arrival, f"{shifted}[{number}]")])
    return merged, merged_most, lines


def _put(columns: list[list[Bit]], number: int, bits: list[Bit]) -> None:
    while len(columns) <= number:
        columns.append([])
    columns[number] += bits
