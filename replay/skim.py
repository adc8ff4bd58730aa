"""What can be told of a log without parsing it: the names that stand in its text, and what our capture kit says of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping

from mmlist.grammars import stored
from mmlist.replay.beside import Beside
from mmlist.replay.bind import NAMES
from mmlist.replay.log import Block, Log
from mmlist.replay.parts import CAPTURE_HEADER

_HEADER_LINES = 200

_BEFORE = (b": ?", b"/\\* ", b"\\) {3}")
"""What stands before an event's name: the context columns' colon, a comment of function_graph, a --ts-diff."""
_NEEDLES = (b": ", b" /* ", b")   ")
_RAREST = (b":", b"*", b")")
"""A byte of each: a log without it is passed over at once."""
_NAMES = [re.compile(before + rb"([a-z_0-9]+): ") for before in _BEFORE]
_ANY_NAMES = [re.compile(before + rb"([A-Za-z_0-9]+): ") for before in _BEFORE]  # of a map


def capture_header(line: bytes) -> dict[str, object] | None:
    """The JSON object of a `# mmlist-capture: {...}` line, None if the line is none or cannot be read."""
    if not line.startswith(CAPTURE_HEADER):
        return None
    try:
        found = json.loads(line[len(CAPTURE_HEADER) :])
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def header_of(log: Log) -> dict[str, object]:
    """The last such line among the first ones of `log`; empty where there is none."""
    header: dict[str, object] = {}
    for number, _offset, line in log.lines():
        header = capture_header(line) or header
        if number > _HEADER_LINES:
            break
    return header


def names_in_text(blocks: Iterable[Block], aliases: Mapping[str, frozenset[str]] | None = None) -> frozenset[str]:
    """The names of ours that stand in the text where an event's name would: at least all that the log carries.

    `aliases`: the names of ours that a name in the text may be, where a map says so; None: each is itself.
    """
    if aliases is None:
        patterns, wanted = _NAMES, _THEMSELVES  # a log may hold other names without end
    else:
        patterns, wanted = _ANY_NAMES, {name.encode(): targets for name, targets in aliases.items()}
    found: set[bytes] = set()
    scanner = stored.scanner() if patterns is _NAMES else None

    def look(data: bytes) -> None:
        met: set[bytes] = set()
        looked = 0
        if scanner is not None:
            looked = 1 if scanner.skim(data, met) else len(patterns)
        for rarest, needle, pattern in zip(_RAREST[looked:], _NEEDLES[looked:], patterns[looked:], strict=True):
            if rarest in data and needle in data:  # a literal is found ten times as fast
                met.update(pattern.findall(data))
        found.update(wanted.keys() & met)

    beside = Beside(look)
    for block in blocks:
        beside.take(block.data)
    beside.done()
    return frozenset().union(*(wanted[name] for name in found))


_THEMSELVES = {name.encode(): frozenset({name}) for name in NAMES}
