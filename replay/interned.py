"""Memories of the parser's hot loop: what was read once is not read again. Both are bounded."""

from __future__ import annotations

from sys import intern

_KEPT = 1 << 16


class Numbers(dict[bytes, int]):
    """Remembers the integers that were read."""

    def __missing__(self, text: bytes) -> int:
        if len(self) > _KEPT:
            self.clear()
        number = self[text] = int(text)
        return number


class Names(dict[bytes, str | None]):
    """Name as printed -> interned; None for a name that nobody asked for."""

    def __init__(self, wanted: frozenset[str] | None) -> None:
        """`wanted`: the names asked for, None for all."""
        super().__init__()
        self._wanted = wanted

    def __missing__(self, name: bytes) -> str | None:
        if len(self) > _KEPT:
            self.clear()
        text = intern(name.decode("latin-1"))
        self[name] = found = text if self._wanted is None or text in self._wanted else None
        return found
