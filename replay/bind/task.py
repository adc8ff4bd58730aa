"""What each task is in the middle of: the brackets between a probe on a function and the probe on its return."""

from __future__ import annotations

import msgspec

from mmlist.replay.bind.unborn import Unborn
from mmlist.replay.record import At


class Duplicate(msgspec.Struct):
    """A swap_duplicate inside a bracket: `entry` and the `nr - 1` after it, and where the call stands."""

    entry: int
    nr: int
    at: At


class Bracket(msgspec.Struct):
    """An entry probe whose return is still to come.

    `mm` is whose it is (dst for a copy), `src` a copy's parent, `pid` the task that get_task_mm asks about. `epoch` is
    the count of losses when it opened: after a loss nobody knows whether it is still open. `type` is the area that a walk
    empties.
    """

    kind: str
    at: At
    epoch: int
    mm: int | None = None
    src: int | None = None
    pid: int | None = None
    path: str | None = None
    type: int | None = None
    got: int | None = None
    duplicates: list[Duplicate] = []


class Task:
    """One task's open brackets and the little that must be kept between two of its lines.

    `outside`: the kinds of brackets that it was seen to leave (unentered.py).
    """

    __slots__ = ("brackets", "exec_mm", "last", "mm", "outside", "pending_duplicate", "pending_free")

    def __init__(self) -> None:
        """A task of which nothing is known."""
        self.brackets: list[Bracket] = []
        self.mm: int | None = None
        self.exec_mm: int | None = None
        self.outside: frozenset[str] = frozenset()
        self.pending_duplicate: Duplicate | None = None
        self.pending_free: tuple[int, int | None] | None = None
        self.last: tuple[str, int | None] = ("", None)

    def find(self, *kinds: str) -> Bracket | None:
        """The innermost open bracket of one of `kinds`."""
        for bracket in reversed(self.brackets):
            if bracket.kind in kinds:
                return bracket
        return None

    def pop(self, kind: str, at: At, grain: int) -> Bracket | None:
        """Close the innermost bracket of `kind` and all that was opened inside it; None if none is open.

        No function here calls itself: where the task has gone from one CPU to another within the clock's `grain`, its next
        entry may stand before its return, at `at`. Then it is the one before that ends.
        """
        brackets = self.brackets
        for index in range(len(brackets) - 1, -1, -1):
            found = brackets[index]
            if found.kind != kind:
                continue
            if (
                found.at.cpu != at.cpu
                and found.at.ts is not None
                and at.ts is not None
                and at.ts - found.at.ts <= grain
            ):
                for before in range(index - 1, -1, -1):
                    if brackets[before].kind == kind:
                        found = brackets[before]
                        del brackets[before:index]
                        return found
            del brackets[index:]
            return found
        return None

    def forget(self, epoch: int) -> None:
        """Drop the brackets opened before loss number `epoch`: their returns may be among what was lost."""
        if self.brackets and self.brackets[0].epoch != epoch:
            self.brackets = [bracket for bracket in self.brackets if bracket.epoch == epoch]
            self.pending_duplicate = None
            self.pending_free = None


_ENDED = 1024
"""Tasks whose exit was seen, of which lines may come still: from 6.16 on exit_mm comes behind it (kernel/exit.c: do_exit)."""


class Tasks:
    """All tasks by pid; the idle tasks, which share pid 0, by CPU. Of those that have exited, the last ones."""

    def __init__(self) -> None:
        """No task is known."""
        self._tasks: dict[int, Task] = {}
        self._ended: dict[int, Task] = {}
        self._at: At | None = None
        self._now = Task()  # that of `_at`: one line's task is asked for several times
        self.epoch = 0
        self.unborn = Unborn()

    def of(self, at: At) -> Task:
        """The task that `at` is on."""
        if at is self._at:
            return self._now
        key = at.pid or -1 - (at.cpu or 0)
        task = self._tasks.get(key)
        if task is None:
            task = self._tasks[key] = Task()
            self.unborn.appears(key, at.ts)
        if task.brackets:
            task.forget(self.epoch)
        self._at, self._now = at, task
        return task

    def by_pid(self, pid: int) -> Task:
        """The task `pid`, made if it was not known."""
        task = self._tasks.get(pid)
        if task is None:
            task = self._tasks[pid] = Task()
        return task

    def forked(self, pid: int) -> Task:
        """Task `pid` is new; whoever had the pid before is gone."""
        self.drop(pid)
        self.unborn.forked(pid)
        return self.by_pid(pid)

    def ended(self, pid: int) -> None:
        """Task `pid` exits."""
        task = self._tasks.get(pid)
        if task is None:
            return
        self._ended.pop(pid, None)
        self._ended[pid] = task
        if len(self._ended) > _ENDED:
            pid = next(iter(self._ended))
            task = self._ended.pop(pid)
            if self._tasks.get(pid) is task:
                self.drop(pid)

    def lives(self, pid: int) -> None:
        """Task `pid` has exited, and another of its threads goes on by that pid (fs/exec.c: de_thread)."""
        self._ended.pop(pid, None)

    def drop(self, pid: int) -> None:
        """Task `pid` is gone."""
        self._tasks.pop(pid, None)
        self._at = None

    def lost(self) -> None:
        """Events were lost: any task may have returned from anything meanwhile."""
        self.epoch += 1
