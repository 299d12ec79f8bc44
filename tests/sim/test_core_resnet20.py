"""ResNet-20 on a generated 8 x 8 x 16 core: a hundred images at 4 and at 2 bits, every layer of each.

Weight codes and constants are random, with the statistics of trained ones (``pact_hw.compiler.examples``):
networks that were trained belong to no repository. What is compared does not depend on it.
"""

from dataclasses import replace

import numpy as np
import pytest

from pact_hw.cli.core import core_spec
from pact_hw.compiler import compile_network, examples
from pact_hw.compiler.sizing import core_for
from pact_hw.golden import network as golden
from pact_hw.spec import ActFormat, HardwareSpec, MacKind, WeightFormat
from rtl_gen.core.emit import write_core
from sim import build
from sim.core_simulate import simulate_network

pytestmark = pytest.mark.slow
IMAGES = 100
VALUES = 7 * 16384 + 6 * 8192 + 6 * 4096 + 64 + 10
"""That ResNet-20 computes for an image."""


def random_images(network, count, seed):
    act, shape = network.input_act, (count, *network.shapes["input"])
    return np.random.default_rng(seed).integers(act.min, act.max + 1, shape)


@pytest.fixture(scope="module")
def design(tmp_path_factory):
    """As ``pact-hw generate --core --act-bits 4 --weight-bits 4 --rows 8 --cols 8 --lanes 16`` writes it."""
    array = HardwareSpec(
        name="pact_core", act=ActFormat(bits=4), weight=WeightFormat(bits=4), rows=8, cols=8, lanes=16
    )
    return write_core(core_spec(array, network=None, bus_bits=64), tmp_path_factory.mktemp("core"))


def test_a_composable_core_runs_the_edges_in_one_pass(design, tmp_path):
    """As large as the 4-bit core in its 4-bit mode; first and last layer in the 8-bit one."""
    network = examples.resnet20(bits=4)
    tensors = examples.random_tensors(network, seed=4)
    array = HardwareSpec(
        name="pact_core", act=ActFormat(bits=8), weight=WeightFormat(bits=8), rows=8, cols=8, lanes=4,
        mac_kind=MacKind.COMPOSABLE, narrowest_bits=4,
    )  # fmt: skip
    core = core_for(network, tensors, array)
    compiled = compile_network(network, tensors, core)
    modes = {
        layer.name: {compiled.operations[i]["mode"] for i in layer.operations} for layer in compiled.layers
    }
    assert modes["conv1"] == modes["linear"] == {0}
    assert modes["layer1_0_conv1"] == modes["layer3_2_conv2"] == {1}
    assert all(fields["weight_slices"] == 1 for fields in compiled.operations)
    assert compiled.cycles < compile_network(network, tensors, design.core).cycles
    composable = write_core(core, tmp_path / "core")
    shape = (3, *network.shapes["input"])
    images = np.random.default_rng(1).integers(network.input_act.min, network.input_act.max + 1, shape)
    report = simulate_network(composable, network, tensors, images, folder=tmp_path)
    assert not report.problems
    assert report.to_json()["cycles"] == report.to_json()["predicted_cycles"]


def test_a_quarter_of_the_buffer_that_it_takes(tmp_path):
    """Tensors go to memory and come back in strips; every layer is the reference's as it is written."""
    network = examples.resnet20(bits=4)
    tensors = examples.random_tensors(network, seed=4)
    array = HardwareSpec(
        name="little_core", act=ActFormat(bits=4), weight=WeightFormat(bits=4), rows=8, cols=8, lanes=16
    )
    core = core_for(network, tensors, array)
    little = replace(core, activation_words=core.activation_words // 4, program_words=1 << 14)
    images = random_images(network, 10, 4)
    design = write_core(little, tmp_path / "core")
    report = simulate_network(design, network, tensors, images, folder=tmp_path / "run")
    assert not report.problems
    result = report.to_json()
    assert result["values_compared"] == 10 * VALUES
    assert result["cycles"] == result["predicted_cycles"]
    whole = compile_network(network, tensors, core)
    assert 1.2 < result["cycles"] / (10 * whole.cycles) < 1.6
    assert result["stalls"] < 2 * result["cycles"]


@pytest.mark.parametrize("bits", [4, 2])
def test_every_layer_of_a_hundred_images(design, tmp_path, monkeypatch, bits):
    network = examples.resnet20(bits=bits)
    tensors = examples.random_tensors(network, seed=bits)
    images = random_images(network, IMAGES, bits)
    if bits == 2:  # the other network has built it
        monkeypatch.setattr(build, "_verilate", None)
    report = simulate_network(design, network, tensors, images, folder=tmp_path)
    assert not report.problems
    assert report.images == IMAGES
    result = report.to_json()
    assert result["values_compared"] == IMAGES * VALUES
    assert result["cycles"] == result["predicted_cycles"]
    few = [golden.run(network, tensors, image[None]) for image in images[:3]]
    assert report.classes[:3] == tuple(int(values["linear"].ravel().argmax()) for values in few)
    # The images do not all come to the same in the end.
    assert not np.array_equal(few[0]["pool"], few[1]["pool"])
