"""Canonical JSON, digests, and sealed documents.

A *sealed* document is a JSON object with two extra members: ``schema``, the version of the layout,
and ``digest``, the SHA-256 of the canonical JSON of everything else. It shows whether a file is
still what was written.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from ..errors import InputError

SCHEMA_VERSION = 1


def canonical_json(value: object) -> str:
    """``value`` as JSON with sorted keys and no white space: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(value: object) -> str:
    """SHA-256, in hexadecimal, of the canonical JSON of ``value``."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def seal(body: Mapping[str, Any]) -> dict[str, Any]:
    """``body`` with ``schema`` and ``digest`` added."""
    stated = {**body, "schema": SCHEMA_VERSION}
    return {**stated, "digest": digest(stated)}


def unseal(document: object, *, name: str) -> dict[str, Any]:
    """The body of a sealed document.

    Raises:
        InputError: it is not an object, has another schema version, or was changed after it was
            sealed. ``name`` says which file, for the message.
    """
    if not isinstance(document, dict):
        raise InputError(f"{name}: expected a JSON object, got {type(document).__name__}")
    body = {key: value for key, value in document.items() if key != "digest"}
    if body.get("schema") != SCHEMA_VERSION:
        raise InputError(f"{name}: schema {body.get('schema')!r} is not supported, expected {SCHEMA_VERSION}")
    actual = digest(body)
    if document.get("digest") != actual:
        raise InputError(
            f"{name}: its digest {str(document.get('digest'))[:12]!r} does not match its content "
            f"({actual[:12]}...): it was edited or damaged; generate it again"
        )
    del body["schema"]
    return body
