"""The optional packages, loaded when they are needed."""

from __future__ import annotations

import importlib
from types import ModuleType

from ..errors import InputError


def package(name: str) -> ModuleType:
    """The module ``name`` of onnx, onnxruntime or qonnx.

    Raises:
        InputError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        missing = name.split(".")[0]
        raise InputError(
            f"this needs the Python package {missing!r}: pip install 'pact-hw[onnx]' ({error})"
        ) from None
