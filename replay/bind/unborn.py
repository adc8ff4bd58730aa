"""Tasks that appear though they were never forked: a sign that lines of the log are missing, where nothing marks it.

Pids are handed out upwards (kernel/pid.c: alloc_pid, idr_alloc_cyclic). Where forks are in the log (task_newtask), a task that
none of them made, with a pid above all of theirs so far and below a later one's, was forked between the two. Only where
pids have come round since the machine started may it be an old one; then others are old that are above them all.
"""

from __future__ import annotations

_MOST = 4096
"""Pids that are kept: so many show it as well as more would."""


class Unborn:
    """The tasks of one log that none of its forks made, with pids that were to come."""

    def __init__(self) -> None:
        """No fork was seen."""
        self._newest = 0
        self._seen: set[int] = set()

    def forked(self, pid: int) -> None:
        """task_newtask: `pid` is a new task."""
        self._newest = max(self._newest, pid)
        self._seen.discard(pid)

    def appears(self, pid: int) -> None:
        """`pid` is met for the first time, and not as a new task."""
        if 0 < self._newest < pid and len(self._seen) < _MOST:
            self._seen.add(pid)

    @property
    def count(self) -> int:
        """How many were forked unseen; 0 if they may be old."""
        between = sum(pid < self._newest for pid in self._seen)
        return between if 2 * between > len(self._seen) else 0
