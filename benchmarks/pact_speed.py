"""What PACT costs: forward and backward of a 4-bit ResNet-20 against its float twin.

    python benchmarks/pact_speed.py --out pact_speed.json

Every setting (eager or compiled, threads) has a process of its own. In it the variants take turns,
step by step, and the ratio to the float twin is taken within each turn, so that a machine that is
busy now and then disturbs all of them alike; the median over the turns is reported. With one thread
the processor's own time of the process is given too (``cpu``), which other programs disturb less.

Peak memory is that of one eager step beyond what the process held before it (Linux only). Brevitas'
nearest equivalent (QuantConv2d, QuantReLU with a learned scale) is measured where it is installed.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import platform
import statistics
import subprocess
import sys
import time
import warnings
from pathlib import Path

import torch
from torch import nn

from pact_hw.qat.networks import float_network
from pact_hw.qat.pact import PACT
from pact_hw.qat.quantise import quantise
from pact_hw.qat.sawb import SAWB

BITS = 4


def brevitas_twin(model: nn.Module) -> nn.Module | None:
    """The float model with Brevitas' layers, or None where it is not installed."""
    try:
        import brevitas.nn as qnn
        from brevitas.quant import Int8WeightPerTensorFloat, Uint8ActPerTensorFloatMaxInit
    except ImportError:
        return None
    quantised = quantise(model, BITS, BITS)  # which layers have which widths
    for path, module in list(quantised.named_modules()):
        if isinstance(module, PACT):
            act = {"act_quant": Uint8ActPerTensorFloatMaxInit, "max_val": 10.0, "bit_width": module.bits}
            quantised.set_submodule(path, qnn.QuantReLU(**act))
        elif isinstance(module, nn.Conv2d | nn.Linear):
            bits = module.weight_quantiser.bits
            options = {"weight_quant": Int8WeightPerTensorFloat, "weight_bit_width": bits}
            if isinstance(module, nn.Conv2d):
                shape = (module.in_channels, module.out_channels, module.kernel_size)
                options |= {"stride": module.stride, "padding": module.padding, "bias": False}
                quantised.set_submodule(path, qnn.QuantConv2d(*shape, **options))
            else:
                shape = (module.in_features, module.out_features)
                quantised.set_submodule(path, qnn.QuantLinear(*shape, bias=True, **options))
    return quantised


def variants(seed: int) -> dict[str, nn.Module]:
    model = float_network("resnet20", seed)
    models = {
        "float": copy.deepcopy(model),
        "pact_dorefa": quantise(model, BITS, BITS),
        "pact_sawb": quantise(model, BITS, BITS, weights=SAWB),
    }
    if (twin := brevitas_twin(model)) is not None:
        models["brevitas"] = twin
    return {name: model.train() for name, model in models.items()}


def data(seed: int, batch: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (batch, 3, 32, 32), dtype=torch.uint8, generator=generator)
    return images, torch.randint(0, 10, (batch,), generator=generator)


def step(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> tuple[float, float]:
    """Seconds of the wall's and of the processor's clock for forward and backward."""
    model.zero_grad(set_to_none=True)
    wall, cpu = time.perf_counter(), time.process_time()
    nn.functional.cross_entropy(model(images), labels).backward()
    return time.perf_counter() - wall, time.process_time() - cpu


def measure(mode: str, threads: int, turns: int, seed: int, batch: int) -> dict[str, object]:
    torch.set_num_threads(threads)
    models = variants(seed)
    if mode == "compiled":
        models = {name: torch.compile(model) for name, model in models.items()}
    images, labels = data(seed, batch)
    failed = {}
    for name, model in list(models.items()):
        try:
            for _ in range(2):
                step(model, images, labels)
        except Exception as error:
            failed[name] = f"{type(error).__name__}: {str(error).splitlines()[0]}"
            del models[name]
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in models}
    for _ in range(turns):
        for name, model in models.items():
            times[name].append(step(model, images, labels))
    result = {}
    for name, own in times.items():
        pairs = list(zip(own, times["float"], strict=True))
        result[name] = {
            "seconds": round(statistics.median(wall for wall, _ in own), 4),
            "ratio": round(statistics.median(a[0] / b[0] for a, b in pairs), 3),
        }
        if threads == 1:
            result[name]["cpu_seconds"] = round(statistics.median(cpu for _, cpu in own), 4)
            result[name]["cpu_ratio"] = round(statistics.median(a[1] / b[1] for a, b in pairs), 3)
    return {"mode": mode, "threads": threads, "turns": turns, "variants": result, "failed": failed}


def _status(field: str) -> int:
    """A member of /proc/self/status in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(field)).split()[1])


def peak_memory(name: str, seed: int, batch: int) -> dict[str, object] | None:
    """Bytes that one eager step of a variant needs at most, gradients included."""
    if not Path("/proc/self/clear_refs").exists():
        return None
    torch.set_num_threads(1)
    model, (images, labels) = variants(seed).get(name), data(seed, batch)
    if model is None:
        return None
    step(model, images[:2], labels[:2])  # libraries and their buffers are loaded
    model.zero_grad(set_to_none=True)
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before = _status("VmRSS")
    step(model, images, labels)
    return {"variant": name, "peak_bytes": _status("VmHWM") - before}


def child(*arguments: str) -> object:
    """What a process of its own says about one setting."""
    command = [sys.executable, "-W", "ignore", __file__, *arguments]
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(out.splitlines()[-1])


def versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "torch": torch.__version__, "machine": platform.machine()}
    try:
        from importlib.metadata import version

        found["brevitas"] = version("brevitas")
    except ImportError:
        pass
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--modes", nargs="+", default=["eager", "compiled"], choices=["eager", "compiled"])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("pact_speed.json"))
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    seed, batch = arguments.seed, arguments.batch
    if arguments.memory_of:
        print(json.dumps(peak_memory(arguments.memory_of, seed, batch)))
        return
    if arguments.here:
        warnings.simplefilter("ignore")
        print(json.dumps(measure(arguments.modes[0], arguments.threads[0], arguments.turns, seed, batch)))
        return
    common = ["--seed", str(seed), "--batch", str(batch)]
    settings = [(mode, threads) for mode in arguments.modes for threads in arguments.threads]
    speed = []
    for mode, threads in settings:
        options = ["--modes", mode, "--threads", str(threads), "--turns", str(arguments.turns)]
        speed.append(child("--here", *options, *common))
        print(json.dumps(speed[-1]), flush=True)
    names = ["float", "pact_dorefa", "pact_sawb", "brevitas"]
    memory = [child("--memory-of", name, *common) for name in names]
    report = {
        "network": "resnet20", "bits": BITS, "batch": batch, "seed": seed, "versions": versions(),
        "load_average": os.getloadavg(), "speed": speed, "memory": [m for m in memory if m],
    }  # fmt: skip
    arguments.out.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report["memory"]))


if __name__ == "__main__":
    main()
