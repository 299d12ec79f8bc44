"""The engine: everything of a core inside the bus."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value

from pact_hw.spec import CoreSpec
from pact_hw.spec.core import Depthwise
from pact_hw.spec.core_widths import address_bits
from pact_hw.spec.program import FIELDS, WORD_BITS, Destination, Opcode

from ..arithmetic import named
from ..block import Block
from .array import LATENCY_CYCLES, ShadowedArray
from .buffer import ActivationBuffer
from .drain import Drain, Pace
from .engine_ports import engine_ports
from .loader import Loader
from .memory import Memory
from .operand import Operand
from .passes import Passes
from .patches import Patches
from .requantise import Requantise
from .sequencer import Sequencer
from .store import Store
from .sums import Sums, doubled_or_not
from .weights import WeightRing
from .writer import Writer

Wires = dict[tuple[str, str], Signal]
"""Blocks' ports, by label and name."""
Inputs = dict[str, dict[str, Value]]
"""What blocks' inputs are connected to, by label and name."""


class Engine(Block):
    """Buffers, loops, array and requantisers of a core, under a sequencer that runs programs.

    While it waits for the memory everything that issues work waits (``run``), and what is under way goes
    on: cycles are those of ``pact_hw.spec.core_schedule`` and the stalls.
    """

    resets = True

    def __init__(self, core: CoreSpec) -> None:
        self._core = core
        self._blocks: dict[str, Block] = {
            "sequencer": Sequencer(core),
            "program": Memory(f"{core.name}_memory_program", depth=core.program_words, width=WORD_BITS),
            "activations": ActivationBuffer(core),
            "loader": Loader(core),
            "patches": Patches(core),
            "weights": WeightRing(core),
            "passes": Passes(core),
            "array": ShadowedArray(core),
            "pace": Pace(core),
            "drain": Drain(core),
            "operand": Operand(core),
            "joined": Sums(core),
            "requantise": Requantise(core),
            "writer": Writer(core),
            "store": Store(core),
        }
        super().__init__(f"{core.name}_engine", engine_ports(core), list(self._blocks.values()))

    def _build(self, m: Module) -> None:
        wires: Wires = {}
        for label, block in self._blocks.items():
            for port in block.ports:
                if port.name not in ("clk", "rst"):
                    wires[label, port.name] = Signal(port.width, name=f"{label}_{port.name}")
        fields = {f.name: wires["sequencer", f.name] for f in FIELDS if ("sequencer", f.name) in wires}
        driven = self._driven_by_bus(m, wires)
        for label, inputs in self._driven_by_blocks(m, wires, fields).items():
            driven[label] = driven.get(label, {}) | inputs
        for label, block in self._blocks.items():
            names = {port.name for port in block.ports if port.name not in ("clk", "rst")}
            given = driven.pop(label)
            for name in getattr(block, "fields", ()):
                given.setdefault(name, fields[name])
            block.place(m, label, **{name: given.get(name, wires[label, name]) for name in names})
        assert not driven

    def _driven_by_bus(self, m: Module, wires: Wires) -> Inputs:
        """Beats from the bus go to their buffers; and what the outside sees of the writer."""
        core, part = self._core, {"write_part": self.write_part, "write_data": self.write_data}

        def written(destination: Destination) -> Value:
            chosen = self.write_valid & (self.write_destination == destination)
            return named(m, f"write_{destination.name.lower()}", chosen, 1)

        def address(words: int) -> Value:
            return self.write_address[: address_bits(words)]

        weights, activations = written(Destination.WEIGHTS), written(Destination.ACTIVATIONS)
        refused = Cat(
            weights & ~wires["weights", "write_ready"], activations & ~wires["activations", "bus_ready"]
        ).any()
        m.d.comb += [
            self.write_ready.eq(~refused),
            self.out_write.eq(wires["writer", "write_enable"].any()),
            self.out_mask.eq(wires["writer", "write_enable"]),
            self.out_address.eq(wires["writer", "write_address"]),
            self.out_data.eq(wires["writer", "write_data"]),
        ]
        return {
            "program": {
                "write_enable": written(Destination.PROGRAM), "write_data": self.write_data[:WORD_BITS],
                "write_address": address(core.program_words),
            },
            "weights": {"write_valid": weights, "write_last": self.write_last, **part},
            "requantise": {
                "write_enable": written(Destination.CONSTANTS), **part,
                "write_address": address(core.constant_words),
            },
            "activations": {
                "bus_valid": activations, "bus_part": self.write_part, "bus_data": self.write_data,
                "bus_address": address(core.activation_words),
            },
        }  # fmt: skip

    def _offer(self, m: Module, wires: Wires, fields: dict[str, Signal], storing: Signal) -> None:
        """What goes to the memory: sums of the writer, or words of a store."""
        word, sums = wires["activations", "operand_data"], wires["writer", "result_data"]
        m.d.comb += [
            self.result_start.eq(wires["sequencer", "begins"]),
            self.result_words.eq(storing),
            self.result_offset.eq(fields["memory"]),
            self.result_valid.eq(wires["writer", "result_valid"] | wires["store", "valid"]),
            self.result_data.eq(Mux(storing, word, sums)),
        ]

    def _waits(self, m: Module, wires: Wires, fields: dict[str, Signal]) -> Signal:
        """Whether the memory makes the engine wait: for weights, or for room for sums.

        A row of sums only leaves when the one before has been taken, as they have one register.
        """
        offered = wires["writer", "result_valid"] & ~self.result_ready
        before = wires["pace", "on_the_way"] | wires["operand", "busy"] | offered
        result_wait = named(m, "result_wait", fields["raw"] & wires["pace", "wanted"] & before, 1)
        return named(m, "waits", wires["weights", "missing"] | result_wait, 1)

    def _driven_by_blocks(self, m: Module, wires: Wires, fields: dict[str, Signal]) -> Inputs:
        """What blocks give each other; fields of their inputs' names apart."""
        core = self._core

        def same(label: str, *names: str) -> dict[str, Value]:
            return {name: wires[label, name] for name in names}

        begins = wires["sequencer", "begins"]
        windows = named(m, "windows", fields["opcode"][1], 1)
        maximum = named(m, "maximum", fields["opcode"] == Opcode.MAX, 1)
        storing = named(m, "storing", fields["opcode"] == Opcode.STORE, 1)
        begins_matrix = named(m, "begins_matrix", begins & ~windows & ~storing, 1)
        self._offer(m, wires, fields, storing)
        waits = self._waits(m, wires, fields)
        run = named(m, "run", self.busy & ~waits, 1)
        pass_end = wires["passes", "pass_end"]
        accept = Signal()
        pass_ends = Signal(LATENCY_CYCLES + 1)  # so many cycles ago: memory, then the array
        m.d.sync += [accept.eq(wires["passes", "issue"]), pass_ends.eq(Cat(pass_end, pass_ends[:-1]))]
        done = wires["joined", "done"]
        beyond = [wires[label, "out_of_range"] for label in ("loader", "operand", "writer", "store")]
        no_constants = wires["drain", "out_of_range"] & ~fields["raw"]  # raw sums have none
        own, diagonal, part = {}, {}, {}
        if core.depthwise is Depthwise.DIAGONAL:
            own = {"diagonal": fields["diagonal"], "own": wires["patches", "own"]}
            diagonal = {"diagonal": fields["diagonal"]} if doubled_or_not(core) else {}
            part = {"read_part": wires["passes", "part"]}
        mode = {"mode": fields["mode"]} if core.array.modes else {}
        return {
            "sequencer": {
                "start": self.start, "busy": self.busy, "done": self.done, "error": self.error,
                "transfers_done": self.transfers_done, "operations_done": self.operations_done,
                "cycles": self.cycles, "stalls": self.stalls, "fetch_data": wires["program", "read_data"],
                "ends": wires["writer", "ends"] | wires["store", "ends"],
                "stalled": waits | wires["writer", "waits"] | wires["store", "waits"],
                "out_of_range": Cat(*beyond, no_constants).any(),
                "weights_missing": wires["weights", "never"],
            },
            "program": {
                "read_enable": wires["sequencer", "fetch"],
                "read_address": wires["sequencer", "fetch_address"],
            },
            "activations": {
                **same("writer", "write_enable", "write_address", "write_data"),
                "load_enable": wires["loader", "read_enable"],
                "load_address": wires["loader", "read_address"],
                "operand_enable": wires["operand", "read_enable"] | wires["store", "read_enable"],
                "operand_address": Mux(
                    storing, wires["store", "read_address"], wires["operand", "read_address"]
                ),
            },
            "loader": {"begins": begins_matrix, "run": run, "consumed": wires["passes", "tile_end"]},
            "patches": {
                **same("loader", "write_rows", "write_half", "write_address"),
                "write_data": Mux(wires["loader", "write_zero"], 0, wires["activations", "load_data"]),
                "read_enable": wires["passes", "issue"], "read_half": wires["passes", "half"],
                "read_address": wires["passes", "address"], **part,
            },
            "weights": {
                "stay": fields["weights_stay"],
                **same("passes", "wanted", "issue", "again", "n_end", "tile_end", "last"),
            },
            "passes": {
                "begins": begins_matrix, "run": run, "ready": wires["loader", "ready"],
                "drained": wires["pace", "drained"],
            },
            "array": {
                "accept": accept, "capture": pass_ends[-1] | begins, "step": wires["joined", "step"],
                "act": wires["patches", "act"], **own, **mode, "weight": wires["weights", "data"],
            },
            "pace": {
                "run": run, "begins": pass_end | (begins & windows), "windows": windows,
                "ends": wires["drain", "last_turn"], "drain_step": fields["drain_step"],
            },
            "drain": {"begins": begins, "windows": windows, "paced": wires["pace", "turn"]},
            "operand": {
                "turn": wires["drain", "turn"], "valid": wires["drain", "operand_valid"],
                "address": wires["drain", "operand_address"],
                "read_data": wires["activations", "operand_data"],
            },
            "joined": {
                **same("drain", "turn", "turn_row", "row", "first", "whole", "shift"), **diagonal, **mode,
                "take": wires["operand", "take"], "windows": windows,
                "maximum": maximum, "accs": wires["array", "sums"], "act_total": wires["array", "total"],
                "levels": wires["operand", "arriving"],
            },
            "requantise": {
                "done": done, **same("drain", "constant", "valid", "last", "address"),
                "sums": wires["joined", "sums"], "residuals": wires["operand", "levels"],
            },
            "writer": {
                "done": done, **same("drain", "valid", "last"), "sums": wires["joined", "sums"],
                **same("requantise", "level_begin", "level_valid", "level_last", "level_address", "levels"),
                "result_ready": self.result_ready, "result_idle": self.result_idle,
            },
            "store": {
                "begins": begins & storing, "ready": self.result_ready, "idle": self.result_idle,
            },
        }  # fmt: skip
