"""A gate-level netlist with hundreds of mutants, simulated at once: bit k of every net is mutant k's.

Nets are Python integers, gates are its bitwise operators, and the netlist is one function of such lines:
a thousand gates of 300 mutants take a tenth of a millisecond.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

GATES = {
    "$_BUF_": "{A}",
    "$_NOT_": "ALL ^ {A}",
    "$_AND_": "{A} & {B}",
    "$_NAND_": "ALL ^ ({A} & {B})",
    "$_OR_": "{A} | {B}",
    "$_NOR_": "ALL ^ ({A} | {B})",
    "$_XOR_": "{A} ^ {B}",
    "$_XNOR_": "ALL ^ ({A} ^ {B})",
    "$_ANDNOT_": "{A} & (ALL ^ {B})",
    "$_ORNOT_": "{A} | (ALL ^ {B})",
    "$_MUX_": "{B} & {S} | {A} & (ALL ^ {S})",
}
REGISTER = "$_DFF_P_"
MUTATIONS = {"inv": "({x} ^ {mask})", "const0": "({x} & ~{mask})", "const1": "({x} | {mask})"}


@dataclass(frozen=True)
class Mutant:
    """One fault at one pin of one gate, as Yosys' ``mutate`` names it."""

    mode: str
    cell: str
    port: str
    where: str
    """The wire or the line of Verilog that it is at."""


class Netlist:
    """The top module of Yosys' JSON, all of its registers ``$_DFF_P_``, with ``mutants``; bit 0 has none."""

    def __init__(self, document: dict[str, Any], top: str, mutants: Sequence[Mutant]) -> None:
        module = document["modules"][top]
        self.every = (1 << len(mutants) + 1) - 1
        self._ports: dict[str, list[Any]] = {name: port["bits"] for name, port in module["ports"].items()}
        faults: dict[tuple[str, str], list[tuple[str, int]]] = {}
        for number, mutant in enumerate(mutants, start=1):
            faults.setdefault((mutant.cell, mutant.port), []).append((mutant.mode, 1 << number))

        def pin(name: str, port: str, value: str) -> str:
            for mode, mask in faults.get((name, port), ()):
                value = MUTATIONS[mode].format(x=value, mask=mask)
            return value

        registers = {n: c for n, c in module["cells"].items() if c["type"] == REGISTER}
        gates = {n: c for n, c in module["cells"].items() if c["type"] != REGISTER}
        lines = []
        for name in _in_order(gates):
            cell = gates[name]
            pins = {
                port: pin(name, port, _net(bits[0]))
                for port, bits in cell["connections"].items()
                if port != "Y"
            }
            value = pin(name, "Y", f"({GATES[cell['type']].format(**pins)})")
            lines.append(f"{_net(cell['connections']['Y'][0])} = {value}")
        states = [_net(cell["connections"]["Q"][0]) for cell in registers.values()]
        following = [pin(n, "D", _net(c["connections"]["D"][0])) for n, c in registers.items()]
        shown = [pin(n, "Q", _net(c["connections"]["Q"][0])) for n, c in registers.items()]
        inputs = sorted(
            {
                bit
                for name, port in module["ports"].items()
                if port["direction"] == "input"
                for bit in port["bits"]
            }
        )
        self._inputs = {bit: index for index, bit in enumerate(inputs)}
        outputs = sorted({bit for port in self._ports.values() for bit in port if isinstance(bit, int)})
        self._outputs = {bit: index for index, bit in enumerate(outputs)}
        self.state_bits = len(states)
        text = "def step(state, given, ALL):\n"
        if states:
            text += f"    [{', '.join(states)}] = state\n"
            text += "".join(f"    {a} = {b}\n" for a, b in zip(states, shown, strict=True) if a != b)
        text += f"    [{', '.join(map(_net, inputs))}] = given\n"
        text += "".join(f"    {line}\n" for line in lines)
        text += f"    return [{', '.join(following)}], [{', '.join(map(_net, outputs))}]\n"
        names: dict[str, Any] = {}
        exec(compile(text, "netlist", "exec"), names)  # noqa: S102 - made of a netlist just above
        self._step: Callable[[list[int], list[int], int], tuple[list[int], list[int]]] = names["step"]
        self._given = [0] * len(inputs)

    def drive(self, port: str, text: str) -> None:
        """Give an input, as binary text, to all mutants."""
        for bit, digit in zip(self._ports[port], reversed(text), strict=True):
            self._given[self._inputs[bit]] = self.every if digit == "1" else 0

    def step(self, state: list[int]) -> tuple[list[int], list[int]]:
        """The state after the next clock edge, and the outputs before it (for ``read``)."""
        return self._step(state, self._given, self.every)

    def read(self, outputs: list[int], port: str) -> list[int]:
        """The bits of an output."""
        constants = {"0": 0, "1": self.every, "x": 0}
        return [
            outputs[self._outputs[bit]] if isinstance(bit, int) else constants[bit]
            for bit in self._ports[port]
        ]

    def differ(self, values: list[int]) -> int:
        """The mutants in which one of ``values`` is not what it is without a fault."""
        found = 0
        for value in values:
            found |= value ^ (self.every if value & 1 else 0)
        return found & self.every


def _net(bit: Any) -> str:
    return {"0": "0", "1": "ALL", "x": "0"}.get(bit) or f"n{bit}"


def _in_order(gates: dict[str, Any]) -> list[str]:
    """The gates' names, each after those that drive it."""
    driver = {cell["connections"]["Y"][0]: name for name, cell in gates.items()}
    done: dict[str, None] = {}
    for start in gates:
        todo = [start]
        while todo:
            name = todo[-1]
            missing = [
                driver[bits[0]]
                for port, bits in gates[name]["connections"].items()
                if port != "Y" and bits[0] in driver and driver[bits[0]] not in done
            ]
            if missing and name not in done:
                todo += missing
            else:
                done[todo.pop()] = None
    return list(done)
