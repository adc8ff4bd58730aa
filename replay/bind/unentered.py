"""Calls that return though they never began: a sign that lines of the log are missing, where nothing marks it.

A task that has returned from a function before stood outside of it, so when it returns again it has entered again. Where the
log has such entries before and behind, the probe was there: who filtered, paused or cut the log took the line out, or a
buffer overran in a form that says nothing of it (perf script without --show-lost-events).
"""

from __future__ import annotations

import re
from functools import cache

from mmlist.replay.bind.task import Task
from mmlist.replay.record import At

_MOST = 64
"""Returns of one kind that wait for an entry, and returns that are kept: so many show it as well as more would."""
_EPROBE = re.compile(rb"\([A-Za-z_0-9]+\.[A-Za-z_0-9]+\)")
"""A tracepoint in place of a function (trace_eprobe.c): before 7.0 mmap.exit_mmap does not tell of an mm without VMAs."""


class Unentered:
    """The returns of one log without their entries."""

    def __init__(self, grain: int) -> None:
        """`grain`: times no further apart, in units of ts, have no order across CPUs."""
        self.grain = grain
        self.met: set[str] = set()
        self._silent: set[str] = set()
        self._waiting: dict[str, list[At]] = {}
        self._found: list[At] = []

    def count(self, since: int, until: int) -> int:
        """How many there are between two times."""
        return sum(at.ts is not None and since < at.ts < until for at in self._found)

    def meets(self, name: str, args: bytes) -> None:
        """A probe `name`, whose first payload is `args`."""
        if name not in self.met:
            self.met.add(name)
            if _EPROBE.match(args.lstrip(b" ")):
                self._silent.add(name)

    def closed(self, task: Task, kind: str) -> None:
        """`task` has left a function of `kind`: it is outside of it from here on."""
        if kind not in task.outside:
            task.outside = _with(task.outside, kind)

    def alone(self, task: Task, kind: str, at: At) -> None:
        """`task` leaves a function of `kind` at `at`, and no entry is open. That probe may have been taken off since."""
        if kind in task.outside and at.pid and kind not in self._silent:
            waiting = self._waiting.setdefault(kind, [])
            if len(waiting) < _MOST:
                waiting.append(at)

    def entered(self, kind: str, at: At) -> None:
        """An entry of `kind`: the probe is there still. It may be the very one, if the clock put it behind its return."""
        waiting = self._waiting.pop(kind, None)
        if waiting is None:
            return
        tied = [one for one in waiting if self._tied(one, at)]
        self._found += [one for one in waiting if one not in tied][: _MOST - len(self._found)]
        if others := [one for one in tied if one.pid != at.pid]:
            self._waiting[kind] = others

    def _tied(self, one: At, other: At) -> bool:
        if one.ts is None or other.ts is None:
            return True
        return abs(other.ts - one.ts) <= self.grain


@cache
def _with(kinds: frozenset[str], kind: str) -> frozenset[str]:
    """One set for all tasks that were seen outside of the same functions."""
    return kinds | {kind}
