"""What is written beside a core's Verilog, and that the Verilog is clean."""

import os
import re
import subprocess

import pytest
import yaml
from core_spec import core_spec
from stand_in import StandIn

from pact_hw import tools
from pact_hw.design import load_design
from pact_hw.errors import InputError
from pact_hw.spec.registers import REGISTERS, CoreError, digest_word
from rtl_gen.core.emit import write_core


@pytest.fixture(scope="module")
def design(tmp_path_factory):
    return write_core(core_spec(), tmp_path_factory.mktemp("core"))


def test_the_verilog_is_lint_clean_and_has_no_unnamed_signal(design):
    tool = tools.verilator()
    done = subprocess.run(
        [str(tool.path), "--lint-only", "-Wall", "-f", "files.f"],
        cwd=design.folder,
        env={**os.environ, **tool.environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "\\$" not in design.verilog.read_text()


def test_the_manifest_gives_the_core_back(design):
    loaded = load_design(design.folder)
    assert loaded == design
    assert loaded.core == core_spec()
    assert loaded.digest == core_spec().digest != loaded.hardware.digest


def test_the_same_core_gives_the_same_files(tmp_path):
    spec = core_spec()
    first, second = (write_core(spec, tmp_path / name, StandIn) for name in ("a", "b"))
    for file in first.folder.iterdir():
        assert file.read_bytes() == (second.folder / file.name).read_bytes()


def test_the_header_says_what_the_registers_are(design, tmp_path):
    """A C compiler reads it: the values of its constants."""
    header = design.folder / "core_regs.h"
    names = re.findall(r"^#define (\w+) \S", header.read_text(), re.MULTILINE)
    source = tmp_path / "names.c"
    lines = [f'printf("%s %u\\n", "{name}", (unsigned){name});' for name in names]
    source.write_text(f'#include <stdio.h>\n#include "{header}"\nint main(void) {{{"".join(lines)}}}\n')
    subprocess.run(
        [*tools.cxx(), "-x", "c", "-Wall", "-Werror", str(source), "-o", str(tmp_path / "names")], check=True
    )
    told = subprocess.run([str(tmp_path / "names")], capture_output=True, text=True, check=True).stdout
    values = {name: int(value) for name, value in map(str.split, told.splitlines())}
    for register in REGISTERS:
        assert values[f"CORE_{register.name}"] == register.address
        for field in register.fields:
            mask = ((1 << field.bits) - 1) << field.low
            assert values[f"CORE_{register.name}_{field.name.upper()}"] == mask
    for error in CoreError:
        assert values[f"CORE_ERROR_{error.name}"] == error
    for word in range(8):
        assert values[f"CORE_DIGEST_{word}_VALUE"] == digest_word(design.digest, word)


def test_the_page_names_every_register_field_and_error(design):
    page = (design.folder / "registers.md").read_text()
    for register in REGISTERS:
        assert f"| 0x{register.address:02x} | {register.name} |" in page
        for field in register.fields:
            assert f"| {field.name} | {field.description} |" in page
    for error in CoreError:
        assert f"| {error.value} | {error.name} |" in page


def test_addresses_are_words_apart_and_fit(design):
    addresses = [register.address for register in REGISTERS]
    assert len(set(addresses)) == len(addresses)
    assert all(address % 4 == 0 and address < 256 for address in addresses)


def test_the_fusesoc_file_names_files_that_are_there(design):
    text = (design.folder / "core.core").read_text()
    assert text.startswith("CAPI=2:\n")
    described = yaml.safe_load(text)
    for fileset in described["filesets"].values():
        for file in fileset["files"]:
            assert (design.folder / (file if isinstance(file, str) else next(iter(file)))).is_file()
    assert described["targets"]["default"]["toplevel"] == "core"
    for target in described["targets"].values():
        assert set(target["filesets"]) <= described["filesets"].keys()


@pytest.mark.parametrize("name", ["irq", "m_axi_rdata", "s_axi_awaddr"])
def test_names_of_ports_are_refused(tmp_path, name):
    spec = core_spec()
    array = type(spec.array)(**{**vars(spec.array), "name": name})
    with pytest.raises(InputError, match="name must not be like that of a port"):
        write_core(type(spec)(**{**vars(spec), "array": array}), tmp_path, StandIn)


@pytest.mark.slow
def test_yosys_takes_the_script(design, tmp_path):
    """pyosys in a child process: an error in a pass ends it."""
    import sys

    code = (
        "from pyosys import libyosys as ys\n"
        "design = ys.Design()\n"
        "ys.run_pass('script synthesis.ys', design)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=design.folder, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-2000:] + done.stdout[-2000:]
    assert (design.folder / "core_netlist.v").stat().st_size > 10000
