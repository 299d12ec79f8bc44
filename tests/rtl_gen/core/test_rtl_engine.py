"""The engine runs compiled networks bit by bit, in the predicted cycles."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from pact_hw.compiler import compile_network
from pact_hw.errors import InputError
from pact_hw.spec import (
    ActFormat,
    CoreSpec,
    HardwareSpec,
    LayerKind,
    LayerSpec,
    MacKind,
    NetworkSpec,
    RequantiserSpec,
    WeightEncoding,
    WeightFormat,
)
from pact_hw.spec.core import Depthwise
from pact_hw.tools import verilator
from rtl_gen.core.emit import verilog_text
from rtl_gen.core.engine import Engine

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "compiler")]

from core_networks import networks, random_levels, random_tensors  # noqa: E402
from engine_runner import bus_words, check_run, engine_program, run_engine  # noqa: E402

ODD, TWOS = WeightEncoding.ODD, WeightEncoding.TWOS_COMPLEMENT
SHAPES = {  # rows, cols, lanes, act bits, weight bits
    "tiny": (2, 2, 2, 4, 4, ODD),
    "wide": (4, 4, 8, 2, 2, ODD),
    "one lane": (3, 4, 1, 4, 2, ODD),
    "whole": (4, 2, 4, 8, 8, TWOS),
    "uneven": (6, 8, 2, 3, 2, TWOS),
    "binary": (2, 4, 4, 1, 1, ODD),
    "pairs": (4, 4, 4, 4, 4, TWOS),
    "one requantiser": (4, 4, 4, 4, 4, ODD),
    "two requantisers": (2, 8, 2, 2, 4, ODD),
    "composable": (3, 4, 2, 8, 8, ODD),
    "three modes": (4, 4, 1, 8, 8, TWOS),
    "more columns": (2, 8, 1, 8, 8, ODD),
    "composable and wide": (2, 2, 1, 16, 16, ODD),
    "diagonal": (4, 4, 1, 4, 4, ODD),
    "diagonal pairs": (4, 4, 8, 4, 4, TWOS),
}
MORE = {
    # Addresses have more bits than the fields of lines and pixels.
    "tiny": {"activation_words": 1 << 17, "residual_mult_bits": 31},
    # No size is a power of two.
    "uneven": {"activation_words": 8001, "patch_words": 777, "weight_words": 1555, "constant_words": 99},
    "one requantiser": {"requantisers": 1},
    "two requantisers": {"requantisers": 2},
    "more columns": {"requantisers": 2, "residual_mult_bits": 22},
    "pairs": {"requantised_bits": 25},
    "composable and wide": {"widest_act_bits": 16, "widest_weight_bits": 16},
    "diagonal": {"depthwise": Depthwise.DIAGONAL},
    "diagonal pairs": {"depthwise": Depthwise.DIAGONAL, "requantisers": 2},
}
NARROWEST = {"composable": 4, "three modes": 2, "more columns": 2, "composable and wide": 4}


def core_of(shape, **sizes):
    rows, cols, lanes, act, weight, encoding = SHAPES[shape]
    array = HardwareSpec(
        act=ActFormat(bits=act), weight=WeightFormat(bits=weight, encoding=encoding), rows=rows, cols=cols,
        lanes=lanes, name="core", max_reduction=4608,
        requantiser=RequantiserSpec(level_bits=max(8, act), residual_bits=max(8, act)),
        mac_kind=MacKind.COMPOSABLE if shape in NARROWEST else MacKind.FIXED,
        narrowest_bits=NARROWEST.get(shape, 0),
    )  # fmt: skip
    members = {"activation_words": 8192, "patch_words": 1024, "weight_words": 2048}
    members |= MORE.get(shape, {}) | sizes
    return CoreSpec(array=array, **members)


def depthwise(random, encoding):
    """Depthwise convolutions of all kinds, and what joins their channels."""
    channels, size = int(random.integers(1, 40)), int(random.integers(5, 10))
    kernel, lowest = int(random.choice([1, 2, 3, 5])), 1 if encoding is ODD else 2
    act, out = (ActFormat(bits=int(random.integers(1, 9))) for _ in range(2))
    weight = WeightFormat(bits=int(random.integers(lowest, 8)), encoding=encoding)
    conv = {"kind": LayerKind.CONV, "weight": weight}
    first = LayerSpec(
        name="first", source="input", act=act, in_channels=channels, out_channels=channels, groups=channels,
        kernel=kernel, stride=int(random.integers(1, 3)), padding=int(random.integers(0, kernel // 2 + 1)),
        out=out, **conv,
    )  # fmt: skip
    _, y, x = first.out_shape((channels, size, size))
    joined = LayerSpec(
        name="joined", source="first", act=out, in_channels=channels, out_channels=6, out=act, **conv
    )
    second = LayerSpec(
        name="second", source="joined", act=act, in_channels=6, out_channels=6, groups=6,
        kernel=min(3, y), padding=int(y > 2), out=act, **conv,
    )  # fmt: skip
    _, y, x = second.out_shape((6, y, x))
    logits = LayerSpec(
        name="logits", kind=LayerKind.LINEAR, source="second", act=act, weight=weight,
        in_channels=6 * y * x, out_channels=3,
    )  # fmt: skip
    return NetworkSpec(
        name="depthwise", input_channels=channels, input_height=size, input_width=size, input_act=act,
        layers=(first, joined, second, logits),
    )  # fmt: skip


def run_compiled(core, network, number, folder, waits=(0.0, 0.0)):
    """Compile ``network``, run it on the engine and check all; the operations."""
    tensors, levels = random_tensors(network, number), random_levels(network, number)
    compiled = compile_network(network, tensors, core)
    lines = bus_words(core, compiled.transfers, compiled.model, compiled.input_bytes(levels))
    gap, held = waits
    output, end = run_engine(engine_program(core), folder, lines, seed=number % 1000, gap=gap, held=held)
    check_run(core, network, tensors, levels, compiled, output, end)
    return compiled.operations


@pytest.mark.parametrize(
    "shape", ["tiny", *(pytest.param(shape, marks=pytest.mark.slow) for shape in SHAPES if shape != "tiny")]
)
def test_random_networks_bit_by_bit_and_cycle_by_cycle(shape, tmp_path):
    core = core_of(shape)
    ran = 0

    @seed(1)
    @settings(
        max_examples=25, phases=[Phase.generate], suppress_health_check=list(HealthCheck), database=None
    )
    @given(st.data(), st.integers(0, 1 << 30), st.sampled_from([(0, 0), (0.5, 0.5), (0.9, 0.2)]))
    def check(data, number, waits):
        nonlocal ran
        network = data.draw(networks(odd=core.array.weight.encoding is ODD))
        try:
            run_compiled(core, network, number, tmp_path, waits)
        except InputError:
            return
        ran += 1

    check()
    assert ran > 10


@pytest.mark.slow
@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape.startswith("diagonal")])
def test_depthwise_networks_along_the_diagonal(shape, tmp_path):
    core = core_of(shape)
    for number in range(20):
        network = depthwise(np.random.default_rng(number), core.array.weight.encoding)
        operations = run_compiled(core, network, number, tmp_path, (0.3, 0.2) if number % 2 else (0, 0))
        assert sum(fields["diagonal"] for fields in operations) == 2


@pytest.mark.parametrize("shape", ["tiny", pytest.param("whole", marks=pytest.mark.slow)])
def test_the_verilog_is_lint_clean(shape, tmp_path):
    core = core_of(shape)
    path = tmp_path / "engine.v"
    path.write_text(verilog_text(core, Engine(core)))
    tool = verilator()
    done = subprocess.run(
        [str(tool.path), "--lint-only", "-Wall", "--top-module", "core_engine", str(path)],
        env={**os.environ, **tool.environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
