"""Mutants of every block's netlist against the vectors that arrays are simulated with.

    python benchmarks/mutation.py [--mutants 300] [--only WORD]

Yosys maps a small array to gates and names faults in one instance of a block (``mutate``: a pin that is
inverted, or stuck); all are simulated at once (``bit_parallel``) with the products, resets and stalls of
``sim.runner.plan``. A mutant is killed where the bench would see it: a value or ``last`` that is taken, a
beat that is taken or offered in another cycle. What was run is kept, by the digest of netlist and vectors.
"""

import argparse
import hashlib
import json
import random
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from bit_parallel import Mutant, Netlist

from analysis.synthesis.yosys import run
from pact_hw.files import read_json, write_json, write_text
from pact_hw.spec import (
    ActFormat,
    Dataflow,
    Drain,
    HardwareSpec,
    MacKind,
    RequantiserKind,
    RequantiserSpec,
    WeightEncoding,
    WeightFormat,
    schedule,
)
from rtl_gen.emit import write_design
from sim.bench.traffic import payloads, traffic
from sim.products import random_products
from sim.runner import plan
from sim.vectors import RESET

SCRIPT = """\
read_verilog {macros} {verilog}
hierarchy -top dut
synth -noabc -top dut
simplemap
dfflegalize -cell $_DFF_P_ x
abc -g AND,OR,XOR,MUX
opt_clean
flatten -noscopeinfo
opt_clean
setattr -set src "abc:1.1-1.2" c:* a:src %d
write_json netlist.json
mutate -list {mutants} -seed 1 -o mutants.txt {cells}
"""
"""Every cell needs a source: ``mutate`` was seen to run for ever where some have none."""


def array(act: int, weight: int, **more: object) -> HardwareSpec:
    encoding = more.pop("encoding", WeightEncoding.ODD)
    members = {"rows": 2, "cols": 2, "lanes": 2, "max_reduction": 30, "name": "dut", **more}
    return HardwareSpec(
        act=ActFormat(bits=act), weight=WeightFormat(bits=weight, encoding=encoding), **members
    )  # type: ignore[arg-type]


TWOS_COMPLEMENT = {"encoding": WeightEncoding.TWOS_COMPLEMENT}
STATIONARY = {"dataflow": Dataflow.WEIGHT_STATIONARY}
TOP = "$abc$* $auto$*"
PAIRS = {"rows": 4, "cols": 4}
COMPOSABLE = {"mac_kind": MacKind.COMPOSABLE, "lanes": 1}
SERIAL = {"mac_kind": MacKind.BIT_SERIAL}
MULTIPLY = {
    "requantiser": RequantiserSpec(mult_bits=5, add_bits=8, max_shift=12, level_bits=3, residual_bits=2)
}
THRESHOLD = {"requantiser": RequantiserSpec(kind=RequantiserKind.THRESHOLD, level_bits=3, residual_bits=1)}
BLOCKS = {
    "PE": (array(3, 2), "*row_1.*pe_1.*"),
    "PE in pairs": (array(4, 2, **PAIRS), "*row_1.*pe_1.*"),
    "decoder of pairs": (array(4, 2, **PAIRS), "*decoder.*"),
    "row: registers and correction, odd": (array(3, 2), "*row_1.$abc* *row_1.$auto*"),
    "row: registers and correction, two's complement": (
        array(3, 3, **TWOS_COMPLEMENT),
        "*row_1.$abc* *row_1.$auto*",
    ),
    "sum of activations": (array(3, 2), "*row_1.*total*"),
    "control, output stationary": (array(3, 2, cols=3), TOP),
    "PE, weight stationary": (array(3, 2, **STATIONARY), "*column_1.*pe_1.*"),
    "tally": (array(3, 2, **STATIONARY), "*tally_1.*"),
    "skew": (array(3, 2, rows=3, **STATIONARY), "*skew.*"),
    "control and correction, weight stationary": (array(3, 2, rows=3, **STATIONARY), TOP),
    "multiply-shift requantiser": (array(3, 2, **MULTIPLY), "*requantiser_1.*"),
    "threshold requantiser": (array(3, 2, **THRESHOLD), "*requantiser_1.*"),
    "control, with a requantiser": (array(3, 2, cols=3, **MULTIPLY), TOP),
    "PE, composable": (array(4, 4, **COMPOSABLE), "*row_1.*pe_1.*"),
    "words, composable": (array(4, 4, **COMPOSABLE, **TWOS_COMPLEMENT), "*arrangement_1.*"),
    "row, composable": (array(4, 4, **COMPOSABLE), "*row_1.$abc* *row_1.$auto*"),
    "PE, bit-serial": (array(3, 2, cols=3, **SERIAL), "*row_1.*pe_1.*"),
    "PE in pairs, bit-serial": (array(3, 4, **PAIRS, **SERIAL), "*row_1.*pe_1.*"),
    "column's weights, bit-serial": (array(3, 4, **PAIRS, **SERIAL), "*column_weights_1.*"),
    "row, bit-serial": (array(3, 4, **PAIRS, **SERIAL), "*row_1.$abc* *row_1.$auto* *row_1.*decoder*"),
    "sum of activations, bit-serial": (array(3, 2, **SERIAL), "*row_1.*total*"),
    "control, bit-serial": (array(3, 2, cols=3, **SERIAL), TOP),
    "operands' way, pipeline of 1": (
        array(3, 2, rows=3, cols=3, pipeline=1),
        "*skew* *row_1.$abc* *row_1.$auto*",
    ),
    "control, pipeline of 1": (array(3, 2, rows=3, cols=3, pipeline=1), TOP),
    "wide drain": (array(3, 2, drain=Drain.WIDE), "*row_1.*column_sum_1.* *row_1.*pe_1.*"),
    "control, wide drain": (array(3, 2, drain=Drain.WIDE), TOP),
}


