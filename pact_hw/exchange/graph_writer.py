"""The pieces of a QONNX graph: nodes, constants, quantisers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..files import atomic_path
from ..spec import ActEncoding, ActFormat
from .packages import package
from .tensors import Array

DOMAIN = "qonnx.custom_op.general"
FLOAT, INT64, DOUBLE = 1, 7, 11
"""ONNX's numbers of float32, int64 and float64."""


class GraphWriter:
    """Collects the nodes and constants of one model; values are called by the nodes that give them."""

    def __init__(self) -> None:
        self.onnx = package("onnx")
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}

    def node(self, op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Append a node of the name of its output, which is returned."""
        domain = attributes.pop("domain", "")
        self.nodes.append(
            self.onnx.helper.make_node(op, inputs, [output], name=output, domain=domain, **attributes)
        )
        return output

    def constant(self, name: str, values: Any, dtype: Any = np.float32) -> str:
        """A constant of this name; one of the same name has the same values."""
        array: Array = np.ascontiguousarray(values).astype(dtype).reshape(np.shape(values))
        self.constants[name] = self.onnx.numpy_helper.from_array(array, name)
        return name

    def quant(
        self, source: str, output: str, act: ActFormat, rounding: str = "ROUND", scale: float = 1.0
    ) -> str:
        """``Quant`` to the levels of ``act``, each worth ``scale``."""
        worth = self.constant("one" if scale == 1 else f"{output}_scale", scale)
        inputs = [source, worth, self.constant("zero", 0.0)]
        inputs.append(self.constant(f"bits_{act.bits}", float(act.bits)))
        return self.node(
            "Quant",
            inputs,
            output,
            domain=DOMAIN,
            signed=int(not act.unsigned),
            narrow=int(act.encoding is ActEncoding.SYMMETRIC),
            rounding_mode=rounding,
        )

    def finish(
        self,
        source: tuple[str, Sequence[int]],
        result: tuple[str, Sequence[int]],
        facts: Mapping[str, str],
        *,
        wide: bool = False,
    ) -> Any:
        """The ModelProto from ``source`` to ``result``, names with shapes; ``wide``: a float64 one."""
        helper = self.onnx.helper
        name, shape = source
        last, sizes = result
        graph = helper.make_graph(
            self.nodes,
            "network",
            [helper.make_tensor_value_info(name, FLOAT, ["batch", *shape])],
            [helper.make_tensor_value_info(last, DOUBLE if wide else FLOAT, ["batch", *sizes])],
            list(self.constants.values()),
        )
        opsets = [helper.make_opsetid("", 13), helper.make_opsetid(DOMAIN, 1)]
        model = helper.make_model(
            graph, opset_imports=opsets, producer_name="pact-hw", producer_version=__version__, ir_version=8
        )
        helper.set_model_props(model, dict(facts))
        return model


def write_qonnx(path: Path, model: Any) -> None:
    """Write ``model`` atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(model.SerializeToString(deterministic=True))
