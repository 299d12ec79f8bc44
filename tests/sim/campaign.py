"""``python tests/sim/campaign.py --minutes 30``: random networks on the RTL of random small cores.

Each core is generated and built once; networks of every kind of layer are compiled for it and run from a
memory of random latency and bandwidth. Every level, every operation's cycles and the logits are compared.
Hypothesis shrinks a failure to the smallest networks that still fail, and prints them; the command ends
with status 1. The same seed gives the same cores and networks.
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from pact_hw.compiler import compile_network
from pact_hw.errors import InputError
from pact_hw.golden import network as golden
from pact_hw.spec import (
    ActFormat,
    CoreSpec,
    HardwareSpec,
    MacKind,
    RequantiserSpec,
    WeightEncoding,
    WeightFormat,
)
from rtl_gen.core.emit import write_core
from sim import core_run
from sim.build import build
from sim.core_check import check_run, run_problem
from sim.core_range import whole
from sim.core_run import External, Job, core_bench, run_core

sys.path.insert(0, str(Path(__file__).parents[1] / "compiler"))

from core_networks import COMPOSABLE, networks, random_levels, random_tensors

NETWORKS_AT_A_TIME = (6, 12)
ROUNDS_A_CORE = 10
"""Simulations of so many networks; then the next core."""
core_run.LEAST_MEMORY_BYTES = 1 << 22


def random_array(rng):
    """A small array of any widths, fixed or composable."""
    encoding = rng.choice(list(WeightEncoding))
    if rng.random() < 0.4:
        bits, narrowest, lanes, cols = rng.choice(COMPOSABLE)
        widths = {"act": bits, "weight": bits}
        kind = {"mac_kind": MacKind.COMPOSABLE, "narrowest_bits": narrowest}
    else:
        lanes, cols = rng.choice([(1, 4), (2, 2), (4, 2), (4, 4), (8, 4), (2, 8)])
        weight_bits = rng.choice([1, 2, 4] if encoding is WeightEncoding.ODD else [2, 4, 5])
        widths, kind = {"act": rng.choice([1, 2, 3, 4, 8]), "weight": weight_bits}, {}
    widest = max(8, widths["act"])
    return HardwareSpec(
        name="core",
        act=ActFormat(bits=widths["act"]),
        weight=WeightFormat(bits=widths["weight"], encoding=encoding),
        rows=rng.choice([2, 3, 4, 6]),
        cols=cols,
        lanes=lanes,
        max_reduction=4608,
        requantiser=RequantiserSpec(level_bits=widest, residual_bits=widest),
        **kind,
    )


def random_core(rng):
    """A small core, with buffers that most small networks fit."""
    array = random_array(rng)
    cols = array.cols
    return CoreSpec(
        array=array,
        widest_act_bits=max(8, array.act.bits),
        widest_weight_bits=max(8, array.weight.bits),
        activation_words=rng.choice([50, 200, 800, 1 << 12, 100_000]),
        patch_words=rng.choice([64, 256, 1024]),
        weight_words=rng.choice([256, 2048]),
        constant_words=rng.choice([16, 64]),
        program_words=1 << 15,
        bus_bits=rng.choice([32, 64, 128]),
        requantisers=rng.choice([0, 1, cols]),
    )


class Campaign:
    """Counts what was run; raises AssertionError at the first problem."""

    def __init__(self, folder):
        self.folder = folder
        self.counts = Counter()

    def round(self, design, cases, external):
        """Networks with the seeds of their tensors, in one simulation."""
        jobs, compiled = [], []
        for network, number in cases:
            tensors = random_tensors(network, number)
            try:
                made = compile_network(network, tensors, design.core)
            except InputError:
                self.counts["refused"] += 1
                continue
            levels = random_levels(network, number)
            values = {name: value[0] for name, value in golden.run(network, tensors, levels[None]).items()}
            self.counts["that did not fit the buffer"] += bool(made.memory)
            jobs.append(Job(part=whole(made), values={"input": levels, **values}))
            compiled.append((network, made))
        if not jobs:
            return
        run = run_core(design, jobs, folder=self.folder / "run", external=external)
        for record, job, (network, made) in zip(run.records, jobs, compiled, strict=False):
            problem = run_problem(record, check_run(made, record, job.values), made)
            assert problem is None, f"{problem}\n{network.to_json()}\n{design.core.to_json()}"
        assert len(run.records) == len(jobs)
        self.counts["networks"] += len(jobs)
        self.counts["cycles"] += run.cycles

    def core(self, number, until):
        """One core, and networks for it, until the time is over."""
        rng = random.Random(number)  # noqa: S311 - a test pattern
        design = write_core(random_core(rng), self.folder / "core")
        bench = core_bench(design, core_run.LEAST_MEMORY_BYTES)
        program = build(design, bench=bench)
        odd = design.hardware.weight.encoding is WeightEncoding.ODD
        cases = st.lists(
            st.tuples(networks(odd=odd), st.integers(0, 1 << 30)),
            min_size=NETWORKS_AT_A_TIME[0],
            max_size=NETWORKS_AT_A_TIME[1],
        )
        externals = st.builds(
            External, latency_cycles=st.integers(0, 100), bandwidth_256=st.sampled_from([13, 100, 256])
        )

        @seed(number)
        @settings(
            max_examples=ROUNDS_A_CORE,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate, Phase.shrink),
        )
        @given(cases, externals)
        def rounds(cases, external):
            if time.monotonic() < until:
                self.round(design, cases, external)

        try:
            rounds()
        finally:
            shutil.rmtree(program.parent, ignore_errors=True)  # the cache is not for these
        self.counts["cores"] += 1


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    started = time.monotonic()
    until = started + 60 * arguments.minutes
    with tempfile.TemporaryDirectory() as folder:
        campaign = Campaign(Path(folder))
        for number in np.random.default_rng(arguments.seed).integers(0, 1 << 30, 10_000).tolist():
            if time.monotonic() >= until:
                break
            campaign.core(number, until)
            seconds = time.monotonic() - started
            told = ", ".join(f"{count:,} {what}" for what, count in sorted(campaign.counts.items()))
            print(f"{seconds:5.0f} s: {told}, core {number}, no difference", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
