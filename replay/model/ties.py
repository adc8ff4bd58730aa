"""Which steps the clock does not put in order, and whose state that leaves in doubt.

Lines of two CPUs whose times are no further apart than the clock's grain may have come in either order. Most pairs of steps
do not mind: what one does to one mm is nothing to another. Those that do mind, because they touch the same mm, entry or
list and one of them changes what the other reads or changes, put what they both touch in doubt: what the model has of it
is what one of the orders gives. A doubt ends with the life of what it is about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from mmlist.replay import events as e
from mmlist.replay.record import At

Subject = tuple[str, int, int]
"""What may be in doubt: ("mm", address, 0), ("entry", entry, 0), ("hold", address, entry), ("task", pid, 0), LIST, ORDER."""

LIST: Subject = ("list", 0, 0)
"""mmlist as a whole, the areas and swapoff."""
ORDER: Subject = ("order", 0, 0)
"""Who is before and behind whom on mmlist, and how many are."""

_PAIRS = 16
"""Doubts kept of one subject; of older ones only that there were any."""
_SUBJECTS = 100_000
"""Subjects that are in doubt at once; beyond, everything is."""

_Touch = tuple[Subject, str, bool]
"""What a step touches, in which respect, and whether it changes it."""

_Past = dict[tuple[int | None, str, bool], At]

_COMMUTE = frozenset(
    {
        frozenset({"hold"}),
        frozenset({"hold", "count"}),
        frozenset({"hold", "borrow"}),
        frozenset({"link", "count"}),
        frozenset({"link", "borrow"}),
        frozenset({"up"}),
        frozenset({"down"}),
    }
)
"""Respects of one subject in which two changes come to the same in either order."""


class Doubt(msgspec.Struct):
    """Two lines that the clock does not put in order, and that matter to each other."""

    one: At
    other: At


class Ties:
    """Looks at every step; remembers who was touched by two that may have come in either order."""

    def __init__(self, grain: int) -> None:
        """`grain` is the clock's, in units of ts."""
        self.grain = grain
        self.doubts: dict[Subject, list[Doubt]] = {}
        self._forgotten: dict[Subject, int] = {}
        self._all_since: At | None = None
        self._now: int | None = None
        self._first: e.Event | None = None
        self._window: list[e.Event] = []
        self._indexed = 0
        self._past: dict[Subject, _Past] = {}
        self._locals: dict[tuple[Subject, int | None], At] = {}

    def note(self, event: e.Event) -> None:
        """Look at the next step, in replay order."""
        ts = event.at.ts
        if ts is None:
            return
        now, self._now = self._now, ts
        if now is None or ts > now + self.grain:
            self._first = event
            if self._window:
                self._window = []
                self._indexed = 0
                if self._past:
                    self._past, self._locals = {}, {}
        else:
            if not self._window and self._first is not None:
                self._window.append(self._first)
            self._window.append(event)
            if event.at.cpu != self._window[0].at.cpu or self._indexed:
                self._index()
        if self.doubts and (type(event) is e.MmInit or type(event) is e.SwapAlloc):
            self._born(event)

    def doubt(self, subjects: Iterable[Subject], since: At | None) -> Doubt | None:
        """The last doubt about one of `subjects` that is no older than `since` (None: any)."""
        if not self.doubts:
            return None
        oldest = 0 if since is None else since.seq
        for subject in subjects:
            for doubt in reversed(self.doubts.get(subject, ())):
                if max(doubt.one.seq, doubt.other.seq) >= oldest:
                    return doubt
            if self._forgotten.get(subject, -1) >= oldest:
                return self.doubts[subject][0]
        return None if self._all_since is None else Doubt(self._all_since, self._all_since)

    def lines(self, subjects: Iterable[Subject], since: At | None) -> set[int] | None:
        """The lines of all doubts about `subjects` that are no older than `since`; None if not all are remembered."""
        oldest = 0 if since is None else since.seq
        found: set[int] = set()
        for subject in subjects:
            if self._forgotten.get(subject, -1) >= oldest:
                return None
            for doubt in self.doubts.get(subject, ()):
                if max(doubt.one.seq, doubt.other.seq) >= oldest:
                    found.update((doubt.one.line, doubt.other.line))
        return None if self._all_since is not None else found

    def _index(self) -> None:
        for event in self._window[self._indexed :]:
            self._touch(event)
        self._indexed = len(self._window)

    def _touch(self, event: e.Event) -> None:
        at = event.at
        if at.pid:
            self._task(("task", at.pid, 0), at)
        touches = _TOUCHES.get(type(event))
        if touches is None:
            return
        for subject, respect, changes in touches(event):
            past = self._past.setdefault(subject, {})
            for (cpu, other, changed), then in past.items():
                if cpu != at.cpu and (changes or changed) and self._near(then, at) and not _commute(respect, other):
                    self._doubt(subject, then, at)
            past[at.cpu, respect, changes] = at
            if respect == "whole":
                self._whole(at)
            elif respect in ("life", "link", "hold", "exit", "up", "down", "slot"):
                self._part(subject, at)

    def _task(self, task: Subject, at: At) -> None:
        """A task that was on two CPUs at one time: which of its steps was the first is not known either."""
        past = self._past.setdefault(task, {})
        for (cpu, _, _), then in past.items():
            if cpu != at.cpu and self._near(then, at):
                self._doubt(task, then, at)
        past[at.cpu, "step", True] = at

    def _whole(self, at: At) -> None:
        """A step of the whole list, or of swapoff: it matters to all others."""
        for (subject, cpu), then in self._locals.items():
            if cpu != at.cpu and self._near(then, at):
                self._doubt(subject, then, at)
                self._doubt(LIST, then, at)

    def _part(self, subject: Subject, at: At) -> None:
        for (cpu, _, changed), then in self._past.get(LIST, {}).items():
            if changed and cpu != at.cpu and self._near(then, at):
                self._doubt(subject, then, at)
                self._doubt(LIST, then, at)
        self._locals[subject, at.cpu] = at

    def _near(self, then: At, at: At) -> bool:
        assert then.ts is not None and at.ts is not None
        return at.ts - then.ts <= self.grain

    def _doubt(self, subject: Subject, one: At, other: At) -> None:
        doubts = self.doubts.get(subject)
        if doubts is None:
            if len(self.doubts) >= _SUBJECTS:
                self._all_since = self._all_since or other
                return
            doubts = self.doubts[subject] = []
        if doubts and doubts[-1].one is one and doubts[-1].other is other:
            return
        doubts.append(Doubt(one, other))
        if len(doubts) > _PAIRS:
            gone = doubts.pop(0)
            self._forgotten[subject] = max(gone.one.seq, gone.other.seq)

    def _born(self, event: e.MmInit | e.SwapAlloc) -> None:
        """A life begins: what was in doubt of the one before is so no more, unless the two themselves are tied."""
        subject: Subject = ("mm", event.mm, 0) if isinstance(event, e.MmInit) else ("entry", event.entry, 0)
        doubts = self.doubts.get(subject)
        if doubts is None:
            return
        kept = [doubt for doubt in doubts if self._near(doubt.other, event.at)]
        if kept:
            doubts[:] = kept
        else:
            del self.doubts[subject]
        self._forgotten.pop(subject, None)


