"""Technology constants, each with its unit and source, and the generic cell library made of them."""

from __future__ import annotations

from dataclasses import dataclass

_BOTH = "between SkyWater sky130_fd_sc_hd and IHP SG13G2, smallest cells over smallest NAND2, to 0.25"
_SKY = "SkyWater sky130_fd_sc_hd, smallest cell over smallest NAND2, to 0.25"


@dataclass(frozen=True, kw_only=True)
class Gate:
    """A gate of the generic library; area in gate equivalents (GE): NAND2 = 1."""

    name: str
    area_ge: float
    outputs: dict[str, str]
    """Liberty function of each output, over inputs A, B, C, D."""
    source: str

    @property
    def inputs(self) -> list[str]:
        """Names of the inputs."""
        return [pin for pin in "ABCD" if any(pin in function for function in self.outputs.values())]


def _gate(name: str, area_ge: float, function: str, source: str = _BOTH) -> Gate:
    return Gate(name=name, area_ge=area_ge, outputs={"Y": function}, source=source)


GATES = {
    gate.name: gate
    for gate in (
        _gate("INV", 0.75, "!A"),
        _gate("BUF", 1.0, "A"),
        _gate("NAND2", 1.0, "!(A & B)", "by definition"),
        _gate("NOR2", 1.0, "!(A | B)"),
        _gate("NAND3", 1.25, "!(A & B & C)"),
        _gate("NOR3", 1.25, "!(A | B | C)"),
        _gate("AND2", 1.5, "A & B"),
        _gate("OR2", 1.5, "A | B"),
        _gate("AOI21", 1.25, "!((A & B) | C)"),
        _gate("OAI21", 1.25, "!((A | B) & C)"),
        _gate("AOI22", 1.75, "!((A & B) | (C & D))"),
        _gate("OAI22", 1.75, "!((A | B) & (C | D))"),
        _gate("XOR2", 2.25, "A ^ B"),
        _gate("XNOR2", 2.25, "!(A ^ B)"),
        _gate("MUX2", 2.75, "(A & !C) | (B & C)"),
        Gate(name="HA", area_ge=3.25, outputs={"CO": "A & B", "S": "A ^ B"}, source=_SKY),
        Gate(
            name="FA",
            area_ge=5.25,
            outputs={"CO": "(A & B) | (A & C) | (B & C)", "S": "A ^ B ^ C"},
            source=_SKY,
        ),
    )
}
FLIP_FLOP_GE = 5.25
"""Gate equivalents of a D flip-flop without set or reset (sky130_fd_sc_hd dfxtp_1: 5.33)."""


def _pin(name: str, direction: str, body: str = "") -> str:
    return f"    pin ({name}) {{ direction : {direction}; {body}}}"


def _arc(pin: str, delay: float, kind: str = "combinational") -> str:
    table = f'(scalar) {{ values ("{delay:g}"); }}'
    kinds = " ".join(f"{kind} {table}" for kind in ("cell_rise", "cell_fall"))
    slopes = " ".join(
        f'{kind} (scalar) {{ values ("0"); }}' for kind in ("rise_transition", "fall_transition")
    )
    return f'timing () {{ related_pin : "{pin}"; timing_type : {kind}; {kinds} {slopes} }} '


_SETUP = (
    'timing () { related_pin : "CLK"; timing_type : setup_rising; '
    'rise_constraint (scalar) { values ("0"); } fall_constraint (scalar) { values ("0"); } } '
)


def generic_liberty() -> str:
    """The generic library as Liberty text: areas in GE.

    Delays are there only so that abc prefers few stages: a gate takes its area's worth of units. They
    are no time of any technology, and no delay is reported from them.
    """
    lines = [
        "library (pact_hw_generic) {",
        "  delay_model : table_lookup;",
        '  time_unit : "1ps";',
        "  capacitive_load_unit (1, ff);",
        *(f"  {edge}_threshold_pct_{way} : 50;" for edge in ("input", "output") for way in ("rise", "fall")),
        *(
            f"  slew_{edge}_threshold_pct_{way} : {percent};"
            for edge, percent in (("lower", 20), ("upper", 80))
            for way in ("rise", "fall")
        ),
    ]
    for gate in GATES.values():
        lines.append(f"  cell ({gate.name}) {{ area : {gate.area_ge:g};")
        lines += [_pin(pin, "input", "capacitance : 1; ") for pin in gate.inputs]
        for output, function in gate.outputs.items():
            arcs = "".join(_arc(pin, gate.area_ge) for pin in gate.inputs)
            lines.append(_pin(output, "output", f'function : "{function}"; {arcs}'))
        lines.append("  }")
    lines += [
        f"  cell (DFF) {{ area : {FLIP_FLOP_GE:g};",
        '    ff (IQ, IQN) { clocked_on : "CLK"; next_state : "D"; }',
        _pin("CLK", "input", "clock : true; capacitance : 1; "),
        _pin("D", "input", f"capacitance : 1; {_SETUP}"),
        _pin("Q", "output", f'function : "IQ"; {_arc("CLK", FLIP_FLOP_GE, "rising_edge")}'),
        "  }",
        "}",
    ]
    return "\n".join(lines) + "\n"
