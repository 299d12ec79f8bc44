"""The table of docs/conversion.md: ResNet-20 in integers against itself in PyTorch, and how fast.

python benchmarks/conversion.py --init resnet20_cifar10_float.npz --data DIR --out DIR
"""

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from pact_hw.files import write_json
from pact_hw.qat.conversion.compare import compare, compare_float32
from pact_hw.qat.conversion.forward import IntegerNetwork
from pact_hw.qat.conversion.integers import to_integers
from pact_hw.qat.convert import summary
from pact_hw.qat.data import load
from pact_hw.qat.networks.parameters import load_parameters
from pact_hw.qat.prepare import prepare
from pact_hw.qat.quantised import Quantised

SAMPLE, BATCH = 500, 50


def timed(function):
    """Processor seconds; the machine may have other work."""
    start = time.process_time()
    function()
    return time.process_time() - start


def forward(model, images):
    with torch.inference_mode():
        for start in range(0, len(images), BATCH):
            model(torch.from_numpy(images[start : start + BATCH]))


def measure(made_of, init, sample, test):
    twin = made_of.float_network()
    load_parameters(twin, init)
    model = made_of.quantise(twin)
    prepare(model, sample)
    model = model.eval().double()
    start = time.process_time()
    converted = to_integers(model, name=made_of.network, input_shape=(3, 32, 32))
    seconds = time.process_time() - start
    result = compare(converted, model, test.levels, test.labels)
    found = summary(converted, result, asdict(made_of))
    found["float32"] = compare_float32(converted, model, test.levels)
    network = IntegerNetwork(converted.network, converted.tensors)
    twin.eval()
    times = [
        (timed(lambda: network.logits(test.levels, batch=BATCH)), timed(lambda: forward(twin, test.levels)))
        for _ in range(2)
    ]
    found["convert_seconds"] = round(seconds, 1)
    found["integer_seconds"], found["float_seconds"] = (round(min(t), 2) for t in zip(*times, strict=True))
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--init", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--bits", type=int, nargs="+", default=[2, 3, 4, 5, 8])
    parser.add_argument("--weights", nargs="+", default=["dorefa", "sawb"])
    parser.add_argument("--network", default="resnet20")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    training, test = load("cifar10", arguments.data, size=32)
    sample = torch.from_numpy(training.batch(np.arange(SAMPLE)).levels)
    test = test.batch(np.arange(arguments.images))
    for weights in arguments.weights:
        for bits in arguments.bits:
            made_of = Quantised(network=arguments.network, act_bits=bits, weight_bits=bits, weights=weights)
            found = measure(made_of, arguments.init, sample, test)
            write_json(arguments.out / f"{arguments.network}-{weights}-{bits}.json", found)
            shown = {k: v for k, v in found.items() if k != "layers" and not isinstance(v, dict)}
            print(
                json.dumps({**shown, "fallbacks": len(found["fallbacks"]), "float32": found["float32"]}),
                flush=True,
            )


if __name__ == "__main__":
    main()