def _commute(one: str, other: str) -> bool:
    return frozenset((one, other)) in _COMMUTE


# --- what each step touches --------------------------------------------------------------------------------------------


def _mm(address: int | None, respect: str, *, changes: bool = True) -> Iterator[_Touch]:
    if address:
        yield ("mm", address, 0), respect, changes


def _entries(event: Any, respect: str) -> Iterator[_Touch]:
    for entry in range(event.entry, event.entry + min(getattr(event, "nr", 1), 512)):
        yield ("entry", entry, 0), respect, True


def _hold(event: e.SwapAssign | e.SwapClear) -> Iterator[_Touch]:
    yield ("entry", event.entry, 0), "slot", True
    if event.mm:
        yield ("mm", event.mm, 0), "hold", True
        yield ("hold", event.mm, event.entry), "hold of it", True


def _fork(event: e.DupMmap | e.MmFork | e.MmForkFailed) -> Iterator[_Touch]:
    yield from _mm(event.child, "link")
    yield from _mm(event.child, "exit")
    yield from _mm(event.parent, "link", changes=False)


def _add(event: e.MmlistAdd) -> Iterator[_Touch]:
    yield from _mm(event.mm, "link")
    yield from _mm(event.after, "link")  # its next
    yield ORDER, "order", True


def _del(event: e.MmlistDel) -> Iterator[_Touch]:
    yield from _mm(event.mm, "link")
    yield ORDER, "order", True


