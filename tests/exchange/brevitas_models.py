"""Networks in Brevitas, exported by it: run as a script, writes the files in data/.

Made with brevitas 0.13.4, onnx 1.23.2 and torch 2.13.0. Notes on what was traced (stack traces,
paths) are removed; nodes and constants are as Brevitas wrote them.
"""

import sys
import warnings
from pathlib import Path

import brevitas.nn as qnn
import onnx
import torch
from brevitas.export import export_qonnx
from brevitas.quant import SignedBinaryActPerTensorConst, SignedBinaryWeightPerTensorConst
from torch import nn


class Block(nn.Module):
    """A residual block; its add has two differently scaled operands."""

    def __init__(self, c, k, stride, bits):
        super().__init__()
        conv = {"bias": False, "weight_bit_width": bits}
        self.c1 = qnn.QuantConv2d(c, k, 3, stride=stride, padding=1, **conv)
        self.b1, self.r1 = nn.BatchNorm2d(k), qnn.QuantReLU(bit_width=bits, return_quant_tensor=True)
        self.c2, self.b2 = qnn.QuantConv2d(k, k, 3, padding=1, **conv), nn.BatchNorm2d(k)
        self.main, self.side = qnn.QuantIdentity(bit_width=8), nn.Identity()
        if stride > 1:
            short = qnn.QuantConv2d(c, k, 1, stride=stride, **conv)
            self.side = nn.Sequential(short, nn.BatchNorm2d(k), qnn.QuantIdentity(bit_width=8))
        self.r2 = qnn.QuantReLU(bit_width=bits)

    def forward(self, x):
        return self.r2(self.main(self.b2(self.c2(self.r1(self.b1(self.c1(x)))))) + self.side(x))


def residual(bits=4):
    """Two blocks behind a first layer of 8 bits, average pooling, a last layer of 8 bits with bias."""
    return nn.Sequential(
        qnn.QuantIdentity(bit_width=8, return_quant_tensor=True),
        qnn.QuantConv2d(3, 4, 3, padding=1, bias=False, weight_bit_width=8),
        nn.BatchNorm2d(4),
        qnn.QuantReLU(bit_width=bits),
        Block(4, 4, 1, bits),
        Block(4, 8, 2, bits),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        qnn.QuantLinear(8, 10, bias=True, weight_bit_width=8),
    )


def binary():
    """Signs as activations and as weights."""
    return nn.Sequential(
        qnn.QuantIdentity(bit_width=8, return_quant_tensor=True),
        qnn.QuantConv2d(3, 8, 3, padding=1, bias=False, weight_bit_width=8),
        nn.BatchNorm2d(8),
        qnn.QuantIdentity(act_quant=SignedBinaryActPerTensorConst, return_quant_tensor=True),
        qnn.QuantConv2d(8, 8, 3, padding=1, bias=False, weight_quant=SignedBinaryWeightPerTensorConst),
        nn.BatchNorm2d(8),
        qnn.QuantReLU(bit_width=2, return_quant_tensor=True),
        nn.MaxPool2d(2),
        nn.Flatten(),
        qnn.QuantLinear(8 * 16, 10, bias=False, weight_bit_width=4),
    )


NETWORKS = {"residual": residual, "binary": binary}


def export(name, path):
    """Calibrate ``name`` on random images and let Brevitas write it to ``path``."""
    torch.manual_seed(0)
    model = NETWORKS[name]()
    for _ in range(5):
        model(torch.randn(16, 3, 8, 8))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        export_qonnx(model.eval(), torch.randn(1, 3, 8, 8), str(path))
    written = onnx.load(path)
    del written.metadata_props[:], written.graph.metadata_props[:], written.graph.value_info[:]
    written.doc_string = written.graph.doc_string = ""
    graph = written.graph
    for part in (*graph.node, *graph.input, *graph.output, *graph.initializer):
        part.doc_string = ""
        del part.metadata_props[:]
    path.write_bytes(written.SerializeToString())
    path.with_name(f"{path.name}.data").unlink(missing_ok=True)  # its content is in the file now


if __name__ == "__main__":
    for each in NETWORKS:
        export(each, Path(sys.argv[1]) / f"brevitas_{each}.onnx")
