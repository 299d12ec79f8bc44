"""``python -m sim.sweep``: generate and simulate every small array that must work.

All pairs of 1, 2, 3, 4, 5, 8, 12 and 16 bits, both weight encodings, both dataflows, three shapes;
on each, products of reduction lengths 1, 7 and 4608 among them (the corner cases of
``sim.products.random_products``). Results are JSON lines, one per array, kept under the digest of
hardware and code: a sweep that was interrupted goes on where it was, and a changed source starts anew.

Example::

    python -m sim.sweep --out out/sweep --sample 20
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pact_hw
import rtl_gen
from pact_hw.errors import InputError
from pact_hw.files import read
from pact_hw.spec import ActFormat, Dataflow, HardwareSpec, WeightEncoding, WeightFormat, digest
from rtl_gen.emit import write_design

from .build import built_folder
from .products import random_products
from .runner import SimulationError, simulate

BITS = (1, 2, 3, 4, 5, 8, 12, 16)
SHAPES = ((1, 1, 1), (3, 5, 2), (8, 8, 4))
"""Rows, columns, lanes."""
LONGEST = 4608
CORNER_CASES = 7
"""Reduction lengths 4608, 4608, beyond the array, 1, 4608, 7, and one beat."""


def points() -> list[HardwareSpec]:
    """Every array of the sweep."""
    return [
        HardwareSpec(
            act=ActFormat(bits=act_bits),
            weight=WeightFormat(bits=weight_bits, encoding=encoding),
            rows=rows,
            cols=cols,
            lanes=lanes,
            dataflow=dataflow,
            max_reduction=LONGEST,
        )
        for dataflow, (rows, cols, lanes), encoding, act_bits, weight_bits in product(
            Dataflow, SHAPES, WeightEncoding, BITS, BITS
        )
    ]


def code_digest() -> str:
    """SHA-256 of the sources that a result depends on."""
    folders = [Path(str(package.__file__)).parent for package in (pact_hw, rtl_gen)] + [Path(__file__).parent]
    lines = []
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).parts
            if folder.name != "pact_hw" or parts[0] in ("spec", "golden"):
                lines.append(
                    f"{folder.name}/{'/'.join(parts)} {hashlib.sha256(path.read_bytes()).hexdigest()}"
                )
    return digest(lines)


def run_point(spec: HardwareSpec) -> dict[str, Any]:
    """Generate and simulate one array; what goes wrong is one line under ``problems``."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            design = write_design(spec, folder)
            report = simulate(design, random_products(spec, CORNER_CASES, seed=0), folder=folder / "sim")
            shutil.rmtree(built_folder(design))  # hundreds of programs would fill the cache
            body = report.to_json()
        except (InputError, SimulationError) as error:
            body = {"passed": False, "problems": [str(error)]}
    names = ("passed", "values_compared", "mismatches", "cycles", "predicted_cycles", "problems")
    return {
        "hardware": spec.to_json(),
        "wall_seconds": round(time.monotonic() - started, 2),
        **{name: body.get(name, 0) for name in names},
    }


def _known(results: Path, keys: set[str]) -> dict[str, dict[str, Any]]:
    """Results of earlier sweeps that are still valid; a last line cut short is dropped."""
    if not results.exists():
        return {}
    known = {}
    for line in read(results, lambda: results.read_text(encoding="utf-8")).splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if entry.get("digest") in keys and entry["passed"]:
            known[entry["digest"]] = entry
    return known


def sweep(specs: Sequence[HardwareSpec], results: Path, *, processes: int = 2) -> Iterator[dict[str, Any]]:
    """Run what ``results`` does not have yet, append to it, and yield every entry of ``specs``."""
    code = code_digest()
    keys = {digest([spec.digest, code]): spec for spec in specs}
    known = _known(results, set(keys))
    yield from known.values()
    results.parent.mkdir(parents=True, exist_ok=True)
    # Spawned, so that no thread of the parent is copied in the middle of something.
    with (
        results.open("a", encoding="utf-8") as file,
        ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool,
    ):
        pending = {pool.submit(run_point, spec): key for key, spec in keys.items() if key not in known}
        try:
            for future in as_completed(pending):
                entry = {"digest": pending[future], **future.result()}
                file.write(json.dumps(entry) + "\n")
                file.flush()
                yield entry
        finally:
            pool.shutdown(cancel_futures=True)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m sim.sweep", description="Generate and simulate every small array that must work."
    )
    parser.add_argument("--out", type=Path, default=Path("out/sweep"), help="folder of results.jsonl")
    parser.add_argument("--sample", type=int, metavar="N", help="only N arrays, drawn by --seed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    return parser.parse_args(argv)


def _title(hardware: dict[str, Any]) -> str:
    return "A{act_bits} W{weight_bits} {weight_encoding} {rows}x{cols}x{lanes} {dataflow}".format(**hardware)


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit status: 0, or 1 where an array failed."""
    options = _arguments(argv)
    specs = points()
    if options.sample is not None:
        specs = random.Random(options.seed).sample(specs, min(options.sample, len(specs)))  # noqa: S311
    results = options.out / "results.jsonl"
    failed, values, started = [], 0, time.monotonic()
    for number, entry in enumerate(sweep(specs, results, processes=options.processes), start=1):
        values += entry["values_compared"]
        title = _title(entry["hardware"])
        if not entry["passed"]:
            failed.append({"array": title, "problem": entry["problems"][0]})
            print(f"\nFAILED {title}: {entry['problems'][0]}", file=sys.stderr)  # noqa: T201
        print(  # noqa: T201
            f"\r{number}/{len(specs)} arrays, {len(failed)} failed, "
            f"{time.monotonic() - started:.0f} s: {title:<50}",
            end="",
            file=sys.stderr,
            flush=True,
        )
    print(file=sys.stderr)  # noqa: T201
    summary = {"arrays": len(specs), "failed": failed, "values_compared": values, "results": str(results)}
    if options.json:
        print(json.dumps(summary))  # noqa: T201
    else:
        print(f"{len(specs)} arrays, {values} values compared, {len(failed)} failed: {results}")  # noqa: T201
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
