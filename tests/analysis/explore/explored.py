"""What the tests of exploration share: spaces, their tables, and how they are run as a person would."""

import signal
import subprocess
import sys

import numpy as np

SMALL = """
[space]
network = "alexnet"
bits = [2, 4, 8]
rows = {from = 4, to = 32, factor = 2}
cores = [1, 2, 4]
memory_mb = [1, 4, 16]
bandwidth_gb_per_s = [8, 64, inf]

[objectives]
images_per_s = "maximise"
area_ge = "minimise"
"""
LARGE = """
[space]
network = "alexnet"
bits = {from = 1, to = 16, step = 1}
rows = {from = 1, to = 32, step = 1}
cores = {from = 1, to = 16, step = 1}
memory_mb = [1, 4, 16]
bandwidth_gb_per_s = [8, 16, 32, inf]

[objectives]
images_per_s = "maximise"
area_ge = "minimise"
bandwidth_gb_per_s = "minimise"
"""
"""98,304 designs: twelve chunks, some seconds."""
DESIGNS, CHUNKS = 98_304, 12
COMMAND = "from pact_hw.cli import main; main()"


def table(folder):
    """The whole table of an exploration, in the order of the designs' numbers, as columns."""
    import pyarrow.parquet

    found = pyarrow.parquet.read_table(folder / "points").sort_by("point")
    return {name: found[name].to_numpy() for name in found.column_names}


def same(one, other):
    return one.keys() == other.keys() and all(
        np.array_equal(one[name], other[name], equal_nan=one[name].dtype.kind == "f") for name in one
    )


def start(*arguments):
    """``pact-hw explore`` in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, "explore", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # so that a test can interrupt it as a terminal does
        # A shell that runs the tests in the background has them ignore interrupts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def chunks_written(folder):
    return sorted((folder / "points").glob("[!.]*.parquet"))
