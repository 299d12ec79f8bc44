"""What is written: lint-clean, deterministic, small, and refused where it cannot be."""

import os
import re
import subprocess
from collections import Counter

import pytest

import pact_hw
from pact_hw import tools
from pact_hw.design import load_design
from pact_hw.errors import InputError
from pact_hw.spec import ActFormat, Dataflow, HardwareSpec, RequantiserSpec, WeightEncoding, WeightFormat
from rtl_gen.emit import write_design
from rtl_gen.names import PORT

ENCODINGS = [WeightEncoding.ODD, WeightEncoding.TWOS_COMPLEMENT]
KINDS = {
    "output-stationary": {},
    "requantised": {"requantiser": RequantiserSpec()},
    "weight-stationary": {"dataflow": Dataflow.WEIGHT_STATIONARY},
    "staged": {"tree_stages": 2},
}


def spec_of(act_bits=4, weight_bits=4, rows=2, cols=3, lanes=2, encoding=WeightEncoding.ODD, **more):
    return HardwareSpec(
        act=ActFormat(bits=act_bits),
        weight=WeightFormat(bits=weight_bits, encoding=encoding),
        rows=rows,
        cols=cols,
        lanes=lanes,
        **more,
    )


def lint(verilog, *macros, seconds=120):
    tool = tools.verilator()
    return subprocess.run(
        [str(tool.path), "--lint-only", "-Wall", *macros, str(verilog)],
        env={**os.environ, **tool.environment},
        capture_output=True,
        text=True,
        timeout=seconds,
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 2), (4, 4, 2)])
@pytest.mark.parametrize("bits", [(1, 1), (1, 5), (3, 1), (4, 4), (8, 8)])
def test_verilog_is_lint_clean_and_has_no_unnamed_signal(tmp_path, bits, shape, encoding, kind):
    design = write_design(spec_of(*bits, *shape, encoding=encoding, **KINDS[kind]), tmp_path)
    for macros in ((), ("-DSYNTHESIS",)):
        done = lint(design.verilog, *macros)
        assert (done.returncode, done.stderr) == (0, "")
    assert "\\$" not in design.verilog.read_text()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("more", [{"max_reduction": 1}, {"max_reduction": 1 << 20}, {"acc_bits": 62}])
def test_verilog_is_lint_clean_for_unusual_accumulators(tmp_path, more, encoding, kind):
    design = write_design(spec_of(2, 3, encoding=encoding, **more, **KINDS[kind]), tmp_path)
    done = lint(design.verilog)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "requantiser",
    [
        RequantiserSpec(mult_bits=2, add_bits=2, max_shift=0, level_bits=16, residual_bits=16),
        RequantiserSpec(mult_bits=32, add_bits=62, max_shift=60, level_bits=1, residual_bits=1),
    ],
)
@pytest.mark.parametrize("bits", [(1, 1), (16, 16)])
def test_verilog_is_lint_clean_for_extreme_requantisers(tmp_path, bits, requantiser):
    design = write_design(spec_of(*bits, max_reduction=1, requantiser=requantiser), tmp_path)
    done = lint(design.verilog)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_registers_have_no_initial_values_and_only_control_is_reset(tmp_path, encoding, kind):
    text = write_design(spec_of(encoding=encoding, **KINDS[kind]), tmp_path).verilog.read_text()
    assert not re.search(r"\breg\b[^;]*=", text)
    assert not re.search(r"\binitial\b(?! value)", text)
    for module in re.findall(r"^module \w+ \(.*?^endmodule", text, re.DOTALL | re.MULTILINE):
        assert bool(re.search(r"\brst\b", module)) == bool(re.match(r"module mac_array(_array)? ", module))


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_spec_gives_the_same_files_and_they_load(tmp_path, kind):
    spec = spec_of(**KINDS[kind])
    first, second = write_design(spec, tmp_path / "a"), write_design(spec, tmp_path / "b")
    assert first.verilog.read_bytes() == second.verilog.read_bytes()
    assert first.manifest.read_bytes() == second.manifest.read_bytes()
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["design.json", "mac_array.v"]
    assert load_design(tmp_path / "a") == first


def test_header_says_what_it_is(tmp_path):
    spec = spec_of()
    text = write_design(spec, tmp_path).verilog.read_text()
    header = text.partition("module")[0]
    assert spec.digest in header
    assert f"pact-hw {pact_hw.__version__}" in header
    assert f"Latency {spec.latency_cycles} cycles" in header
    assert f"accumulators {spec.acc_bits} bits" in header
    assert str(tmp_path) not in text


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_ports_of_the_manifest_are_those_of_the_top_module(tmp_path, encoding, kind):
    design = write_design(spec_of(encoding=encoding, **KINDS[kind]), tmp_path)
    module = re.search(r"^module mac_array \((.*?)^\);", design.verilog.read_text(), re.DOTALL | re.MULTILINE)
    written = re.findall(
        r"^  (input|output) +(?:wire|reg) +(?:\[(\d+):0\] )?(\w+),? +// (.+)", module[1], re.M
    )
    assert [(d, int(high or 0) + 1, name, text) for d, high, name, text in written] == [
        (port.direction, port.width, port.name, port.description) for port in design.ports
    ]


