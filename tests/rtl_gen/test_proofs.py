"""Blocks against their definitions with an SMT solver; that a broken block is not proved."""

import importlib.util
import sys
from pathlib import Path

import pytest

pytest.importorskip("bitwuzla")

_FOLDER = Path(__file__).parents[2] / "benchmarks"


def _load(name):
    spec = importlib.util.spec_from_file_location(name, _FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


_MODULES = ("definitions", "stream_rules", "proof_list", "proofs")
definitions, _, proof_list, proofs = (_load(name) for name in _MODULES)
ALL = proofs.proofs()
QUICK = [proof for proof in ALL if proof.quick]
SLOW = [proof for proof in ALL if not proof.quick]


def name_of(proof):
    return f"{proof.block}: {proof.widths}"


@pytest.mark.parametrize("proof", QUICK, ids=name_of)
def test_the_definition_is_met(proof):
    assert proofs.prove(proof, seconds=120) == "proved"


@pytest.mark.slow
@pytest.mark.parametrize("proof", SLOW, ids=name_of)
def test_the_definition_is_not_violated(proof):
    """Whether it is proved within the time depends on the machine; the table says what was."""
    assert proofs.prove(proof, seconds=60) in ("proved", "time is up")


BROKEN = {
    "product sum": ("carry = (a & b) | (c & (a | b))", "carry = (a & b)"),
    "correction, odd": ("- { 4'h0, act_total, 2'h0 }", "+ { 4'h0, act_total, 2'h0 }"),
    "one-PE array, odd": ("assign accept = (in_valid & in_ready)", "assign accept = in_valid"),
    "multiply-shift requantiser": ("above_limit = ", "above_limit = ~"),
    "threshold requantiser": (">=", ">"),
    "composable product sum": ("carry = (a & b) | (c & (a | b))", "carry = (a & b)"),
    "bit-serial product sum": ("keep = ~(shift | twice)", "keep = ~shift"),
    "streams of the output-stationary array": ("shift = clearing | (out_valid & out_ready)", "shift = 1'b1"),
    "streams of the array with multiply-shift": ("scale_ready = sums_valid & adv", "scale_ready = adv"),
    "streams of the array with thresholds": ("sums_ready = scale_valid & adv", "sums_ready = adv"),
}
IN_A_FEW_SECONDS = ("correction, odd", "threshold requantiser")


@pytest.mark.parametrize(
    "block",
    [block if block in IN_A_FEW_SECONDS else pytest.param(block, marks=pytest.mark.slow) for block in BROKEN],
)
def test_a_broken_block_is_not_proved(block, monkeypatch):
    """The faults are put into the Verilog after it was written."""
    old, new = BROKEN[block]

    def broken(spec, folder):
        design = proof_list_write(spec, folder)
        text = design.verilog.read_text()
        assert old in text, old
        design.verilog.write_text(text.replace(old, new))
        return design

    proof_list_write = proofs.write_design
    monkeypatch.setattr(proofs, "write_design", broken)
    proof = next(proof for proof in ALL if proof.block == block)
    assert proofs.prove(proof, seconds=120) == "wrong"
