"""Tells which dialect a log is written in, by trying the grammars on its lines."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence

from mmlist import grammars

DIALECTS = ("trace_cmd", "tracefs", "perf_script")
"""The grammars of event lines, the stricter first: where two read as many lines, the earlier is meant."""


HOT = ("stamp", "cpu", "name", "task", "pid", "tgid", "flags", "args")
"""The groups of `Dialect.hot`."""


class Dialect:
    """One dialect's expressions: `line` reads one line, `reindented` one whose left blanks are not the kernel's.

    `scan` reads a block: each line is one match, newline included, whose group `stamp` is None where the line is no
    event line of this dialect. `hot` are the numbers of the groups HOT in it; what the dialect does not print is a group
    that is None in every event line.
    """

    def __init__(self, name: str) -> None:
        """`name`: that of its grammar."""
        expression = grammars.load(name).expression
        self.name = name
        self.line = grammars.compiled(expression)
        self.reindented = grammars.load(name, "reindented").pattern
        self.scan = grammars.compiled(rf"{expression}\n|(?P<absent>)[^\n]*\n")
        group = self.scan.groupindex
        self.hot = tuple(group.get(name, group["absent"]) for name in HOT)


@functools.cache
def dialect(name: str) -> Dialect:
    """The dialect `name`, compiled once."""
    return Dialect(name)


def tell(lines: Sequence[bytes], *, apart_from: Dialect | None = None) -> Dialect | None:
    """The dialect that reads most of `lines`, None if none reads any.

    Lines as printed count before re-indented ones, which do not count where another dialect than `apart_from` is sought.
    """
    best: tuple[int, int] = (0, 0)
    found: Dialect | None = None
    for candidate in map(dialect, DIALECTS):
        if candidate is apart_from:
            continue
        printed = sum(1 for line in lines if _fits(candidate.line.fullmatch(line)))
        moved = 0 if printed or apart_from else sum(1 for line in lines if candidate.reindented.fullmatch(line))
        if (printed, moved) > best:
            best, found = (printed, moved), candidate
    return found


def explain(name: str, text: bytes, *, reason: bool = True) -> tuple[int, str]:
    """Where (column, 1-based) and why the dialect `name` refuses a line: Lark's own words."""
    try:
        grammars.load(name).parse(text)
    except grammars.Refused as refused:
        return refused.column, f"expected {refused.expected}" if reason else refused.expected
    return 1, "expected context columns of one event" if reason else "one event"


def _fits(read: re.Match[bytes] | None) -> bool:
    """Whether a line was read, and its payload does not begin with the padding of another dialect."""
    return read is not None and not (read["args"] or b"").startswith(b"  ")
