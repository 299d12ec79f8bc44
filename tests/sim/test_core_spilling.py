"""Networks whose activations do not fit the buffer, on the Verilog: through AXI to memory and back."""

import sys
from pathlib import Path

import numpy as np
import pytest
from small_cores import small_core

from pact_hw.compiler import compile_network
from pact_hw.spec import (
    ActEncoding,
    ActFormat,
    CoreSpec,
    HardwareSpec,
    LayerKind,
    LayerSpec,
    NetworkSpec,
    RequantiserSpec,
    WeightEncoding,
    WeightFormat,
)
from pact_hw.spec.program import Opcode
from rtl_gen.core.emit import write_core
from sim.core_run import External
from sim.core_simulate import simulate_network

sys.path.append(str(Path(__file__).parents[1] / "compiler"))
from core_networks import narrowing, random_levels, random_tensors

ODD, TWOS = WeightEncoding.ODD, WeightEncoding.TWOS_COMPLEMENT


def uneven_core(**members):
    """Words of 48 bits on a bus of 32, 3-bit slices of everything, two requantisers."""
    array = HardwareSpec(
        name="uneven", act=ActFormat(bits=3), weight=WeightFormat(bits=3, encoding=TWOS), rows=2, cols=4,
        lanes=16, max_reduction=1024, requantiser=RequantiserSpec(),
    )  # fmt: skip
    sizes = {"activation_words": 64, "patch_words": 128, "weight_words": 256, "program_words": 1 << 13}
    return CoreSpec(array=array, bus_bits=32, requantisers=2, **{**sizes, **members})


def network(encoding):
    """A signed image with a border, levels of 5, 7 and 4 bits, every kind of operand from memory."""
    image, wide = ActFormat(bits=5, encoding=ActEncoding.SYMMETRIC), ActFormat(bits=7)
    narrow = ActFormat(bits=4)
    weight = WeightFormat(bits=6, encoding=encoding)

    def conv(name, source, act, out, inputs=6, **members):
        return LayerSpec(
            name=name, kind=LayerKind.CONV, source=source, act=act, weight=weight, in_channels=inputs,
            out_channels=6, kernel=3, padding=1, out=out, **members,
        )  # fmt: skip

    def window(name, source, act, out, kind, **members):
        channels = 12 if kind is LayerKind.CONCAT else 6
        return LayerSpec(
            name=name, kind=kind, source=source, act=act, in_channels=channels, out_channels=channels,
            out=out, **members,
        )  # fmt: skip

    logits = LayerSpec(
        name="logits",
        kind=LayerKind.CONV,
        source="both",
        act=wide,
        weight=weight,
        in_channels=12,
        out_channels=3,
    )
    return NetworkSpec(
        name="every kind", input_channels=5, input_height=11, input_width=6, input_act=image,
        layers=(
            conv("first", "input", image, wide, inputs=5),
            conv("second", "first", wide, wide, residual="first", residual_act=wide),
            window("most", "second", wide, wide, LayerKind.MAX, kernel=3, stride=2, padding=1),
            conv("third", "first", wide, narrow, stride=2),
            window("mean", "third", narrow, wide, LayerKind.SUM),
            window("both", "most", wide, wide, LayerKind.CONCAT, concat=("mean",)),
            logits,
        ),
    )  # fmt: skip


@pytest.mark.parametrize(("core", "encoding"), [(small_core, ODD), (uneven_core, TWOS)])
def test_every_kind_of_operand_comes_back_from_memory(core, encoding, tmp_path):
    spec = network(encoding)
    tensors, images = random_tensors(spec, 1), np.stack([random_levels(spec, seed) for seed in (1, 2)])
    big = compile_network(spec, tensors, core(activation_words=4096, program_words=1 << 14))
    words = big.activation_words // 3
    design = write_core(core(activation_words=words, program_words=1 << 14), tmp_path)
    compiled = compile_network(spec, tensors, design.core)
    assert {"input", "first", "second"} <= set(compiled.memory)
    assert sum(fields["opcode"] == Opcode.STORE for fields in compiled.operations) > 5
    for external in (External(), External(latency_cycles=90, bandwidth_256=100)):
        report = simulate_network(design, spec, tensors, images, folder=tmp_path / "run", external=external)
        assert not report.problems
        assert report.to_json()["cycles"] == 2 * compiled.cycles
    cut = simulate_network(
        design, spec, tensors, images[:1], first_layer="second", last_layer="both", folder=tmp_path / "run"
    )
    assert not cut.problems


def test_what_was_stored_last_is_there_when_it_is_brought(tmp_path):
    """A store ends when the memory has answered, which is long after it took the words."""
    spec = narrowing()
    tensors, images = random_tensors(spec, 0), random_levels(spec, 0)[None]
    design = write_core(small_core(activation_words=200, program_words=1 << 14), tmp_path)
    compiled = compile_network(spec, tensors, design.core)
    store = [i for i, fields in enumerate(compiled.operations) if fields["opcode"] == Opcode.STORE][-1]
    assert max(transfer["after_operations"] for transfer in compiled.transfers) == store + 1
    external = External(latency_cycles=300)
    report = simulate_network(design, spec, tensors, images, folder=tmp_path / "run", external=external)
    assert not report.problems