def test_widths_of_the_ports(tmp_path):
    spec = spec_of(3, 5, 2, 3, 4, requantiser=RequantiserSpec())
    widths = {port.name: port.width for port in write_design(spec, tmp_path).ports}
    assert widths == {
        "clk": 1,
        "rst": 1,
        "in_valid": 1,
        "in_ready": 1,
        "in_act": 2 * 4 * 3,
        "in_weight": 3 * 4 * 5,
        "in_last": 1,
        "scale_valid": 1,
        "scale_ready": 1,
        "scale_mult": 24,
        "scale_add": 48,
        "scale_shift": 6,
        "scale_limit": 8,
        "scale_residual_mult": 24,
        "scale_residual": 2 * 8,
        "scale_raw": 1,
        "out_valid": 1,
        "out_ready": 1,
        "out_data": 2 * spec.acc_bits,
        "out_last": 1,
    }


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_module_is_written_once_under_the_design_s_name(tmp_path, kind):
    spec = spec_of(rows=5, cols=7, name="alpha", **KINDS[kind])
    text = write_design(spec, tmp_path).verilog.read_text()
    modules = re.findall(r"^module (\w+)", text, re.MULTILINE)
    assert len(modules) == len(set(modules))
    assert all(module == "alpha" or module.startswith("alpha_") for module in modules)
    instances = Counter(re.findall(r"^  alpha_(\w+) \w+ \(", text, re.MULTILINE))
    if spec.dataflow is Dataflow.OUTPUT_STATIONARY:
        assert (instances["pe"], instances["row"]) == (7, 5)
    else:
        assert (instances["pe"], instances["column"], instances["tally"]) == (5, 7, 5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_ready_does_not_depend_on_its_own_valid(tmp_path, encoding, kind):
    text = write_design(spec_of(encoding=encoding, **KINDS[kind]), tmp_path).verilog.read_text()
    for module in re.findall(r"^module mac_array.*?^endmodule", text, re.DOTALL | re.MULTILINE):
        assigns = dict(re.findall(r"^  assign (\w+) = (.*);$", module, re.MULTILINE))
        for stream in re.findall(r"^  output \w+ +(\w+)_ready,", module, re.MULTILINE):
            cone, todo = set(), [f"{stream}_ready"]
            while todo:
                name = todo.pop()
                if name not in cone:
                    cone.add(name)
                    todo += re.findall(r"[a-z_]\w*", assigns.get(name, ""))
            assert f"{stream}_valid" not in cone


@pytest.mark.parametrize("kind", KINDS)
def test_every_port_has_a_name_that_a_module_may_not_have(tmp_path, kind):
    design = write_design(spec_of(**KINDS[kind]), tmp_path)
    assert [port.name for port in design.ports if not PORT.fullmatch(port.name)] == []


@pytest.mark.parametrize("kind", KINDS)
def test_large_array_is_small_text(tmp_path, kind):
    # How long it takes is measured by benchmarks/, not asserted here.
    design = write_design(spec_of(4, 4, 64, 64, 16, **KINDS[kind]), tmp_path)
    assert design.verilog.stat().st_size < 200_000


@pytest.mark.parametrize("kind", KINDS)
def test_text_grows_with_rows_plus_cols_not_with_pes(tmp_path, kind):
    sizes = [
        write_design(spec_of(rows=n, cols=n, **KINDS[kind]), tmp_path / str(n)).verilog.stat().st_size
        for n in (8, 16, 32)
    ]
    # Twice as much for twice as many; a little more for the skew's delays.
    assert sizes[2] - sizes[1] < 2.5 * (sizes[1] - sizes[0])


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"rows": 1024, "lanes": 1024}, "of activations a cycle"),
        ({"cols": 1024, "lanes": 1024}, "of weights a cycle"),
        ({"name": "module"}, "^name must not be a keyword of Verilog or SystemVerilog: 'module'$"),
        ({"name": "logic"}, "'logic'"),
    ],
)
def test_what_cannot_be_written_is_refused_in_one_line(tmp_path, more, words):
    with pytest.raises(InputError, match=words) as refused:
        write_design(spec_of(**more), tmp_path)
    assert "\n" not in str(refused.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_large_array_is_lint_clean(tmp_path, kind):
    done = lint(write_design(spec_of(2, 2, 64, 64, 16, **KINDS[kind]), tmp_path).verilog, seconds=600)
    assert (done.returncode, done.stderr) == (0, "")
