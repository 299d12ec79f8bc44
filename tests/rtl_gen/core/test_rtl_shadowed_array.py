"""What synthesis builds of the core's PE is proved equal to its operators."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from pact_hw.spec import (
    ActFormat,
    CoreSpec,
    HardwareSpec,
    MacKind,
    RequantiserSpec,
    WeightFormat,
)
from pact_hw.spec.core import Depthwise
from rtl_gen.core.composable import ComposableShadowedElement
from rtl_gen.core.element import ShadowedElement
from rtl_gen.layout import laid_out
from rtl_gen.structure import adder_modules
from rtl_gen.verilog import modules

sys.path.insert(0, str(Path(__file__).parents[1]))

from test_rtl_structure import proof, prove


def written_element(folder, act_bits, weight_bits, lanes, depthwise):
    array = HardwareSpec(
        act=ActFormat(bits=act_bits), weight=WeightFormat(bits=weight_bits), rows=2,
        cols=lanes, lanes=lanes, max_reduction=40, requantiser=RequantiserSpec(),
    )  # fmt: skip
    return written(folder, ShadowedElement(CoreSpec(array=array, widest_weight_bits=8, depthwise=depthwise)))


def written(folder, element):
    text = "\n".join(laid_out(text, block) for block, text in modules([element]).items())
    path = folder / "mac_array.v"
    path.write_text(text + adder_modules("mac_array", text))
    return SimpleNamespace(folder=folder, verilog=path)


@pytest.mark.parametrize("depthwise", Depthwise)
@pytest.mark.parametrize(
    ("act_bits", "weight_bits", "lanes"),
    [
        (2, 2, 2),
        *(pytest.param(*widths, marks=pytest.mark.slow) for widths in [(1, 1, 4), (4, 2, 1), (3, 3, 2)]),
    ],
)
def test_both_bodies_are_proved_equal(tmp_path, act_bits, weight_bits, lanes, depthwise):
    design = written_element(tmp_path, act_bits, weight_bits, lanes, depthwise)
    done = prove(design, proof("mac_array_pe", "acc", "shadow"))
    assert done.returncode == 0, done.stdout[-2000:]
    assert "SAT proof finished - no model found: SUCCESS!" in done.stdout


@pytest.mark.parametrize(("bits", "narrowest"), [(4, 2), pytest.param(8, 4, marks=pytest.mark.slow)])
def test_both_bodies_of_a_composable_pe_are_proved_equal(tmp_path, bits, narrowest):
    array = HardwareSpec(
        act=ActFormat(bits=bits), weight=WeightFormat(bits=bits), rows=2, cols=2, lanes=1, max_reduction=40,
        requantiser=RequantiserSpec(), mac_kind=MacKind.COMPOSABLE, narrowest_bits=narrowest,
    )  # fmt: skip
    design = written(tmp_path, ComposableShadowedElement(CoreSpec(array=array)))
    done = prove(design, proof("mac_array_pe", "acc", "shadow"))
    assert done.returncode == 0, done.stdout[-2000:]


def test_a_wrong_body_is_not_proved(tmp_path):
    design = written_element(tmp_path, 2, 2, 2, Depthwise.DIAGONAL)
    text = design.verilog.read_text()
    broken = text.replace("shadow <= capture ? acc : below;", "shadow <= step ? below : acc;")
    assert broken != text
    design.verilog.write_text(broken)
    assert prove(design, proof("mac_array_pe", "acc", "shadow")).returncode != 0
