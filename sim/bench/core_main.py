"""The cocotb test of a whole core: sets it up, starts it, waits for its interrupt, run by run.

The clock runs free, and nothing in Python happens in a cycle of the run.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import First, RisingEdge, Timer

from pact_hw.files import read_json, write_json
from pact_hw.spec import seal, unseal
from pact_hw.spec.registers import ADDRESSES, digest_word, field_bits

PLAN, RESULTS, PROGRESS = (f"PACT_HW_{name}" for name in ("PLAN", "RESULTS", "PROGRESS"))
"""Environment variables with paths: what to run, what was found, and the cycle count."""
PERIOD = 2
SLICE_CYCLES = 20_000
"""So often the bench tells how far it is."""
FINISHED, FAILED = 1, 2


class Host:
    """What software does with a core: registers, and the interrupt."""

    def __init__(self, dut: Any) -> None:
        self._dut = dut
        self.cycles = 0

    async def reset(self) -> None:
        """A reset, with nothing asked."""
        dut = self._dut
        for name in ("s_axi_awvalid", "s_axi_wvalid", "s_axi_arvalid", "save"):
            getattr(dut, name).value = 0
        dut.s_axi_bready.value = dut.s_axi_rready.value = 1
        dut.rst.value = 1
        await self._edges(4)
        dut.rst.value = 0
        await self._edges(2)

    async def _edges(self, count: int) -> None:
        for _ in range(count):
            await RisingEdge(self._dut.clk)
        self.cycles += count

    async def write(self, name: str, value: int) -> None:
        """Write a register."""
        dut = self._dut
        dut.s_axi_awaddr.value = ADDRESSES[name]
        dut.s_axi_wdata.value = value
        dut.s_axi_awvalid.value = dut.s_axi_wvalid.value = 1
        await self._until(dut.s_axi_awready)
        dut.s_axi_awvalid.value = dut.s_axi_wvalid.value = 0
        await self._until(dut.s_axi_bvalid)
        assert dut.s_axi_bresp.value == 0, f"{name} cannot be written"

    async def read(self, name: str) -> int:
        """Read a register."""
        dut = self._dut
        dut.s_axi_araddr.value = ADDRESSES[name]
        dut.s_axi_arvalid.value = 1
        await self._until(dut.s_axi_arready)
        dut.s_axi_arvalid.value = 0
        await self._until(dut.s_axi_rvalid)
        assert dut.s_axi_rresp.value == 0, f"{name} cannot be read"
        return int(dut.s_axi_rdata.value)

    async def _until(self, signal: Any) -> None:
        """The edge at which ``signal`` is 1."""
        await self._edges(1)
        while signal.value != 1:
            await self._edges(1)

    async def interrupt(self, most_cycles: int) -> bool:
        """Whether the interrupt came in time."""
        waited = 0
        while waited < most_cycles and self._dut.irq.value != 1:
            await First(RisingEdge(self._dut.irq), Timer(PERIOD * SLICE_CYCLES, unit="step"))
            waited += SLICE_CYCLES
            self._tell(self.cycles + waited)
        self.cycles = cocotb.simtime.get_sim_time("step") // PERIOD
        return bool(self._dut.irq.value == 1)

    @staticmethod
    def _tell(cycles: int) -> None:
        Path(os.environ[PROGRESS]).write_text(str(int(cycles)), encoding="ascii")


def _field(name: str, status: int) -> int:
    low, bits = field_bits("STATUS", name)
    return status >> low & ((1 << bits) - 1)


@cocotb.test()
async def network(dut: Any) -> None:
    """Every run of the plan."""
    plan = unseal(read_json(Path(os.environ[PLAN])), name="plan")
    manifest = unseal(read_json(Path(plan["design"])), name="design")
    results = Path(os.environ[RESULTS])
    Clock(dut.clk, PERIOD, unit="step", impl="gpi").start()
    host = Host(dut)
    await host.reset()
    for word in range(8):
        if await host.read(f"DIGEST_{word}") != digest_word(manifest["hardware_digest"], word):
            write_json(results, seal({"error": "the simulated core is another than the manifest's"}))
            return
    started = time.monotonic()
    runs = []
    for run in plan["runs"]:
        settings = {
            "MODEL_ADDRESS": run["model_address"],
            "TRANSFERS_ADDRESS": run["transfers_address"],
            "TRANSFER_COUNT": run["transfers"],
            "WATCHDOG_CYCLES": plan["watchdog_cycles"],
            "INPUT_ADDRESS": run["input_address"],
            "RESULT_ADDRESS": run["result_address"],
            "INTERRUPT_ENABLE": FINISHED | FAILED,
            "INTERRUPT_STATUS": FINISHED | FAILED,
            "CONTROL": 1,
        }
        for name, value in settings.items():
            await host.write(name, value)
        came = await host.interrupt(plan["most_cycles"])
        status = await host.read("STATUS")
        runs.append(
            {
                "came": came,
                "error": _field("error", status),
                "operations_done": await host.read("OPERATIONS_DONE"),
                "transfers_done": await host.read("TRANSFERS_DONE"),
            }
        )
        if not came or not _field("finished", status):
            break
    seconds = time.monotonic() - started
    dut.save.value = 1
    await RisingEdge(dut.clk)
    await RisingEdge(dut.clk)
    write_json(results, seal({"runs": runs, "cycles": host.cycles, "seconds": seconds}))
