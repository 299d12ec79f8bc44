"""Time and cycles of this model beside SCALE-Sim and ZigZag, where they are installed.

    python -m venv peers && peers/bin/pip install 'numpy<2.4' scalesim zigzag-dse six matplotlib
    PYTHONPATH=. peers/bin/python benchmarks/peers.py --layers 8

SCALE-Sim 3.0.0 does not run with NumPy 2.4, and ZigZag 3.9.1 needs six without saying so: hence a virtual
environment of their own. A tool that is not there is named and left out.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import importlib.util
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from analysis.peers import SCALE_SIM, weight_stationary_cycles
from analysis.performance import System, evaluate
from analysis.workloads import resnet18, resnet50

SIZE = 32
CONFIG = f"""[general]
run_name = peers
[architecture_presets]
ArrayHeight: {SIZE}
ArrayWidth: {SIZE}
IfmapSramSzkB: 1024
FilterSramSzkB: 1024
OfmapSramSzkB: 1024
IfmapOffset: 0
FilterOffset: 10000000
OfmapOffset: 20000000
Dataflow: ws
Bandwidth: 32
ReadRequestBuffer: 64
WriteRequestBuffer: 64
[layout]
IfmapCustomLayout: False
IfmapSRAMBankBandwidth: 10
IfmapSRAMBankNum: 10
IfmapSRAMBankPort: 2
FilterCustomLayout: False
FilterSRAMBankBandwidth: 10
FilterSRAMBankNum: 10
FilterSRAMBankPort: 2
[sparsity]
SparsitySupport: false
SparseRep: ellpack_block
OptimizedMapping: false
BlockSize: 8
RandomNumberGeneratorSeed: 40
[run_presets]
InterfaceBandwidth: CALC
UseRamulatorTrace: False
"""


def ours(designs: int) -> None:
    rng = np.random.default_rng(0)
    system = System(
        bits=rng.choice([2, 4, 8, 16], designs),
        cores=rng.integers(1, 65, designs),
        bandwidth_bytes_per_s=rng.uniform(8e9, 512e9, designs),
        memory_bytes=rng.uniform(2e6, 64e6, designs),
    )
    workload = resnet50()
    evaluate(workload, system.part(slice(10)))
    start = time.perf_counter()
    evaluate(workload, system)
    seconds = time.perf_counter() - start
    per_second = designs * len(workload.layers) / seconds
    print(
        f"pact-hw: ResNet-50 x {designs} designs in {seconds:.2f} s: {1e3 * seconds / designs:.3f} ms a "
        f"network and design, {per_second:,.0f} layer-designs a second"
    )


def scale_sim(layers: int) -> None:
    if importlib.util.find_spec("scalesim") is None:
        print("SCALE-Sim: not installed (scalesim)")
        return
    from scalesim.scale_sim import scalesim

    workload = resnet18()
    workload = replace(workload, layers=workload.layers[-layers:])
    with tempfile.TemporaryDirectory() as folder:
        config, topology, layout = (
            Path(folder) / name for name in ("peers.cfg", "network.csv", "layout.csv")
        )
        config.write_text(CONFIG)
        lines = ["Layer,M,N,K,"] + [
            f"{layer.name},{layer.out_pixels},{layer.out_channels},{layer.reduction},"
            for layer in workload.layers
        ]
        topology.write_text("\n".join(lines) + "\n")
        # It reads a layout of operands in memory even where it does not use one.
        layout.write_text(
            "".join([f"layer{',1' * 24},\n", *(f"{x.name}{',1' * 24},\n" for x in workload.layers)])
        )
        start = time.perf_counter()
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            run = scalesim(
                save_disk_space=True,
                verbose=False,
                config=str(config),
                topology=str(topology),
                layout=str(layout),
                input_type_gemm=True,
            )
            run.run_scale(top_path=folder)
        seconds = time.perf_counter() - start
        report = next(Path(folder).rglob("COMPUTE_REPORT.csv"))
        with report.open() as file:
            found = [int(float(row["Total Cycles"])) for row in csv.DictReader(file, skipinitialspace=True)]
    expected = weight_stationary_cycles(workload.columns, SIZE, SIZE, SCALE_SIM)
    print(f"SCALE-Sim: the last {layers} layers of ResNet-18 on one design in {seconds:.1f} s")
    for layer, theirs, form in zip(workload.layers, found, expected, strict=True):
        print(
            f"  {layer.name:14s} {theirs:9d} cycles, closed form {form:9.0f}, apart {theirs / form - 1:+.2%}"
        )


def zigzag() -> None:
    if importlib.util.find_spec("zigzag") is None:
        print("ZigZag: not installed (zigzag-dse)")
        return
    import zigzag.api

    inputs = Path(zigzag.api.__file__).parent / "inputs"
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
            zigzag.api.get_hardware_performance_zigzag(
                str(inputs / "workload" / "resnet18.onnx"),
                str(inputs / "hardware" / "tpu_like.yaml"),
                str(inputs / "mapping" / "tpu_like.yaml"),
                dump_folder=folder,
                loma_show_progress_bar=False,
            )
        print(f"ZigZag: ResNet-18 on one design (its tpu_like) in {time.perf_counter() - start:.1f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--designs", type=int, default=10_000)
    parser.add_argument("--layers", type=int, default=4, help="of ResNet-18 in SCALE-Sim, from its end")
    arguments = parser.parse_args()
    ours(arguments.designs)
    scale_sim(arguments.layers)
    zigzag()


if __name__ == "__main__":
    main()
