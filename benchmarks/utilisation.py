"""How busy a core's array is in a network, layer by layer: predicted cycles, memory infinitely fast.

    python benchmarks/utilisation.py --array 8x8x16 --array 16x16x1

A MAC of operands that are wider than the array's counts once for every pair of slices. ``--layers`` prints
every layer, else layers of the same shape share a line.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from typing import Any

from pact_hw.compiler import Compiled, compile_network
from pact_hw.compiler.examples import NETWORKS, random_tensors
from pact_hw.compiler.sizing import core_for
from pact_hw.spec import ActFormat, HardwareSpec, NetworkSpec, WeightFormat
from pact_hw.spec.core import Depthwise


def compiled_for(network: NetworkSpec, shape: str, bits: int, **options: Any) -> Compiled:
    """``network`` with random codes on a core around an array of ``shape``, sized for it."""
    rows, cols, lanes = (int(size) for size in shape.split("x"))
    array = HardwareSpec(
        act=ActFormat(bits=bits), weight=WeightFormat(bits=bits), rows=rows, cols=cols, lanes=lanes
    )
    tensors = random_tensors(network, 0)
    core = core_for(network, tensors, array, bus_limited=False, **options)
    return compile_network(network, tensors, core, bus_limited=False)


def table(network: NetworkSpec, found: list[Compiled], every: bool) -> list[str]:
    """Markdown: a line a shape of layer, or a line a layer, and the sum over convolutions."""
    shapes, groups = network.shapes, defaultdict(list)
    for index, layer in enumerate(network.layers):
        shape = (shapes[layer.source], shapes[layer.name], layer.kernel, layer.stride, layer.residual is None)
        groups[layer.name if every else (layer.kind, *shape)].append(index)
    columns = "".join(
        f" {c.core.array.rows}x{c.core.array.cols}x{c.core.array.lanes}: cycles | |" for c in found
    )
    lines = [f"| layers | shape |{columns}", "|---|---|" + "--:|--:|" * len(found)]
    for members in groups.values():
        layer = network.layers[members[0]]
        (c, y, x), (k, oy, ox) = shapes[layer.source], shapes[layer.name]
        names = layer.name + (f" and {len(members) - 1} more" if len(members) > 1 else "")
        cells = []
        for compiled in found:
            reports = [compiled.layers[i] for i in members]
            cycles, macs = sum(r.cycles for r in reports), sum(r.slice_macs for r in reports)
            busy = f"{macs / (cycles * compiled.core.array.macs_per_cycle):.1%}" if macs else ""
            cells.append(f" {cycles:,} | {busy} |")
        shape = (
            f"{layer.kind.value} {layer.kernel}x{layer.kernel}/{layer.stride} {c}x{y}x{x} to {k}x{oy}x{ox}"
        )
        lines.append(f"| {names} | {shape} |{''.join(cells)}")
    cells = "".join(
        f" {sum(x.cycles for x in c.layers[:-1] if x.macs):,} | {c.convolutions:.1%} |" for c in found
    )
    lines.append(f"| **all convolutions** | |{cells}")
    return [*lines, f"| **all layers** | |{''.join(f' {c.cycles:,} | |' for c in found)}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--network", choices=sorted(NETWORKS), default="resnet50")
    parser.add_argument("--array", action="append", help="rows x cols x lanes; repeat for several")
    parser.add_argument("--bits", type=int, default=4)
    parser.add_argument("--edge-bits", type=int, default=8, help="of the first and the last layer")
    parser.add_argument("--requantisers", type=int, default=0, help="of the core; 0: one a column")
    parser.add_argument("--depthwise", choices=[way.value for way in Depthwise], default="diagonal")
    parser.add_argument("--layers", action="store_true")
    options = parser.parse_args()
    network = NETWORKS[options.network](options.bits, options.edge_bits)
    core = {"requantisers": options.requantisers, "depthwise": Depthwise(options.depthwise)}
    arrays = options.array or ["8x8x16", "16x16x1"]
    found = [compiled_for(network, shape, options.bits, **core) for shape in arrays]
    print("\n".join(table(network, found, options.layers)))
    for shape, compiled in zip(arrays, found, strict=True):
        core = compiled.core
        sizes = {name: getattr(core, name) for name in core.to_json() if name.endswith("_words")}
        print(f"\n{shape}: {sizes}, sums of {core.sum_bits} bits")


if __name__ == "__main__":
    main()
