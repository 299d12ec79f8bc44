"""Every arithmetic block proved equal to its plain definition, for all inputs; streams for many cycles.

    python benchmarks/proofs.py [--quick] [--only WORD] [--seconds 600]

A block stands in a module ``proof`` beside its definition in a few lines of Verilog (``definitions``);
Yosys writes both as bit-vector logic, and Bitwuzla shows that ``fail`` cannot be 1. The table that is
printed stands in docs/hardware.md. What was proved is kept, by the digest of what was asked.
"""

import argparse
import hashlib
import multiprocessing
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from proof_list import AT_ONCE, BOUNDED, STEP, Proof, proofs

from analysis.synthesis.yosys import run
from pact_hw.files import read_json, write_json, write_text
from rtl_gen.emit import write_design

WIRES = """
module \\$dffe (CLK, EN, D, Q);
  parameter WIDTH = 1; parameter CLK_POLARITY = 1; parameter EN_POLARITY = 1;
  input CLK, EN; input [WIDTH-1:0] D; output [WIDTH-1:0] Q; assign Q = D;
endmodule
module \\$dff (CLK, D, Q);
  parameter WIDTH = 1; parameter CLK_POLARITY = 1;
  input CLK; input [WIDTH-1:0] D; output [WIDTH-1:0] Q; assign Q = D;
endmodule
"""
"""Registers as wires."""


def smt2(proof: Proof, folder: Path) -> str:
    """The proof's ``fail`` as SMT-LIB, with what is asserted about it; unsatisfiable if it holds."""
    design = write_design(proof.spec, folder)
    (folder / "proof.v").write_text(proof.verilog)
    (folder / "wires.v").write_text(WIRES)
    lines = [
        f"read_verilog -DSYNTHESIS {design.verilog.name}",
        "read_verilog -overwrite proof.v",
        "hierarchy -top proof",
        "proc",
        "flatten",
        "opt_clean",
        *(["opt_dff -nosdff -simple-dffe", "techmap -map wires.v"] if proof.method == AT_ONCE else []),
        "opt -full",
        "dffunmap",
        "opt_clean",
        "write_smt2 proof.smt2",
    ]
    (folder / "proof.ys").write_text("\n".join(lines) + "\n")
    run("proof.ys", folder=folder, timeout=600)
    return (folder / "proof.smt2").read_text() + "\n".join(questions(proof)) + "\n(check-sat)\n"


def questions(proof: Proof) -> list[str]:
    """States and what is asserted of them."""
    last = {AT_ONCE: 0, STEP: 1, BOUNDED: proof.cycles}[proof.method]
    lines = []
    for n in range(last + 1):
        lines.append(f"(declare-fun s{n} () |proof_s|)")
        lines.append(f"(assert (|proof_u| s{n}))")
        if n:
            lines.append(f"(assert (|proof_t| s{n - 1} s{n}))")
    fails = [f"(|proof_n fail| s{n})" for n in range(last + 1)]
    if proof.method == BOUNDED:
        return [*lines, "(assert (|proof_i| s0))", f"(assert (or {' '.join(fails)}))"]
    return [*lines, *(f"(assert (not {fail}))" for fail in fails[:-1]), f"(assert {fails[-1]})"]


def decide(text: str, seconds: float) -> str:
    """Bitwuzla's answer: ``sat``, ``unsat`` or ``unknown`` (the time was up)."""
    import bitwuzla

    options = bitwuzla.Options()
    options.set(bitwuzla.Option.TIME_LIMIT_PER, int(1000 * seconds))
    terms = bitwuzla.TermManager()
    parser = bitwuzla.Parser(terms, options)
    parser.parse(text.replace("(check-sat)", ""), True, False)
    return {
        bitwuzla.Result.SAT: "sat", bitwuzla.Result.UNSAT: "unsat",
    }.get(parser.bitwuzla().check_sat(), "unknown")  # fmt: skip


def prove(proof: Proof, seconds: float = 600) -> str:
    """``proved``, ``wrong`` or ``time is up``."""
    with tempfile.TemporaryDirectory() as name:
        text = smt2(proof, Path(name))
    return {"unsat": "proved", "sat": "wrong"}.get(decide(text, seconds), "time is up")


def kept_answer(proof: Proof, seconds: float, cache: Path) -> tuple[str, float]:
    """The answer and how long it took, from the cache if it is a proof."""
    with tempfile.TemporaryDirectory() as name:
        text = smt2(proof, Path(name))
    path = cache / f"{hashlib.sha256(text.encode()).hexdigest()}.json"
    if path.is_file():
        found = read_json(path)
        if found["answer"] == "proved" or found["limit"] >= seconds:
            return found["answer"], found["seconds"]
    started = time.monotonic()
    with multiprocessing.get_context("spawn").Pool(1) as pool:  # its memory goes with it
        answer = pool.apply(prove, (proof, seconds))
    took = time.monotonic() - started
    write_json(path, {"answer": answer, "seconds": took, "limit": seconds})
    return answer, took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="", metavar="WORD")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--cache", type=Path, default=Path("out/proofs"))
    parser.add_argument("--out", type=Path, default=Path("out/proofs.md"))
    arguments = parser.parse_args()
    lines = ["| block | widths | method | answer | s |", "|---|---|---|---|---|"]
    wrong = False
    for proof in proofs():
        if arguments.only not in proof.block or (arguments.quick and not proof.quick):
            continue
        answer, took = kept_answer(proof, arguments.seconds, arguments.cache)
        wrong |= answer == "wrong"
        lines.append(f"| {proof.block} | {proof.widths} | {proof.method} | {answer} | {took:.1f} |")
        print(lines[-1], file=sys.stderr, flush=True)
    write_text(arguments.out, "\n".join(lines) + "\n")
    sys.exit("a definition is not met" if wrong else 0)


if __name__ == "__main__":
    main()
