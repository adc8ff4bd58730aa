"""Which fields each event of ours has: asked of its handlers, which are the only ones to know.

A handler is called with fields that answer to any name and note it. What it asks for depends on what it gets, and on
what else the log carries, so it is called with several answers and its questions are put together.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from itertools import product
from typing import Any

from mmlist.replay.bind.explicit import NAMES as EXPLICIT
from mmlist.replay.bind.explicit import Explicit
from mmlist.replay.bind.probes import NAMES as PROBES
from mmlist.replay.bind.probes import Probes
from mmlist.replay.bind.task import Tasks
from mmlist.replay.bind.unentered import Unentered
from mmlist.replay.bind.values import Reader
from mmlist.replay.record import At

INUSE = "inuse"
"""What the fields `inuse0`, `inuse1`, ... begin with: one an area, as many as there are."""


class _Asked(dict[str, bytes]):
    """Fields that have any name, with one value, and note what was asked for."""

    def __init__(self, value: bytes) -> None:
        super().__init__()
        self._value = value

    def get(self, name: str, default: Any = None) -> Any:
        return self[name] if name in self else default  # noqa: SIM401 - it has what is missing

    def __contains__(self, name: object) -> bool:
        return not (isinstance(name, str) and name.startswith(INUSE) and name > INUSE + "1")

    def __missing__(self, name: str) -> bytes:
        self[name] = self._value
        return self._value


@functools.cache
def fields_of(name: str, *, explicit: bool) -> tuple[str, ...]:
    """The fields that are read of the event `name`, as an event of layer A or else as a probe; none if it has no such."""
    asked: dict[str, None] = {}
    for value, rare in product((b"1", b"0"), (False, True)):
        fields = _Asked(value)
        handler = _handler(name, explicit, rare)
        if handler is not None:
            handler(At(1, 0, 1, 0, 1, b""), fields, [])
        asked |= dict.fromkeys(fields)
    if not (asked or explicit) and name in PROBES and name.endswith("_ret"):
        asked["ret"] = None  # asked for only where the entry was seen
    return tuple(asked)


def _handler(name: str, explicit: bool, rare: bool) -> Callable[..., None] | None:
    reader, tasks = Reader(None), Tasks()
    made: Explicit | Probes = Explicit(reader, tasks, aio_names=rare)
    if not explicit:
        names = frozenset() if rare else PROBES | EXPLICIT
        made = Probes(reader, tasks, names, Unentered(-1), assigns=False, clears=False, unuse_clears=False)
    handler: Callable[..., None] | None = getattr(made, "on_" + name, None)
    return handler