def _fetched(event: e.Fetched) -> Iterator[_Touch]:
    if event.users is not None:
        yield from _mm(event.mm, "users", changes=False)
    if event.count is not None:
        yield from _mm(event.mm, "count", changes=False)
    if event.next is not None:
        yield from _mm(event.mm, "link", changes=False)


def _due(event: e.JoinDue) -> Iterator[_Touch]:
    yield from _mm(event.mm, "link")
    yield from _mm(event.after, "link", changes=False)


def _exit(event: e.ExitMmap | e.ExitMmapRet | e.MmputRet | e.FinalPut) -> Iterator[_Touch]:
    yield from _mm(event.mm, "exit")


def _usage(event: e.SwapUsage) -> Iterator[_Touch]:
    if event.entry is not None:
        yield ("entry", event.entry, 0), "slot", True
    else:
        yield from _mm(event.mm, "exit")  # which entry it was is not said: it may be any


def _duplicate(event: e.SwapDuplicate) -> Iterator[_Touch]:
    yield from _entries(event, "up")
    yield from _mm(event.mm, "hold")


def _visit(event: e.MmlistVisit) -> Iterator[_Touch]:
    yield from _mm(event.mm, "users")
    yield from _mm(event.mm, "link", changes=False)


def _whole_list(_event: e.Event) -> Iterator[_Touch]:
    yield LIST, "whole", True


def _inuse(_event: e.Event) -> Iterator[_Touch]:
    yield LIST, "inuse", False


_TOUCHES: dict[type[e.Event], Callable[[Any], Iterator[_Touch]]] = {
    e.MmInit: lambda event: _mm(event.mm, "life"),
    e.MmFree: lambda event: _mm(event.mm, "life"),
    e.DupMmap: _fork,
    e.MmFork: _fork,
    e.MmForkFailed: _fork,
    e.ExecMmap: lambda event: _mm(event.mm, "link"),
    e.TaskMm: lambda event: _mm(event.mm, "users", changes=False),
    e.Mmget: lambda event: _mm(event.mm, "users"),
    e.Mmput: lambda event: _mm(event.mm, "users"),
    e.GetTaskMm: lambda event: _mm(event.mm, "users", changes=False),
    e.FinalPut: _exit,
    e.ExitMmap: _exit,
    e.ExitMmapRet: _exit,
    e.MmputRet: _exit,
    e.Mmgrab: lambda event: _mm(event.mm, "count"),
    e.Mmdrop: lambda event: _mm(event.mm, "count"),
    e.KthreadUseMm: lambda event: _mm(event.mm, "borrow"),
    e.KthreadUnuseMm: lambda event: _mm(event.mm, "borrow"),
    e.SwapAlloc: lambda event: _entries(event, "slot"),
    e.SwapDuplicate: _duplicate,
    e.SwapFree: lambda event: _entries(event, "down"),
    e.SwapUsage: _usage,
    e.SwapShmem: lambda event: _entries(event, "slot"),
    e.PutSwapFolio: lambda event: _entries(event, "slot"),
    e.SwapAssign: _hold,
    e.SwapClear: _hold,
    e.SwapRelease: lambda event: _mm(event.mm, "exit"),
    e.UnuseMm: lambda event: _mm(event.mm, "exit", changes=False),
    e.JoinDue: _due,
    e.MmlistAdd: _add,
    e.MmlistDel: _del,
    e.MmlistVisit: _visit,
    e.Fetched: _fetched,
    e.FetchedInuse: _inuse,
    e.FetchedHead: _inuse,
    e.MmlistDrain: _whole_list,
    e.Swapon: _whole_list,
    e.SwaponRet: _whole_list,
    e.Swapoff: _whole_list,
    e.SwapoffRet: _whole_list,
    e.TryToUnuse: _whole_list,
    e.TryToUnuseRet: _whole_list,
    e.SwapoffPass: _whole_list,
}
