"""Verilog to a simulator program: Verilator and the C++ compiler, without make, with a cache.

Why not cocotb's own runner: it makes every signal public (``--public-flat-rw``), which keeps
Verilator from optimising, and it compiles Verilator's run-time library, several seconds of C++, again
for every design, which takes one second itself. Here only the top's ports are public, the library is
compiled once, and a design is not built twice: programs are kept under the digest of all that goes
into them.
"""

from __future__ import annotations

import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cocotb
import cocotb_tools.config

from pact_hw.design import Design
from pact_hw.progress import SILENT, Progress
from pact_hw.spec import digest
from pact_hw.tools import Tool, verilator

from .compiler import Compiler, cache_folder, call, compiler_for, keep_newest, whole_folder
from .errors import SimulationError

ONE_FILE_BYTES = 4_000_000
"""Generated C++ up to this size is compiled as one file: reading the headers is most of the work."""
KEPT_PROGRAMS = 500
"""Simulators in the cache, the last ones that were used; half a megabyte each, large ones several."""
KEEP_PE_ABOVE = 256
"""Arrays with more PEs keep the PE as a function instead of flattening it: a minute instead of many."""
_MACOS_LINK = (  # as in Verilator's make rules
    "-Wl,-U,__Z15vl_time_stamp64v,-U,__Z13sc_time_stampv,-U,_vlog_startup_routines"
)


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Verilog around a design, and what cocotb sees beside the top's ports."""

    top: str
    sources: tuple[Path, ...] = ()
    parameters: tuple[tuple[str, int], ...] = ()
    """Of the top."""
    defines: tuple[tuple[str, str], ...] = ()
    """Macros."""
    public: tuple[tuple[str, str], ...] = ()
    """Modules and their variables."""


def built_folder(design: Design, *, waves: bool = False) -> Path:
    """Where ``build`` keeps what it makes of ``design``; may be deleted."""
    tool = verilator()
    return _folder(design, _bare(design), compiler_for(tool), waves=waves)


def _bare(design: Design) -> Bench:
    """The design alone, seen at its ports."""
    return Bench(top=design.top, public=tuple((design.top, port.name) for port in design.ports))


def _folder(design: Design, bench: Bench, compiler: Compiler, *, waves: bool) -> Path:
    key = digest(
        [
            waves,
            bench.top,
            [source.read_text(encoding="utf-8") for source in bench.sources],
            [list(pair) for pair in (*bench.parameters, *bench.defines, *bench.public)],
            design.verilog.read_text(encoding="utf-8"),
            compiler.key,
            Path(__file__).read_text(encoding="utf-8"),
            cocotb.__version__,
            str(cocotb_tools.config.libs_dir),
        ]
    )
    return cache_folder() / "simulators" / key[:32]


def build(
    design: Design,
    *,
    bench: Bench | None = None,
    waves: bool = False,
    progress: Progress = SILENT,
) -> Path:
    """The program that simulates ``design`` under cocotb; with ``waves`` it can write an FST.

    ``bench`` is what is around the design, or seen in it, if there is more than its ports.

    Raises:
        InputError: a tool is missing.
        SimulationError: the Verilog does not build.
    """
    tool = verilator()
    compiler = compiler_for(tool)
    bench = bench or _bare(design)
    folder = _folder(design, bench, compiler, waves=waves)
    program = folder / bench.top
    if program.exists():
        os.utime(folder)
        return program
    with (
        progress.task(f"building the simulator of {design.top}"),
        whole_folder(folder) as temporary,
        tempfile.TemporaryDirectory() as scratch,
    ):
        sources = _verilate(tool, design, bench, Path(scratch), waves=waves)
        objects = _compile(compiler, sources, waves=waves) + compiler.runtime(waves=waves)
        libs = cocotb_tools.config.libs_dir
        link = [
            *compiler.command, "-pthread", *map(str, objects), "-o", str(temporary / bench.top),
            f"-Wl,-rpath,{libs}", f"-L{libs}", "-lcocotbvpi_verilator",
        ]  # fmt: skip
        call(link + [_MACOS_LINK] * (sys.platform == "darwin"))
    keep_newest(folder.parent, KEPT_PROGRAMS)
    return program


def _verilate(tool: Tool, design: Design, bench: Bench, folder: Path, *, waves: bool) -> list[Path]:
    """The C++ that Verilator makes of ``design``, and cocotb's main program."""
    control = folder / "ports.vlt"
    lines = [f'public_flat_rw -module "{module}" -var "{name}"' for module, name in bench.public]
    if design.hardware.rows * design.hardware.cols > KEEP_PE_ABOVE:
        lines.append(f'no_inline -module "{design.top}_pe"')
    control.write_text("`verilator_config\n" + "\n".join(lines) + "\n", encoding="ascii")
    call(
        [
            str(tool.path), "--cc", "--vpi", "--prefix", "Vtop", "--top-module", bench.top,
            "-Mdir", str(folder), "-Wno-fatal", "-Wno-lint", "--quiet", *["--trace-fst"] * waves,
            *[f"-G{name}={value}" for name, value in bench.parameters],
            *[f"-D{name}={value}" for name, value in bench.defines],
            str(control), *map(str, bench.sources), str(design.verilog),
        ],
        environment=tool.environment,
    )  # fmt: skip
    main = folder / "main.cpp"
    source = cocotb_tools.config.share_dir / "lib" / "verilator" / "verilator.cpp"
    text = source.read_text(encoding="utf-8")
    main.write_text(_with_window(text) if waves else text, encoding="utf-8")
    return [*sorted(folder.glob("Vtop*.cpp")), main]


_DUMP = "if (tfp) {\n            tfp->dump(main_time);"
_WAVE_FROM, _WAVE_STEPS = "PACT_HW_WAVE_FROM", "PACT_HW_WAVE_STEPS"


def wave_window(first_step: int, steps: int) -> dict[str, str]:
    """Environment variables that cut a waveform to ``steps`` steps from ``first_step`` on."""
    return {_WAVE_FROM: str(first_step), _WAVE_STEPS: str(steps)}


def _with_window(main: str) -> str:
    """The main program of cocotb with a waveform that can be cut: whole runs are too large to keep."""
    if _DUMP not in main:
        raise SimulationError("this version of cocotb writes waveforms in an unknown way")
    variables = f"""\
        static const char *wave_from = getenv("{_WAVE_FROM}"), *wave_steps = getenv("{_WAVE_STEPS}");
        static const vluint64_t wave_first = wave_from ? strtoull(wave_from, 0, 10) : 0;
        static const vluint64_t wave_count = wave_steps ? strtoull(wave_steps, 0, 10) : ~0ULL;
"""
    condition = "if (tfp && main_time >= wave_first && main_time - wave_first < wave_count) {"
    return main.replace(_DUMP, f"{variables}        {_DUMP.replace('if (tfp) {', condition)}")


def _compile(compiler: Compiler, sources: list[Path], *, waves: bool) -> list[Path]:
    """Objects of the generated C++."""
    if sum(source.stat().st_size for source in sources) <= ONE_FILE_BYTES:
        whole = sources[0].parent / "whole.cpp"
        text = "".join(f'#include "{source.name}"\n' for source in sources)
        whole.write_text(text, encoding="ascii")
        sources = [whole]

    def one(source: Path) -> Path:
        target = source.with_suffix(".o")
        # Verilator puts what runs once, at the start, into files of their own.
        optimise = "-O0" if "__Slow" in source.name else "-O1"
        compiler.compile(source, target, optimise=optimise, waves=waves)
        return target

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(one, sources))
