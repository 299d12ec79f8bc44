"""``python benchmarks/core_speed.py``: how fast a whole network is simulated on the RTL of a core.

ResNet-50 at 224 x 224, 4 bits with edges of 8, one image, codes random with the statistics of trained ones.
Prints one JSON object: seconds of every step, cycles and MACs simulated a second, and whether every level
of every layer was the reference's.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from pact_hw.compiler import examples
from pact_hw.compiler.sizing import core_for
from pact_hw.progress import Progress
from pact_hw.spec import ActFormat, HardwareSpec, WeightFormat
from rtl_gen.core.emit import write_core
from sim.build import build
from sim.core_run import LEAST_MEMORY_BYTES, core_bench
from sim.core_simulate import simulate_network


class Steps(Progress):
    """Tells what begins."""

    def task(self, description, total=None):
        print(description, file=sys.stderr, flush=True)
        return super().task(description, total)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--network", choices=sorted(examples.NETWORKS), default="resnet50")
    parser.add_argument("--bits", type=int, default=4)
    parser.add_argument("--array", default="8x8x16", help="rows x cols x lanes")
    parser.add_argument("--words", type=int, default=0, help="activation words, fewer than it takes")
    parser.add_argument("--folder", type=Path, default=None, help="where files are left")
    arguments = parser.parse_args()
    rows, cols, lanes = map(int, arguments.array.split("x"))
    network = examples.NETWORKS[arguments.network](bits=arguments.bits)
    tensors = examples.random_tensors(network, 0)
    array = HardwareSpec(
        name="pact_core",
        act=ActFormat(bits=arguments.bits),
        weight=WeightFormat(bits=arguments.bits),
        rows=rows,
        cols=cols,
        lanes=lanes,
    )
    seconds, last = {}, time.monotonic()

    def step(name):
        nonlocal last
        seconds[name] = round(time.monotonic() - last, 1)
        last = time.monotonic()

    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        core = core_for(network, tensors, array)
        if arguments.words:
            core = replace(core, activation_words=arguments.words, program_words=1 << 16)
        step("sizing the core")
        design = write_core(core, folder / "core")
        step("generating Verilog")
        build(design, bench=core_bench(design, LEAST_MEMORY_BYTES), progress=Steps())
        step("building the simulator")
        act = network.input_act
        image = np.random.default_rng(0).integers(act.min, act.max + 1, (1, *network.shapes["input"]))
        report = simulate_network(
            design, network, tensors, image, folder=folder / "simulation", progress=Steps()
        )
        step("reference, compilation, simulation and comparison")
    result = report.to_json()
    result = {name: value for name, value in result.items() if name not in ("layers", "files", "classes")}
    print(json.dumps({"cpus": os.cpu_count(), "steps_seconds": seconds, **result}, indent=2))
    sys.exit(not result["passed"])


if __name__ == "__main__":
    main()
