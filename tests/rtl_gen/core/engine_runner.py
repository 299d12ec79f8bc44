"""Builds an engine's simulator (Verilator, a C++ main), runs compiled networks on it, and checks them."""

import hashlib
import shutil
import subprocess
from functools import cache
from pathlib import Path

import numpy as np
from core_machine import unpack

from pact_hw.golden import network as golden
from pact_hw.spec.core_schedule import operation_cycles, program_cycles
from pact_hw.spec.program import Destination
from pact_hw.tools import verilator
from rtl_gen.core.emit import verilog_text
from rtl_gen.core.engine import Engine
from sim.compiler import cache_folder, call, compiler_for, whole_folder

BENCH = Path(__file__).with_name("engine_bench.cpp")


@cache
def engine_program(core):
    """The simulator of ``core``'s engine, built once."""
    text = verilog_text(core, Engine(core))
    key = hashlib.sha256((text + BENCH.read_text()).encode()).hexdigest()[:32]
    folder = cache_folder() / "engines" / key
    if not folder.exists():
        tool = verilator()
        compiler = compiler_for(tool)
        with whole_folder(folder) as temporary:
            (temporary / "engine.v").write_text(text)
            shutil.copy(BENCH, temporary)
            verilate = [
                str(tool.path), "--cc", "--prefix", "Vtop", "--top-module", f"{core.name}_engine",
                "-Mdir", str(temporary), "-Wno-fatal", "-Wno-lint", "--quiet", str(temporary / "engine.v"),
            ]  # fmt: skip
            call(verilate, environment=tool.environment)
            names = [path.name for path in sorted(temporary.glob("Vtop*.cpp"))]
            whole = temporary / "whole.cpp"
            whole.write_text("".join(f'#include "{name}"\n' for name in (*names, BENCH.name)))
            compiler.compile(whole, temporary / "whole.o", optimise="-O1")
            runtime = [str(path) for path in compiler.runtime(waves=False)]
            objects = [str(temporary / "whole.o"), *runtime[:2]]
            call([*compiler.command, "-pthread", *objects, "-o", str(temporary / "engine")])
    return folder / "engine"


def bus_words(core, transfers, model, image):
    """What the bus brings, as lines for the bench."""
    bits = {
        Destination.PROGRAM: 32,
        Destination.WEIGHTS: core.weight_word_bits,
        Destination.CONSTANTS: core.constant_word_bits,
        Destination.ACTIVATIONS: core.word_bits,
    }
    lines = []
    for t in transfers:
        if t["after_operations"]:
            lines.append(f"a {t['after_operations']}")
        data = image if t["destination"] == Destination.ACTIVATIONS else model
        size = -(-bits[t["destination"]] // core.bus_bits) * core.bus_bits // 8
        for word in range(t["words"]):
            start = t["source"] + word * size
            beat = core.bus_bits // 8
            for part in range(size // beat):
                at = start + part * beat
                value = int.from_bytes(data[at : at + beat], "little")
                last = int(part == size // beat - 1)
                lines.append(f"w {t['destination']} {t['address'] + word} {part} {last} {value:x}")
        lines.append("t")
    return lines


def run_engine(program, folder, lines, *, seed=1, gap=0.0, held=0.0, limit=5_000_000, restart=-1):
    """The bench's output lines, split (from the ``restart`` on); the last one as a dict."""
    path = folder / "bus.txt"
    path.write_text("\n".join(lines) + "\n")
    command = [str(program), str(path), str(seed), str(gap), str(held), str(limit), str(restart)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
    *output, end = [line.split() for line in done.stdout.splitlines()]
    if ["restart"] in output:
        output = output[output.index(["restart"]) + 1 :]
    names = ("ended", "error", "cycles", "stalls", "operations", "left_over")
    return output, dict(zip(names, map(int, end[1:]), strict=True))


class Memory:
    """The activation buffer, as far as the bus and the engine's writer have written it."""

    def __init__(self, core, compiled, image):
        self.core = core
        self.words = np.full((core.activation_words, core.word_channels), -(1 << 20), dtype=np.int64)
        size = -(-core.word_bits // core.bus_bits) * core.bus_bits // 8
        for t in compiled.transfers:
            if t["destination"] == Destination.ACTIVATIONS:
                data = image[t["source"] : t["source"] + t["words"] * size]
                span = slice(t["address"], t["address"] + t["words"])
                self.words[span] = unpack(data, size, core.code_bits, core.word_channels)

    def write(self, address, mask, data):
        cols, bits, parts = self.core.array.cols, self.core.code_bits, self.core.array.operand_words
        codes = [data >> (bits * code) & ((1 << bits) - 1) for code in range(cols * parts)]
        for group in range(self.core.col_groups):
            if mask >> group & 1:
                part = group % parts * cols
                self.words[address, group * cols : (group + 1) * cols] = codes[part : part + cols]


def check_run(core, network, tensors, levels, compiled, output, end):
    """Every layer as it is written, the logits, and the cycles of every operation."""
    assert (end["ended"], end["error"], end["left_over"]) == (1, 0, 0), end
    expected = golden.run(network, tensors, levels[None])
    memory = Memory(core, compiled, compiled.input_bytes(levels))
    names = {report.operations[-1]: report.name for report in compiled.layers}
    row_bytes = -(-4 * core.array.cols * 8 // core.bus_bits) * core.bus_bits // 8
    results, before = [], 1  # the start's cycle
    for kind, *values in output:
        if kind == "o":
            memory.write(int(values[1]), int(values[2], 16), int(values[3], 16))
        elif kind == "r":
            results.append(int(values[0], 16).to_bytes(row_bytes, "little"))
        else:
            done, cycles, stalls = map(int, values)
            fields = compiled.operations[done - 1]
            assert cycles - stalls - before == operation_cycles(core, fields), (done - 1, fields)
            before = cycles - stalls
            name = names.get(done - 1)
            if name in compiled.placements:
                found = compiled.placements[name].levels(memory.words)
                assert np.array_equal(found, expected[name][0]), (name, fields)
    assert end["cycles"] - end["stalls"] == program_cycles(core, compiled.operations)
    found = compiled.decode(b"".join(results))
    assert np.array_equal(found, expected[network.layers[-1].name][0])
