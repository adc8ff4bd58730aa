"""The invariants, one file each: collected by walking this package, sorted by code."""

from __future__ import annotations

import importlib
import pkgutil
import re

import msgspec

from mmlist.replay.invariants.base import Finding, Invariant

_NOT_INVARIANTS = {"base"}


def collect() -> list[Invariant]:
    """All invariants, by code (B2, C1, ... S1). A module's docstring is its documentation."""
    found = []
    for module in pkgutil.iter_modules(__path__):
        if module.name not in _NOT_INVARIANTS:
            loaded = importlib.import_module(f"{__name__}.{module.name}")
            found.append(msgspec.structs.replace(loaded.INVARIANT, doc=loaded.__doc__ or ""))
    return sorted(found, key=lambda invariant: _order(invariant.code))


def _order(code: str) -> tuple[str, int]:
    match = re.fullmatch(r"([A-Z]+)(\d+)", code)
    assert match is not None, code
    return match[1], int(match[2])


__all__ = ["Finding", "Invariant", "collect"]
