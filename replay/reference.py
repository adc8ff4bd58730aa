"""Lines as Lark itself reads them, one after the other: the definition that the compiled expressions are held against.

Slower; `mmlist replay --no-fast` asks for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmlist import grammars
from mmlist.replay.dialect import Dialect, grammar


class Read:
    """One line, with what the parser asks of a match of `Dialect.scan`."""

    def __init__(self, line: bytes, start: int, parts: dict[str, bytes] | None) -> None:
        """`line` with its newline, at `start` in the block; `parts` by the names of terminals, None if it was refused."""
        self._line = line
        self._start = start
        self._parts = parts

    def __getitem__(self, group: int | str) -> Any:
        """The line for 0; for `absent` (by name or number) None if the line was read, as the group of a match."""
        if group == 0:
            return self._line
        return None if self._parts is not None else b""

    def start(self) -> int:
        """Where it begins in the block."""
        return self._start

    def end(self) -> int:
        """Where the next one begins."""
        return self._start + len(self._line)

    def groupdict(self) -> dict[str, bytes | None]:
        """The parts."""
        return dict(self._parts or {})


def lines(dialect: Dialect, data: bytes, start: int) -> Iterator[Read]:
    """The lines of a block from `start` on, each read by the grammar of `dialect`."""
    read = grammar(dialect.name)
    while start < len(data):
        end = data.index(b"\n", start) + 1
        try:
            parts = read.parse(data[start : end - 1])
        except grammars.Refused:
            yield Read(data[start:end], start, None)
        else:
            yield Read(data[start:end], start, parts)
        start = end
