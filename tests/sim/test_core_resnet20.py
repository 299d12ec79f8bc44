"""ResNet-20 on a generated 8 x 8 x 16 core: a hundred images at 4 and at 2 bits, every layer of each.

Weight codes and constants are random, with the statistics of trained ones (``pact_hw.compiler.examples``):
networks that were trained belong to no repository. What is compared does not depend on it.
"""

import numpy as np
import pytest

from pact_hw.cli.core import core_spec
from pact_hw.compiler import examples
from pact_hw.golden import network as golden
from pact_hw.spec import ActFormat, HardwareSpec, WeightFormat
from rtl_gen.core.emit import write_core
from sim import build
from sim.core_simulate import simulate_network

pytestmark = pytest.mark.slow
IMAGES = 100


@pytest.fixture(scope="module")
def design(tmp_path_factory):
    """As ``pact-hw generate --core --act-bits 4 --weight-bits 4 --rows 8 --cols 8 --lanes 16`` writes it."""
    array = HardwareSpec(
        name="pact_core", act=ActFormat(bits=4), weight=WeightFormat(bits=4), rows=8, cols=8, lanes=16
    )
    return write_core(core_spec(array, network=None, bus_bits=64), tmp_path_factory.mktemp("core"))


@pytest.mark.parametrize("bits", [4, 2])
def test_every_layer_of_a_hundred_images(design, tmp_path, monkeypatch, bits):
    network = examples.resnet20(bits=bits)
    tensors = examples.random_tensors(network, seed=bits)
    shape = (IMAGES, *network.shapes["input"])
    images = np.random.default_rng(bits).integers(network.input_act.min, network.input_act.max + 1, shape)
    if bits == 2:  # the other network has built it
        monkeypatch.setattr(build, "_verilate", None)
    report = simulate_network(design, network, tensors, images, folder=tmp_path)
    assert not report.problems
    assert report.images == IMAGES
    result = report.to_json()
    assert result["values_compared"] == IMAGES * (7 * 16384 + 6 * 8192 + 6 * 4096 + 64 + 10)
    assert result["cycles"] == result["predicted_cycles"]
    few = [golden.run(network, tensors, image[None]) for image in images[:3]]
    assert report.classes[:3] == tuple(int(values["linear"].ravel().argmax()) for values in few)
    # The images do not all come to the same in the end.
    assert not np.array_equal(few[0]["pool"], few[1]["pool"])
