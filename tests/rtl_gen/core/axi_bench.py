"""Inside the simulator: the core's outside against cocotbext-axi's models, with a stand-in as engine."""

import cocotb
from axi_harness import (
    BEAT,
    FAILED,
    FINISHED,
    LIST,
    MODEL,
    REFUSED,
    RESULT,
    ROW_BYTES,
    UNTOUCHED,
    Bench,
    Run,
    seeded,
)  # isort: skip
from cocotb.triggers import RisingEdge, Timer
from cocotbext.axi import AxiResp

from pact_hw.spec.program import Destination
from pact_hw.spec.registers import ADDRESSES, IDENTITY, REGISTERS, Access, CoreError, digest_word
from rtl_gen.core.transfers import depths, word_beats

from core_spec import SPEC  # isort: skip


@cocotb.test()
async def registers_hold_what_they_should(dut):
    bench = await Bench.started(dut)
    assert await bench.read("IDENTITY") == IDENTITY
    for word in range(8):
        assert await bench.read(f"DIGEST_{word}") == digest_word(SPEC.digest, word)
    for register in REGISTERS:
        if register.access in (Access.SETTING, Access.ENABLE):
            assert await bench.read(register.name) == register.reset
            await bench.write(register.name, 0xFFFFFFFF)
            everything = (1 << register.bits) - (1 << register.zero_bits)
            assert await bench.read(register.name) == everything
            await bench.write(register.name, 0)
            assert await bench.read(register.name) == 0


@cocotb.test()
async def what_registers_cannot_do_is_answered_by_slverr(dut):
    bench = await Bench.started(dut)
    known = set(ADDRESSES.values())
    for address in range(0, 256, 4):
        answer = await bench.registers.read(address, 4)
        assert (answer.resp == AxiResp.OKAY) == (address in known)
    written = {r.address for r in REGISTERS if r.access not in (Access.CONSTANT, Access.STATUS)}
    for address in range(0, 256, 4):
        answer = await bench.registers.write(address, bytes(4))
        assert (answer.resp == AxiResp.OKAY) == (address in written)
    await bench.write("TRANSFER_COUNT", 7)
    answer = await bench.registers.write(ADDRESSES["TRANSFER_COUNT"], b"\xff")
    assert answer.resp == AxiResp.SLVERR
    assert await bench.read("TRANSFER_COUNT") == 7


@cocotb.test()
async def transfers_arrive_and_results_leave(dut):
    bench = await Bench.started(dut)
    rng = seeded(1)
    for stalls in (0, 0.2, 0.6):
        bench.stall(rng, stalls)
        for _ in range(3):
            await bench.runs_well(Run(rng))


@cocotb.test()
async def the_bus_is_full(dut):
    """Without stalls, and an engine that takes everything, there is a beat in (nearly) every cycle."""
    bench = await Bench.started(dut)
    rng = seeded(2)
    run = Run(
        rng,
        transfers=6,
        longest=1500 // word_beats(SPEC)[Destination.WEIGHTS],
        destinations=(Destination.WEIGHTS,),
    )
    await bench.runs_well(run)
    cycles = bench.last - bench.first + 1
    dut._log.info(f"{bench.beats} beats in {cycles} cycles")
    # The list's first record comes alone: its latency is the only gap.
    assert cycles - bench.beats < 40


@cocotb.test()
async def short_transfers_leave_few_gaps(dut):
    bench = await Bench.started(dut)
    rng = seeded(3)
    run = Run(rng, transfers=60, longest=2, destinations=(Destination.WEIGHTS,))
    await bench.runs_well(run)
    dut._log.info(f"{bench.beats} beats in {bench.last - bench.first + 1} cycles")
    assert bench.beats / (bench.last - bench.first + 1) > 0.3


@cocotb.test()
async def a_start_while_busy_is_refused_and_changes_nothing(dut):
    bench = await Bench.started(dut)
    rng = seeded(4)
    run = Run(rng, longest=120)
    await bench.start(run)
    await bench.write("CONTROL", 1)
    await bench.write("MODEL_ADDRESS", 0)
    assert await bench.read("INTERRUPT_STATUS") == REFUSED
    assert await bench.interrupt() == REFUSED | FINISHED
    assert bench.words == run.words
    assert await bench.read("MODEL_ADDRESS") == MODEL
    assert bench.ram.read(RESULT, len(run.results)) == run.results


@cocotb.test()
async def read_errors_stop_the_core(dut):
    bench = await Bench.started(dut)
    rng = seeded(5)
    for response in (AxiResp.SLVERR, AxiResp.DECERR):
        for stalls in (0, 0.3):
            bench.stall(rng, stalls)
            run = Run(rng, transfers=12)
            # One beat of data somewhere, or of the list.
            bad = rng.choice([*run.memory, LIST + 32 * rng.randrange(len(run.records))])
            channel = bench.ram.read_if.r_channel
            send, read = channel.send, bench.ram.read_if._read
            current = {}

            async def noted(address, length, read=read, current=current, bad=bad):
                current["bad"] = address <= bad < address + length
                return await read(address, length)

            async def answered(beat, send=send, current=current, response=response):
                if current["bad"]:
                    beat.rresp = response
                await send(beat)

            bench.ram.read_if._read, channel.send = noted, answered
            await bench.start(run)
            await bench.fails_with(CoreError.BUS_READ)
            bench.ram.read_if._read, channel.send = read, send
            assert bench.words == run.words[: len(bench.words)]
            await bench.recovers(rng)