def mutated(spec: HardwareSpec, cells: str, count: int) -> tuple[Netlist, list[Mutant], str]:
    """The netlist, its mutants, and the digest of both."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        design = write_design(spec, folder)
        script = SCRIPT.format(
            macros="-DSYNTHESIS",
            verilog=design.verilog.name,
            mutants=count,
            cells=" ".join(f"c:{pattern}" for pattern in cells.split()),
        )
        (folder / "run.ys").write_text(script)
        run("run.ys", folder=folder, timeout=600)
        netlist, named = (folder / "netlist.json").read_text(), (folder / "mutants.txt").read_text()
    mutants = []
    for line in named.splitlines():
        options = dict(re.findall(r"-(\w+) (\S+)", line))
        if options["port"] == "C":
            continue  # a clock: these are simulated cycle by cycle
        places = re.findall(r"-src (\w+\.v:[\d.]+)", line)
        where = (
            f"{options['wire']}[{options.get('wirebit', 0)}]" if "wire" in options else "".join(places[:1])
        )
        mutants.append(Mutant(mode=options["mode"], cell=options["cell"], port=options["port"], where=where))
    digest = hashlib.sha256((netlist + named).encode()).hexdigest()
    return Netlist(json.loads(netlist), "dut", mutants), mutants, digest


class Bench:
    """All mutants on one array's streams, driven by what the array without a fault does."""

    def __init__(self, spec: HardwareSpec, netlist: Netlist) -> None:
        self._spec, self._netlist = spec, netlist
        # Registers without a reset start with anything, as in silicon; the same for all.
        start = random.Random(1)  # noqa: S311 - a test pattern
        self._state = [netlist.every * start.randint(0, 1) for _ in range(netlist.state_bits)]
        self.killed = 0

    def _clock(self, offered: list[str], *, taking: bool) -> tuple[set[str], bool]:
        """One cycle: the streams of which a beat was taken, and whether a result was."""
        net = self._netlist
        self._state, outputs = net.step(self._state)
        taken = set()
        for name in offered:
            ready = net.read(outputs, f"{name}_ready")
            self.killed |= net.differ(ready)
            if ready[0] & 1:
                taken.add(name)
        valid = net.read(outputs, "out_valid")
        result = False
        if taking:
            self.killed |= net.differ(valid)
            result = bool(valid[0] & 1)
            if result:
                values = net.read(outputs, "out_data") + net.read(outputs, "out_last")
                self.killed |= net.differ(values)
        return taken, result

    def reset(self) -> None:
        """Two cycles of reset, with nothing offered."""
        net = self._netlist
        for name in self._streams():
            net.drive(f"{name}_valid", "0")
        net.drive("out_ready", "0")
        net.drive("clk", "0")
        for level in "110":
            net.drive("rst", level)
            self._state, _ = net.step(self._state)

    def _streams(self) -> list[str]:
        if self._spec.dataflow is Dataflow.WEIGHT_STATIONARY:
            return ["weight", "in"]
        return ["in", "scale"] if self._spec.requantiser else ["in"]

    def run(self, product: object, *, stalls: float, seed: int, limit: int | None = None) -> None:
        """One product; ``limit`` cycles of it."""
        beats = traffic(self._spec, product)  # type: ignore[arg-type]
        chance = random.Random(seed)  # noqa: S311 - a test pattern
        waiting: dict[str, Iterator[tuple[str, ...]]] = dict(beats.sources)
        held: dict[str, tuple[str, ...] | None] = {name: next(source) for name, source in waiting.items()}
        offered: set[str] = set()
        results, cycle = 0, 0
        while results < len(beats.last) and cycle != limit:
            cycle += 1
            for name, beat in held.items():
                if beat is not None and name not in offered and chance.random() >= stalls:
                    offered.add(name)
                    for port, text in zip(payloads(self._spec, name), beat, strict=True):
                        self._netlist.drive(port, text)
                self._netlist.drive(f"{name}_valid", "1" if name in offered else "0")
            taking = chance.random() >= stalls
            self._netlist.drive("out_ready", "1" if taking else "0")
            taken, result = self._clock(sorted(offered), taking=taking)
            results += result
            for name in taken:
                offered.discard(name)
                held[name] = next(waiting[name], None)


