"""Libraries that only exploration needs: they come with ``pip install 'pact-hw[explore]'``."""

from __future__ import annotations

import importlib
from typing import Any

from pact_hw.errors import InputError


def extra(name: str) -> Any:
    """The module ``name``.

    Raises:
        InputError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise InputError(f"pact-hw explore needs {error.name}: pip install 'pact-hw[explore]'") from None
