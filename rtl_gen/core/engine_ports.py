"""What an engine is connected to."""

from __future__ import annotations

from pact_hw.design import Port
from pact_hw.spec import CoreSpec
from pact_hw.spec.core import ADDRESS_BITS as BUS_ADDRESS_BITS
from pact_hw.spec.core import RESULT_BITS
from pact_hw.spec.core_widths import buffer_bits

from ..block import input_port, output_port
from .sequencer import COUNT_BITS
from .transfers import part_bits

DESTINATION_BITS = 2
ADDRESS_BITS = 24


def result_bits(core: CoreSpec) -> int:
    """Width of the widest row that goes to the memory."""
    return max(core.array.cols * RESULT_BITS, core.word_bits)


def engine_ports(core: CoreSpec) -> list[Port]:
    """What the engine is connected to."""
    return [
        input_port("start", 1, "run the program from its first operation"),
        output_port("busy", 1, "the program runs"),
        output_port("done", 1, "the program has ended: one cycle"),
        output_port("error", 4, "why it stopped (CoreError), until a reset"),
        input_port("transfers_done", 16, "transfers that are complete, since the start"),
        output_port("operations_done", 16, "operations that have ended, since the start"),
        input_port("write_valid", 1, "a bus beat of a word is offered, and held until taken"),
        output_port("write_ready", 1, "the beat is taken"),
        input_port("write_destination", DESTINATION_BITS, "program, weights, constants or activations"),
        input_port("write_address", ADDRESS_BITS, "word; not used by weights"),
        input_port("write_data", core.bus_bits, "the beat"),
        input_port("write_part", part_bits(core), "which beat of the word: bits from this times bus_bits on"),
        input_port("write_last", 1, "the word's last one"),
        output_port("result_start", 1, "an operation begins: what it offers goes to its place in memory"),
        output_port("result_words", 1, "it is a store: words of the activation buffer, not rows of sums"),
        output_port("result_offset", BUS_ADDRESS_BITS, "bytes behind the results', or the input's address"),
        output_port("result_valid", 1, "a row (raw sums, or a word) is offered, and held until taken"),
        input_port("result_ready", 1, "the row is taken"),
        input_port("result_idle", 1, "all that was taken is in the memory"),
        output_port("result_data", result_bits(core), "cols sums, two's complement; or the word"),
        output_port("cycles", COUNT_BITS, "cycles since the start"),
        output_port("stalls", COUNT_BITS, "of these, waiting for the memory"),
        output_port("out_write", 1, "levels are written into the activation buffer"),
        output_port("out_address", buffer_bits(core), "word"),
        output_port("out_mask", core.col_groups, "its column groups, a bit each"),
        output_port(
            "out_data",
            core.array.cols * core.array.act.bits,
            "for column groups in turn: one plane of cols levels",
        ),
    ]