@cocotb.test()
async def write_errors_stop_the_core(dut):
    bench = await Bench.started(dut)
    rng = seeded(6)
    run = Run(rng, destinations=(Destination.ACTIVATIONS,))
    write = bench.ram.write_if._write

    async def refused(address, data):
        if address >= RESULT + ROW_BYTES:
            raise RuntimeError("not there")
        await write(address, data)

    bench.ram.write_if._write = refused
    await bench.start(run)
    await bench.fails_with(CoreError.BUS_WRITE)
    bench.ram.write_if._write = write
    await bench.recovers(rng)


@cocotb.test()
async def bad_transfers_are_refused(dut):
    bench = await Bench.started(dut)
    rng = seeded(7)
    depth = depths(SPEC)
    for change in (
        {"words": 0},
        {"source": 1},
        {"destination": Destination.PROGRAM, "address": depth[Destination.PROGRAM], "words": 1},
        {"destination": Destination.CONSTANTS, "address": depth[Destination.CONSTANTS] - 1, "words": 2},
        {"destination": Destination.ACTIVATIONS, "address": 1, "words": depth[Destination.ACTIVATIONS]},
    ):
        run = Run(rng)
        run.records[3] |= change
        await bench.start(run)
        await bench.fails_with(CoreError.BAD_TRANSFER)
        assert await bench.read("TRANSFERS_DONE") <= 3
        await bench.recovers(rng)


@cocotb.test()
async def transfers_left_over_are_an_error(dut):
    bench = await Bench.started(dut)
    rng = seeded(8)
    run = Run(rng)
    run.memory[next(iter(run.memory))] = (3).to_bytes(word_beats(SPEC)[Destination.PROGRAM] * BEAT, "little")
    await bench.start(run)
    await bench.fails_with(CoreError.BAD_TRANSFER)
    await bench.recovers(rng)


@cocotb.test()
async def an_error_of_the_engine_is_reported(dut):
    bench = await Bench.started(dut)
    rng = seeded(9)
    run = Run(rng)
    run.memory[next(iter(run.memory))] = (0xFFFFFFFF).to_bytes(
        word_beats(SPEC)[Destination.PROGRAM] * BEAT, "little"
    )
    await bench.start(run)
    await bench.fails_with(CoreError.BAD_OPERATION)
    # Before the soft reset no start is taken.
    await bench.write("CONTROL", 1)
    assert await bench.read("INTERRUPT_STATUS") == FAILED | REFUSED
    await bench.recovers(rng)


@cocotb.test()
async def the_watchdog_ends_every_wait(dut):
    bench = await Bench.started(dut)
    rng = seeded(10)
    silent = bench.ram.read_if.r_channel, bench.ram.read_if.ar_channel, bench.ram.write_if.w_channel
    for channel in (*silent, bench.ram.write_if.b_channel):
        run = Run(rng, destinations=(Destination.ACTIVATIONS,))
        channel.pause = True
        await bench.start(run, watchdog=200)
        begun = bench.cycle
        await bench.fails_with(CoreError.WATCHDOG)
        assert bench.cycle - begun < 200 + 2000
        channel.pause = False
        await bench.recovers(rng)
    # Too few words: the engine waits for ever.
    run = Run(rng)
    run.memory[next(iter(run.memory))] = (1000000).to_bytes(
        word_beats(SPEC)[Destination.PROGRAM] * BEAT, "little"
    )
    await bench.start(run, watchdog=100)
    await bench.fails_with(CoreError.WATCHDOG)
    await bench.recovers(rng)


@cocotb.test()
async def a_soft_reset_at_any_time_leaves_nothing_behind(dut):
    bench = await Bench.started(dut)
    rng = seeded(11)
    for cycles in (*range(1, 30, 4), *(rng.randrange(30, 400) for _ in range(5))):
        bench.stall(rng, rng.choice((0, 0.5)))
        await bench.start(Run(rng, transfers=20))
        await Timer(2 * cycles, unit="step")
        await bench.recovers(rng)


@cocotb.test()
async def a_burst_that_is_given_up_writes_nothing(dut):
    bench = await Bench.started(dut)
    rng = seeded(13)
    channel = bench.ram.write_if.w_channel
    for cycles in range(60, 70):
        run = Run(rng, transfers=20, destinations=(Destination.ACTIVATIONS,))
        bench.ram.write(RESULT, UNTOUCHED * (len(run.results) // BEAT))
        await bench.start(run)
        await Timer(2 * cycles, unit="step")
        # No beat is taken any more; then the engine forgets what it offered.
        channel.pause = True
        await Timer(2 * 20, unit="step")
        await bench.write("CONTROL", 2)
        channel.pause = False

        def check(run=run):
            """Beats of results, then what was there before."""
            found = [bench.ram.read(RESULT + at, BEAT) for at in range(0, len(run.results), BEAT)]
            expected = [run.results[at : at + BEAT] for at in range(0, len(run.results), BEAT)]
            written = next((i for i, beat in enumerate(found) if beat == UNTOUCHED), len(found))
            assert 0 < written < len(found)
            assert found == expected[:written] + [UNTOUCHED] * (len(found) - written)

        await bench.recovers(rng, check)


@cocotb.test()
async def a_reset_in_mid_transfer_leaves_nothing_behind(dut):
    bench = await Bench.started(dut)
    rng = seeded(12)
    for cycles in (3, 20, 55, 150, 333):
        await bench.start(Run(rng, transfers=20))
        await Timer(2 * cycles, unit="step")
        dut.rst.value = 1
        for _ in range(3):
            await RisingEdge(dut.clk)
        dut.rst.value = 0
        for _ in range(3):
            await RisingEdge(dut.clk)
        assert await bench.read("STATUS") == 0
        await bench.runs_well(Run(rng))
