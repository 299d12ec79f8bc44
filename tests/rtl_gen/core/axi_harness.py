"""Inside the simulator: cocotbext-axi's models around a core's outside, and runs for them to make."""

import logging
import random

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import First, RisingEdge, Timer
from cocotbext.axi import AxiBus, AxiLiteBus, AxiLiteMaster, AxiRam

from pact_hw.spec.program import TRANSFER_FIELDS, TRANSFER_WORDS, Destination, encode
from pact_hw.spec.registers import ADDRESSES, field_bits
from rtl_gen.core.transfers import depths, word_beats, word_bits

from core_spec import SPEC  # isort: skip

MODEL, INPUT, RESULT, LIST = 0x10000, 0x40000, 0x80000, 0x8000
BEAT = SPEC.bus_bits // 8
ROW_BITS = SPEC.array.cols * 32
ROW_BYTES = -(-ROW_BITS // SPEC.bus_bits) * BEAT
FINISHED, FAILED, REFUSED = 1, 2, 4
UNTOUCHED = b"\xa5" * BEAT
_SAFE = (Destination.WEIGHTS, Destination.CONSTANTS, Destination.ACTIVATIONS)


def field(register, name, value):
    low, bits = field_bits(register, name)
    return value >> low & ((1 << bits) - 1)


class Run:
    """A random transfer list with its data, and what the engine is to see."""

    def __init__(self, rng, transfers=8, longest=40, destinations=_SAFE):
        self.memory, self.records, self.words = {}, [], []
        where = {MODEL: 0, INPUT: 0}
        plan = [(Destination.PROGRAM, 1)]
        plan += [(rng.choice(destinations), rng.randint(1, longest)) for _ in range(transfers - 1)]
        count = sum(words for _destination, words in plan)
        for number, (destination, words) in enumerate(plan):
            base = INPUT if destination is Destination.ACTIVATIONS else MODEL
            where[base] += BEAT * rng.randint(0, 5)
            depth = depths(SPEC).get(destination, 1 << 20)
            address = rng.randint(0, depth - words) if number else 0
            self.records.append(
                {"destination": destination, "address": address, "words": words, "source": where[base]}
            )
            for word in range(words):
                value = count if not number else rng.getrandbits(word_bits(SPEC)[destination])
                size = word_beats(SPEC)[destination] * BEAT
                self.memory[base + where[base]] = value.to_bytes(size, "little")
                where[base] += size
                seen = 0 if destination is Destination.WEIGHTS else address + word
                self.words.append((destination, seen, value))

    @property
    def beats(self):
        data = sum(record["words"] * word_beats(SPEC)[record["destination"]] for record in self.records)
        return data + len(self.records) * max(1, 256 // SPEC.bus_bits)

    @property
    def results(self):
        bits = word_bits(SPEC)[Destination.ACTIVATIONS]
        repeated = sum(1 << at for at in range(0, ROW_BITS, bits))
        rows = [
            repeated * value
            for destination, _address, value in self.words
            if destination is Destination.ACTIVATIONS
        ]
        return b"".join((row & ((1 << ROW_BITS) - 1)).to_bytes(ROW_BYTES, "little") for row in rows)


class Bench:
    def __init__(self, dut):
        self.dut = dut
        for bus in ("s_axi", "m_axi"):
            logging.getLogger(f"cocotb.core.{bus}").setLevel("WARNING")
        self.registers = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axi"), dut.clk, dut.rst)
        self.ram = AxiRam(AxiBus.from_prefix(dut, "m_axi"), dut.clk, dut.rst, size=1 << 20)
        # As deep as memory controllers are, so that it is the master that limits.
        self.ram.read_if.ar_channel.queue_occupancy_limit = 64
        self.words, self.beats, self.first, self.last = [], 0, None, None
        self.cycle = self.word = 0
        cocotb.start_soon(self.watch())

    @classmethod
    async def started(cls, dut):
        Clock(dut.clk, 2, unit="step").start()
        dut.rst.value = 1
        bench = cls(dut)
        for _ in range(4):
            await RisingEdge(dut.clk)
        dut.rst.value = 0
        await RisingEdge(dut.clk)
        await RisingEdge(dut.clk)
        return bench

    def stall(self, rng, probability):
        def pattern():
            seeded = random.Random(rng.random())  # noqa: S311 - a test pattern
            while True:
                yield seeded.random() < probability

        read, write = self.ram.read_if, self.ram.write_if
        for channel in (read.ar_channel, read.r_channel, write.aw_channel, write.w_channel, write.b_channel):
            channel.set_pause_generator(pattern())

    async def watch(self):
        dut = self.dut
        engine = dut.engine
        while True:
            await RisingEdge(dut.clk)
            self.cycle += 1
            if dut.m_axi_rvalid.value == 1 and dut.m_axi_rready.value == 1:
                self.beats += 1
                self.first = self.first or self.cycle
                self.last = self.cycle
            if engine.write_valid.value == 1 and engine.write_ready.value == 1:
                destination = Destination(int(engine.write_destination.value))
                part = int(engine.write_part.value)
                self.word = (self.word if part else 0) | int(engine.write_data.value) << part * SPEC.bus_bits
                if engine.write_last.value != 1:
                    continue
                value = self.word & ((1 << word_bits(SPEC)[destination]) - 1)
                address = 0 if destination is Destination.WEIGHTS else int(engine.write_address.value)
                self.words.append((destination, address, value))

    async def read(self, name):
        return await self.registers.read_dword(ADDRESSES[name])

    async def write(self, name, value):
        await self.registers.write_dword(ADDRESSES[name], value)

    def load(self, run):
        for address, data in run.memory.items():
            self.ram.write(address, data)
        for number, record in enumerate(run.records):
            self.ram.write_dwords(LIST + 32 * number, encode(TRANSFER_FIELDS, record, TRANSFER_WORDS))

    async def start(self, run, watchdog=5000):
        self.load(run)
        self.words, self.beats, self.first, self.last = [], 0, None, None
        for name, value in {
            "MODEL_ADDRESS": MODEL,
            "INPUT_ADDRESS": INPUT,
            "RESULT_ADDRESS": RESULT,
            "TRANSFERS_ADDRESS": LIST,
            "TRANSFER_COUNT": len(run.records),
            "WATCHDOG_CYCLES": watchdog,
            "INTERRUPT_ENABLE": FINISHED | FAILED,
            "INTERRUPT_STATUS": FINISHED | FAILED | REFUSED,
            "CONTROL": 1,
        }.items():
            await self.write(name, value)

    async def interrupt(self, cycles=20000):
        if self.dut.irq.value != 1:
            await First(RisingEdge(self.dut.irq), Timer(2 * cycles, unit="step"))
        assert self.dut.irq.value == 1, "no interrupt"
        return await self.read("INTERRUPT_STATUS")

    async def runs_well(self, run):
        """``run`` from start to end, everything compared."""
        self.ram.write(RESULT, bytes(len(run.results)))
        await self.start(run)
        assert await self.interrupt() == FINISHED
        assert self.words == run.words
        assert self.ram.read(RESULT, len(run.results)) == run.results
        assert self.beats == run.beats
        assert field("STATUS", "finished", await self.read("STATUS"))
        assert await self.read("TRANSFERS_DONE") == len(run.records)

    async def fails_with(self, error):
        assert await self.interrupt() == FAILED
        status = await self.read("STATUS")
        assert field("STATUS", "failed", status)
        assert field("STATUS", "error", status) == error
        assert not field("STATUS", "busy", status)

    async def recovers(self, rng, before=lambda: None):
        """A soft reset, and a run as if nothing had happened; ``before`` that run something is checked."""
        await self.write("CONTROL", 2)
        for _ in range(5000):
            status = await self.read("STATUS")
            if not status:
                break
        assert status == 0
        before()
        await self.runs_well(Run(rng))


def seeded(seed):
    return random.Random(seed)  # noqa: S311 - vectors, not secrets
