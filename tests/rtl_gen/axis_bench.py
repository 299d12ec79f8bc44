"""Inside the simulator: an array behind AXI4-Stream, against cocotbext-axi's sources and sinks."""

import itertools
import logging
import random

import cocotb
import numpy as np
from axis_arrays import SPEC
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge, with_timeout
from cocotbext.axi import AxiStreamBus, AxiStreamFrame, AxiStreamSink, AxiStreamSource

from pact_hw.golden import matmul
from pact_hw.spec import Dataflow

K, TILES = 7, 6


def packed(*fields):
    """Beats of (values, bits) fields: each field in whole bytes, its elements side by side."""
    data = b""
    for values, bits in fields:
        number = sum(int(v) << (i * bits) for i, v in enumerate(values))
        data += number.to_bytes(-(-len(values) * bits // 8), "little")
    return data


def pause(rng, probability):
    seeded = random.Random(rng.random())  # noqa: S311 - a test pattern
    return (seeded.random() < probability for _ in itertools.count())


async def started(dut, names):
    logging.getLogger("cocotb.arr_axis").setLevel("WARNING")
    Clock(dut.clk, 2, unit="step").start()
    sources = {
        name: AxiStreamSource(AxiStreamBus.from_prefix(dut, f"s_axis_{name}"), dut.clk, dut.rst)
        for name in names
    }
    sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis_out"), dut.clk, dut.rst)
    dut.rst.value = 1
    for _ in range(4):
        await RisingEdge(dut.clk)
    dut.rst.value = 0
    return sources, sink


def unpack(beat, bits):
    """rows sums, two's complement."""
    number = int.from_bytes(bytes(beat), "little")
    values = [number >> (row * bits) & ((1 << bits) - 1) for row in range(SPEC.rows)]
    return [value - (1 << bits) if value >> (bits - 1) else value for value in values]


@cocotb.test(skip=SPEC.dataflow is not Dataflow.OUTPUT_STATIONARY or SPEC.requantiser is not None)
async def products_pass(dut):
    """Tiles back to back with random pauses: every sum, and TLAST with the last of each tile."""
    rng = np.random.default_rng(1)
    sources, sink = await started(dut, ["in"])
    pattern = random.Random(1)  # noqa: S311 - a test pattern
    sources["in"].set_pause_generator(pause(pattern, 0.3))
    sink.set_pause_generator(pause(pattern, 0.3))
    for _ in range(TILES):
        act = rng.integers(0, SPEC.act.max + 1, (SPEC.rows, K, SPEC.lanes))
        weight = rng.integers(0, SPEC.weight.levels + 1, (SPEC.cols, K, SPEC.lanes))
        beats = b"".join(
            packed((act[:, k].ravel(), SPEC.act.bits), (weight[:, k].ravel(), SPEC.weight.bits))
            for k in range(K)
        )
        await sources["in"].send(AxiStreamFrame(beats))
        frame = await with_timeout(sink.recv(compact=False), 4000, "step")
        size = -(-SPEC.rows * SPEC.acc_bits // 8)
        assert len(frame.tdata) == SPEC.cols * size
        got = [unpack(frame.tdata[i : i + size], SPEC.acc_bits) for i in range(0, len(frame.tdata), size)]
        expected = matmul(act.reshape(SPEC.rows, -1), weight.reshape(SPEC.cols, -1).T, SPEC.weight)
        assert np.array_equal(np.array(got).T, expected)


@cocotb.test(skip=SPEC.dataflow is not Dataflow.WEIGHT_STATIONARY)
async def weights_then_products_pass(dut):
    rng = np.random.default_rng(2)
    sources, sink = await started(dut, ["in", "weight"])
    pattern = random.Random(2)  # noqa: S311 - a test pattern
    for stream in (*sources.values(), sink):
        stream.set_pause_generator(pause(pattern, 0.3))
    for _ in range(TILES):
        act = rng.integers(0, SPEC.act.max + 1, (K, SPEC.rows, SPEC.lanes))
        weight = rng.integers(0, SPEC.weight.levels + 1, (SPEC.rows, SPEC.cols, SPEC.lanes))
        # The bottom row first.
        rows = b"".join(packed((row.ravel(), SPEC.weight.bits)) for row in weight[::-1])
        await sources["weight"].send(AxiStreamFrame(rows))
        await sources["in"].send(
            AxiStreamFrame(b"".join(packed((each.ravel(), SPEC.act.bits)) for each in act))
        )
        frame = await with_timeout(sink.recv(compact=False), 4000, "step")
        size = -(-SPEC.cols * SPEC.acc_bits // 8)
        assert len(frame.tdata) == K * size
        for index in range(K):
            number = int.from_bytes(bytes(frame.tdata[index * size : (index + 1) * size]), "little")
            got = [number >> (c * SPEC.acc_bits) & ((1 << SPEC.acc_bits) - 1) for c in range(SPEC.cols)]
            matrix = weight.transpose(0, 2, 1).reshape(-1, SPEC.cols)
            expected = matmul(act[index].reshape(1, -1), matrix, SPEC.weight)[0]
            assert got == [int(v) & ((1 << SPEC.acc_bits) - 1) for v in expected]
