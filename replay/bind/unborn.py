"""Tasks that appear though they were never forked: a sign that lines of the log are missing, where nothing marks it.

Pids are handed out upwards (kernel/pid.c: alloc_pid, idr_alloc_cyclic). Where forks are in the log (task_newtask), a task that
none of them made, with a pid above all of theirs so far and below all later ones, was forked between the two. Pids may have
come round since the machine started, and then it may be an old one; but then forks with lower pids come behind it.
"""

from __future__ import annotations

_MOST = 4096
"""Pids that are kept: so many show it as well as more would."""
_AT_ONCE = 64
"""Forks side by side: who was given the lower pid may be the later in the log."""


class Unborn:
    """The tasks of one log that none of its forks made, with pids that were to come; and when each was met."""

    def __init__(self) -> None:
        """No fork was seen."""
        self._newest = 0
        self._seen: dict[int, int | None] = {}

    def forked(self, pid: int) -> None:
        """task_newtask: `pid` is a new task."""
        self._newest = max(self._newest, pid)
        if self._seen:
            self._seen.pop(pid, None)
            for old in [one for one in self._seen if one > pid + _AT_ONCE]:
                del self._seen[old]

    def appears(self, pid: int, ts: int | None) -> None:
        """`pid` is met for the first time, and not as a new task."""
        if 0 < self._newest < pid and len(self._seen) < _MOST:
            self._seen[pid] = ts

    def count(self, since: int, until: int) -> int:
        """How many were forked unseen, and met between two times."""
        return sum(pid < self._newest and ts is not None and since < ts < until for pid, ts in self._seen.items())
