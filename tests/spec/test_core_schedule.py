"""Cycles of operations against a model that goes through every one of them."""

from hypothesis import given
from hypothesis import strategies as st

from pact_hw.spec import ActFormat, CoreSpec, HardwareSpec, RequantiserSpec, WeightFormat
from pact_hw.spec.core_schedule import (
    DRAIN_LATENCY,
    END_CYCLES,
    LOAD_LATENCY,
    START_CYCLES,
    fetch_cycles,
    operation_cycles,
    program_cycles,
    tail_cycles,
)
from pact_hw.spec.program import FIELDS, Opcode


def core_of(rows=2, requantisers=0):
    array = HardwareSpec(
        act=ActFormat(bits=4), weight=WeightFormat(bits=4), rows=rows, cols=4, lanes=4,
        requantiser=RequantiserSpec(),
    )  # fmt: skip
    return CoreSpec(array=array, requantisers=requantisers)


def fields_of(**members):
    counts = dict.fromkeys((field.name for field in FIELDS), 1) | {"raw": 0, "residual_planes": 0}
    return counts | {"opcode": Opcode.MATRIX} | members


def stepped(core, f):
    """Cycles of a matrix operation, one by one: two patches, one shadow."""
    tiles = f["tiles_y"] * f["tiles_x"]
    load = f["patch_y"] * f["patch_x"] * f["pixel_words"]
    beats = f["kernel_y"] * f["kernel_x"] * f["channel_beats"]
    passes = f["n_tiles"] * f["block_y"] * f["act_slices"]
    drain = core.array.rows * f["drain_step"]
    cycle = loaded = consumed = words = beat = done_passes = 0
    ready_at, drained_at, last = [], 0, 0
    while consumed < tiles:
        cycle += 1
        full = loaded - consumed == 2
        ready = any(at <= cycle for at in ready_at[consumed : consumed + 1])
        if loaded < tiles and not full:
            words += 1
            if words == load:
                words, loaded = 0, loaded + 1
                ready_at.append(cycle + LOAD_LATENCY)
        ends = beat == beats - 1
        if ready and not (ends and cycle < drained_at):
            beat = 0 if ends else beat + 1
            if ends:
                drained_at, last = cycle + drain, cycle
                done_passes += 1
                if done_passes == passes:
                    done_passes, consumed = 0, consumed + 1
    return last + DRAIN_LATENCY + (core.array.rows - 1) * f["drain_step"] + tail_cycles(core, f)


@given(st.data())
def test_a_matrix_operation_takes_what_it_takes_cycle_by_cycle(data):
    names = ("tiles_y", "tiles_x", "patch_y", "pixel_words", "n_tiles", "block_y", "act_slices", "kernel_y",
             "channel_beats", "drain_step")  # fmt: skip
    fields = fields_of(**{name: data.draw(st.integers(1, 4), name) for name in names})
    core = core_of(data.draw(st.sampled_from([2, 4])), data.draw(st.sampled_from([1, 2, 4])))
    fields |= {"grid_y": 1, "grid_x": 1, "tiles_x": data.draw(st.integers(1, 9))}
    assert operation_cycles(core, fields) == fetch_cycles(core) + stepped(core, fields)


def test_a_window_takes_a_step_for_each_of_its_pixels():
    core = core_of()
    small = fields_of(opcode=Opcode.SUM, grid_y=3, grid_x=3, drain_step=2)
    large = {**small, "tiles_y": 5, "n_tiles": 2}
    assert operation_cycles(core, large) - operation_cycles(core, small) == 9 * 9 * 2


def test_a_program_is_its_operations_and_its_end():
    core, fields = core_of(), fields_of()
    one = operation_cycles(core, fields)
    assert program_cycles(core, [fields] * 3) == START_CYCLES + 3 * one + END_CYCLES
    assert operation_cycles(core, {"opcode": Opcode.END}) == END_CYCLES
