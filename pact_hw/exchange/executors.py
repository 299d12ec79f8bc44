"""The tools' own executors: what every tensor of a model is for an input."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import ToolError
from .files import Model
from .packages import package
from .tensors import Array

Run = Callable[[Array], dict[str, Array]]

_DTYPES = {1: np.float32, 2: np.uint8, 3: np.int8, 4: np.uint16, 5: np.int16}


def executor(model: Model, wanted: Sequence[str]) -> tuple[str, Run]:
    """The name of the executor, and a function from one batch of inputs to the tensors ``wanted``."""
    return ("qonnx", _qonnx(model, wanted)) if model.qonnx else ("onnxruntime", _onnxruntime(model, wanted))


def batch(model: Model, values: Array) -> Array:
    """``values`` (images x C x Y x X) in the shape and type of the model's input."""
    return values.reshape(len(values), *model.shape).astype(_DTYPES[model.input_type])


def _qonnx(model: Model, wanted: Sequence[str]) -> Run:
    wrapper = package("qonnx.core.modelwrapper").ModelWrapper
    execute = package("qonnx.core.onnx_exec").execute_onnx
    infer = package("qonnx.transformation.infer_shapes").InferShapes()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            wrapped = wrapper(_fixed(model)).transform(infer)
    except Exception as error:
        raise ToolError(f"qonnx cannot prepare the model: {_line(error)}") from None

    def run(inputs: Array) -> dict[str, Array]:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                context = execute(wrapped, {model.input: inputs}, return_full_exec_context=True)
        except Exception as error:
            raise ToolError(f"qonnx cannot run the model: {_line(error)}") from None
        return {name: context[name] for name in wanted}

    return run


def _onnxruntime(model: Model, wanted: Sequence[str]) -> Run:
    onnx, runtime = package("onnx"), package("onnxruntime")
    proto = _fixed(model)
    shown = {value.name for value in proto.graph.output}
    for name in wanted:
        if name not in shown and name != model.input:
            proto.graph.output.append(onnx.ValueInfoProto(name=name))
    options = runtime.SessionOptions()
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    try:
        session = runtime.InferenceSession(
            proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        raise ToolError(f"onnxruntime cannot load the model: {_line(error)}") from None
    names = [name for name in wanted if name != model.input]

    def run(inputs: Array) -> dict[str, Array]:
        try:
            return {
                **dict(zip(names, session.run(names, {model.input: inputs}), strict=True)),
                model.input: inputs,
            }
        except Exception as error:
            raise ToolError(f"onnxruntime cannot run the model: {_line(error)}") from None

    return run


def _fixed(model: Model) -> Any:
    """A copy of the model with a batch of 1 where none is fixed."""
    proto = copy.deepcopy(model.proto)
    for value in (*proto.graph.input, *proto.graph.output):
        dims = value.type.tensor_type.shape.dim
        if value.name in (model.input, model.output) and dims and dims[0].dim_value < 1:
            dims[0].dim_value = 1
    logging.getLogger("onnxscript").setLevel(logging.ERROR)
    return proto


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
