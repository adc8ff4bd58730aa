"""Calls that return though they never began: a sign that lines of the log are missing, where nothing marks it.

A task that has returned from a function before stood outside of it, so when it returns again it has entered again. Where the
log has such entries before and behind, the probe was there: who filtered, paused or cut the log took the line out, or a
buffer overran in a form that says nothing of it (perf script without --show-lost-events).
"""

from __future__ import annotations

from functools import cache

from mmlist.replay.bind.task import Task
from mmlist.replay.record import At


class Unentered:
    """The returns of one log without their entries; `count` of those that prove to be so."""

    def __init__(self, grain: int) -> None:
        """`grain`: times no further apart, in units of ts, have no order across CPUs."""
        self.count = 0
        self._grain = grain
        self._waiting: dict[str, list[At]] = {}

    def closed(self, task: Task, kind: str) -> None:
        """`task` has left a function of `kind`: it is outside of it from here on."""
        if kind not in task.outside:
            task.outside = _with(task.outside, kind)

    def alone(self, task: Task, kind: str, at: At) -> None:
        """`task` leaves a function of `kind` at `at`, and no entry is open. That probe may have been taken off since."""
        if kind in task.outside and at.pid:
            self._waiting.setdefault(kind, []).append(at)

    def entered(self, kind: str, at: At) -> None:
        """An entry of `kind`: the probe is there still. It may be the very one, if the clock put it behind its return."""
        waiting = self._waiting.pop(kind, None)
        if waiting is not None:
            self.count += sum(one.pid != at.pid or not self._tied(one, at) for one in waiting)

    def _tied(self, one: At, other: At) -> bool:
        if one.ts is None or other.ts is None:
            return True
        return one.cpu != other.cpu and abs(other.ts - one.ts) <= self._grain


@cache
def _with(kinds: frozenset[str], kind: str) -> frozenset[str]:
    """One set for all tasks that were seen outside of the same functions."""
    return kinds | {kind}
