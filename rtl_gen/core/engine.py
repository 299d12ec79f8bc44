"""The engine: everything of a core inside the bus."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value

from pact_hw.design import Port
from pact_hw.spec import CoreSpec
from pact_hw.spec.core import RESULT_BITS, Depthwise
from pact_hw.spec.program import FIELDS, WORD_BITS, Destination, Opcode

from ..arithmetic import named
from ..block import Block, input_port, output_port
from .array import LATENCY_CYCLES, ShadowedArray
from .buffer import ActivationBuffer
from .drain import Drain, Pace
from .loader import Loader
from .memory import Memory
from .operand import Operand
from .passes import Passes
from .patches import Patches
from .requantise import Requantise
from .sequencer import COUNT_BITS, Sequencer
from .sizes import buffer_bits
from .sums import Sums, doubled_or_not
from .weights import WeightRing
from .writer import Writer

DESTINATION_BITS = 2
ADDRESS_BITS = 24


def write_bits(core: CoreSpec) -> int:
    """Width of the widest word that the bus brings."""
    return max(WORD_BITS, core.weight_word_bits, core.constant_word_bits, core.word_bits)


def engine_ports(core: CoreSpec) -> list[Port]:
    """What the engine is connected to."""
    return [
        input_port("start", 1, "run the program from its first operation"),
        output_port("busy", 1, "the program runs"),
        output_port("done", 1, "the program has ended: one cycle"),
        output_port("error", 4, "why it stopped (CoreError), until a reset"),
        input_port("transfers_done", 16, "transfers that are complete, since the start"),
        output_port("operations_done", 16, "operations that have ended, since the start"),
        input_port("write_valid", 1, "a word from the bus is offered, and held until taken"),
        output_port("write_ready", 1, "the word is taken"),
        input_port("write_destination", DESTINATION_BITS, "program, weights, constants or activations"),
        input_port("write_address", ADDRESS_BITS, "word; not used by weights"),
        input_port("write_data", write_bits(core), "the lowest bits are used"),
        output_port("result_valid", 1, "sums of a raw operation are offered, and held until taken"),
        input_port("result_ready", 1, "sums are taken"),
        output_port("result_data", core.array.cols * RESULT_BITS, "cols sums, two's complement"),
        output_port("cycles", COUNT_BITS, "cycles since the start"),
        output_port("stalls", COUNT_BITS, "of these, waiting for the memory"),
        output_port("out_write", 1, "levels are written into the activation buffer"),
        output_port("out_address", buffer_bits(core), "word"),
        output_port("out_mask", core.col_groups, "its column group, as one bit"),
        output_port("out_data", core.array.cols * core.array.act.bits, "one plane of cols levels"),
    ]


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
        }
        super().__init__(f"{core.name}_engine", engine_ports(core), list(self._blocks.values()))

    def _build(self, m: Module) -> None:
        wires: dict[tuple[str, str], Signal] = {}
        for label, block in self._blocks.items():
            for port in block.ports:
                if port.name not in ("clk", "rst"):
                    wires[label, port.name] = Signal(port.width, name=f"{label}_{port.name}")
        fields = {field.name: wires["sequencer", field.name] for field in FIELDS}
        driven = self._connections(m, wires, fields)
        for label, block in self._blocks.items():
            names = {port.name for port in block.ports if port.name not in ("clk", "rst")}
            given = driven.pop(label, {})
            for name in getattr(block, "fields", ()):
                given.setdefault(name, fields[name])
            block.place(m, label, **{name: given.get(name, wires[label, name]) for name in names})
        assert not driven

    def _connections(
        self, m: Module, wires: dict[tuple[str, str], Signal], fields: dict[str, Signal]
    ) -> dict[str, dict[str, Value]]:
        """What each block's inputs are connected to, fields of the same name apart."""

        def of(label: str, *names: str) -> list[Signal]:
            return [wires[label, name] for name in names]

        def same(label: str, *names: str) -> dict[str, Value]:
            return {name: wires[label, name] for name in names}

        (begin,) = of("sequencer", "begins")
        windows = named(m, "windows", fields["opcode"][1], 1)
        maximum = named(m, "maximum", fields["opcode"] == Opcode.MAX, 1)
        begin_matrix = named(m, "begin_matrix", begin & ~windows, 1)
        result_wait = named(
            m,
            "result_wait",
            fields["raw"]
            & wires["pace", "wanted"]
            & (
                wires["pace", "on_the_way"]
                | wires["operand", "busy"]
                | (self.result_valid & ~self.result_ready)
            ),
            1,
        )
        waits = named(m, "waits", wires["weights", "missing"] | result_wait, 1)
        run = named(m, "run", self.busy & ~waits, 1)
        pass_end = wires["passes", "pass_end"]
        accept = Signal()
        ends = Signal(LATENCY_CYCLES + 1)  # pass_end, so many cycles ago
        m.d.sync += [accept.eq(wires["passes", "issue"]), ends.eq(Cat(pass_end, ends[:-1]))]
        writing = {
            destination: named(
                m,
                f"write_{destination.name.lower()}",
                self.write_valid & (self.write_destination == destination),
                1,
            )
            for destination in Destination
        }
        refused = Cat(
            writing[Destination.WEIGHTS] & ~wires["weights", "write_ready"],
            writing[Destination.ACTIVATIONS] & ~wires["activations", "bus_ready"],
        ).any()
        written = wires["writer", "write_enable"]
        m.d.comb += [
            self.write_ready.eq(~refused),
            self.out_write.eq(written.any()),
            self.out_mask.eq(written),
            self.out_address.eq(wires["writer", "write_address"]),
            self.out_data.eq(wires["writer", "write_data"]),
        ]
        take, done = wires["operand", "take"], wires["joined", "done"]
        loaded = wires["activations", "load_data"]
        core = self._core

        def address(bits: int) -> Value:
            return self.write_address[:bits]

        activations, constants = self._blocks["activations"], self._blocks["requantise"]
        address_bits = {
            label: next(port.width for port in block.ports if port.name == name)
            for label, block, name in (
                ("activations", activations, "bus_address"),
                ("requantise", constants, "write_address"),
                ("program", self._blocks["program"], "write_address"),
            )
        }
        out_of_range = Cat(*(wires[label, "out_of_range"] for label in ("loader", "operand", "writer"))).any()
        context = same("drain", "row", "first", "whole", "shift")
        own, diagonal, part = {}, {}, {}
        if core.depthwise is Depthwise.DIAGONAL:
            own = {"diagonal": fields["diagonal"], "own": wires["patches", "own"]}
            diagonal = {"diagonal": fields["diagonal"]} if doubled_or_not(core) else {}
            part = {"read_part": wires["passes", "part"]}
        return {
            "sequencer": {
                "start": self.start, "busy": self.busy, "done": self.done, "error": self.error,
                "transfers_done": self.transfers_done, "operations_done": self.operations_done,
                "cycles": self.cycles, "stalls": self.stalls, "fetch_data": wires["program", "read_data"],
                "ends": wires["writer", "ends"], "stalled": waits | wires["writer", "waits"],
                "out_of_range": out_of_range, "weights_missing": wires["weights", "never"],
            },
            "program": {
                "write_enable": writing[Destination.PROGRAM],
                "write_address": address(address_bits["program"]),
                "write_data": self.write_data[:WORD_BITS],
                "read_enable": wires["sequencer", "fetch"],
                "read_address": wires["sequencer", "fetch_address"],
            },
            "activations": {
                "bus_valid": writing[Destination.ACTIVATIONS],
                "bus_address": address(address_bits["activations"]),
                "bus_data": self.write_data[: core.word_bits],
                **same("writer", "write_enable", "write_address", "write_data"),
                "load_enable": wires["loader", "read_enable"],
                "load_address": wires["loader", "read_address"],
                "operand_enable": wires["operand", "read_enable"],
                "operand_address": wires["operand", "read_address"],
            },
            "loader": {"begins": begin_matrix, "run": run, "consumed": wires["passes", "tile_end"]},
            "patches": {
                **same("loader", "write_rows", "write_half", "write_address"),
                "write_data": Mux(wires["loader", "write_zero"], 0, loaded),
                "read_enable": wires["passes", "issue"], "read_half": wires["passes", "half"],
                "read_address": wires["passes", "address"], **part,
            },
            "weights": {
                "stay": fields["weights_stay"],
                "write_valid": writing[Destination.WEIGHTS],
                "write_data": self.write_data[: core.weight_word_bits],
                **same("passes", "wanted", "issue", "again", "n_end", "tile_end", "last"),
            },
            "passes": {
                "begins": begin_matrix, "run": run, "ready": wires["loader", "ready"],
                "drained": wires["pace", "drained"],
            },
            "array": {
                "accept": accept, "capture": ends[-1] | begin, "step": wires["joined", "step"],
                "act": wires["patches", "act"], **own, "weight": wires["weights", "data"],
            },
            "pace": {
                "run": run, "begins": pass_end | (begin & windows), "windows": windows,
                "ends": wires["drain", "last_turn"], "drain_step": fields["drain_step"],
            },
            "drain": {"begins": begin, "windows": windows, "paced": wires["pace", "turn"]},
            "operand": {
                "turn": wires["drain", "turn"], "valid": wires["drain", "operand_valid"],
                "address": wires["drain", "operand_address"],
                "read_data": wires["activations", "operand_data"],
            },
            "joined": {
                **same("drain", "turn", "turn_row"), **context, **diagonal, "take": take, "windows": windows,
                "maximum": maximum, "accs": wires["array", "sums"], "act_total": wires["array", "total"],
                "levels": wires["operand", "arriving"],
            },
            "requantise": {
                "write_enable": writing[Destination.CONSTANTS],
                "write_address": address(address_bits["requantise"]),
                "write_data": self.write_data[: core.constant_word_bits],
                "done": done, **same("drain", "constant", "valid", "last", "address"),
                "sums": wires["joined", "sums"], "residuals": wires["operand", "levels"],
            },
            "writer": {
                "done": done, **same("drain", "valid", "last"), "sums": wires["joined", "sums"],
                **same("requantise", "level_begin", "level_valid", "level_last", "level_address", "levels"),
                "result_valid": self.result_valid, "result_ready": self.result_ready,
                "result_data": self.result_data,
            },
        }  # fmt: skip