def killed(spec: HardwareSpec, netlist: Netlist, products: int) -> int:
    """The mutants that ``simulate`` with so many random products sees, a bit each."""
    bench = Bench(spec, netlist)
    bench.reset()
    given = random_products(spec, products, seed=0)
    for one in plan(spec, given, seed=0, stalls=0.0):
        product = given[one.product]
        if one.scenario == RESET:
            m, k, n = product.shape
            cycles = schedule(spec.in_mode(product.mode_bits), m=m, k=k, n=n).cycles
            bench.run(product, stalls=0.0, seed=one.seed, limit=random.Random(one.seed).randint(1, cycles))  # noqa: S311
            bench.reset()
        bench.run(product, stalls=one.stalls, seed=one.seed)
    return bench.killed


def tried(name: str, count: int, products: int, cache: Path) -> dict[str, object]:
    """Mutants, killed ones and survivors of a block."""
    spec, cells = BLOCKS[name]
    netlist, mutants, digest = mutated(spec, cells, count)
    sources = [Path(__file__), *sorted((Path(__file__).parents[1] / "sim").glob("*.py"))]
    key = hashlib.sha256(digest.encode() + b"".join(path.read_bytes() for path in sources))
    path = cache / f"{key.hexdigest()}-{products}.json"
    if not path.is_file():
        found = killed(spec, netlist, products)
        survivors = [mutant for number, mutant in enumerate(mutants, 1) if not found >> number & 1]
        rows = [f"{mutant.mode} {mutant.port} at {mutant.where} ({mutant.cell})" for mutant in survivors]
        write_json(path, {"mutants": len(mutants), "survivors": rows})
    return read_json(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--mutants", type=int, default=300)
    parser.add_argument("--products", type=int, default=100)
    parser.add_argument("--only", default="", metavar="WORD")
    parser.add_argument("--cache", type=Path, default=Path("out/mutation"))
    parser.add_argument("--out", type=Path, default=Path("out/mutation.md"))
    arguments = parser.parse_args()
    lines = ["| block | mutants | killed |", "|---|---|---|"]
    listed = []
    for name in BLOCKS:
        if arguments.only not in name:
            continue
        found = tried(name, arguments.mutants, arguments.products, arguments.cache)
        total, survivors = int(str(found["mutants"])), list(found["survivors"])  # type: ignore[call-overload]
        share = 100 * (1 - len(survivors) / total)
        lines.append(f"| {name} | {total} | {total - len(survivors)} ({share:.1f} %) |")
        listed += [f"- {name}: {survivor}" for survivor in survivors]
        print(lines[-1], file=sys.stderr, flush=True)
    write_text(arguments.out, "\n".join([*lines, "", *listed]) + "\n")
    print("\n".join(listed))


if __name__ == "__main__":
    main()
