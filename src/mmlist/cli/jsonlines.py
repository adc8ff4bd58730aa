"""One JSON object a line, plain ASCII: bytes that are not UTF-8 are surrogate escapes (`\\udcff`)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec

SCHEMA_VERSION = 1
"""The version of every JSON object that the command prints: raised when a key goes or changes its meaning."""


def line(kind: str, values: Mapping[str, Any]) -> str:
    """An object of that kind, its values as given; structs become objects, bytes text."""
    return json.dumps({"kind": kind, "schema_version": SCHEMA_VERSION, **values}, default=_plain)


def _plain(value: object) -> object:
    if isinstance(value, msgspec.Struct):
        return msgspec.structs.asdict(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    raise TypeError(f"cannot be JSON: {type(value).__name__}")
