"""Ptes against counts: a task that changes a pte of an entry changes its count, before it leaves the page tables.

The order within the step differs by kernel and by path (mm/memory.c: do_swap_page, zap_pte_range; mm/swapfile.c: unuse_pte), and
a batch clears many ptes before it frees them, or frees many before it clears them. So a task is judged when a line shows
that it is out of the page tables, or, for what it freed, in the next step.
"""

from __future__ import annotations

import msgspec

from mmlist.replay import events as e
from mmlist.replay.model.changes import Unbalanced
from mmlist.replay.model.closed import ClosedAreas
from mmlist.replay.record import At

OUTSIDE = frozenset({
    e.MmInit, e.DupMmap, e.MmFork, e.MmForkFailed, e.ExecMmap, e.Mmput, e.FinalPut, e.ExitMmap, e.ExitMmapRet, e.Swapon,
    e.SwaponRet, e.Swapoff, e.SwapoffRet, e.TryToUnuse, e.TryToUnuseRet, e.SwapoffPass, e.MmlistVisit, e.MmlistDrain, e.TaskExit,
})  # fmt: skip
"""Steps that no task takes between a pte and its count: it holds a page table lock there, and all of these may sleep."""


class Half(msgspec.Struct):
    """One task's steps on one entry: where it `cleared` a pte and has not freed yet, or `freed` and has not cleared.

    `sure`: the free may not have been of a duplicate that no pte got.
    """

    mm: int | None = None
    cleared: At | None = None
    freed: At | None = None
    times: int = 1
    sure: bool = True


class Balance(ClosedAreas):
    """The steps on ptes and counts, each by its task."""

    halves: dict[int, dict[int, Half]]
    leftover: list[tuple[Unbalanced, int]]
    cpu_seen: dict[int | None, int]
    began: dict[int, At]  # where a task was last seen outside the page tables

    def forget_slots(self) -> None:
        """Nothing waits: at the beginning, and after a loss."""
        super().forget_slots()
        self.halves = {}
        self.leftover = []
        self.cpu_seen = {}
        self.began = {}

    def on_swap_clear(self, event: e.SwapClear) -> None:
        """A pte lets go: the count goes down with it."""
        if self.balanced and event.observed:
            if event.entry not in self.halves.get(self.key(event.at), ()):
                self._frees_done(event.at)
            held = self.mms.get(event.mm) if event.mm else None
            known = held is not None and event.entry in (held.holdings or ())
            self._step(event.at, event.entry, cleared=True, sure=known, mm=event.mm)
        super().on_swap_clear(event)

    def on_swap_free(self, event: e.SwapFree) -> None:
        """The count goes down: with a pte that lets go, or for a duplicate given up, or for the cache of 2.6."""
        if self.balanced:
            pending = self.pending_duplicates.get(self.key(event.at), {})
            for value in range(event.entry, event.entry + event.nr):
                self._step(event.at, value, cleared=False, sure=value not in pending, mm=None)
        super().on_swap_free(event)

    def on_swap_duplicate(self, event: e.SwapDuplicate) -> None:
        """Another step begins."""
        if self.halves:
            self._frees_done(event.at)
        super().on_swap_duplicate(event)

    def on_swap_alloc(self, event: e.SwapAlloc) -> None:
        """Another step begins."""
        if self.halves:
            self._frees_done(event.at)
        super().on_swap_alloc(event)

    def _frees_done(self, at: At) -> None:
        """The task of `at` begins another step: where a free comes before its pte's clear, no other step is between the two."""
        key = self.key(at)
        mine, since = self.halves.get(key, {}), self.began.get(key)
        for value in [value for value, half in mine.items() if half.freed is not None]:
            half = mine.pop(value)
            if since is not None:
                self._judge(at, value, half, since)

    def _step(self, at: At, value: int, *, cleared: bool, sure: bool, mm: int | None) -> None:
        mine = self.halves.setdefault(self.key(at), {})
        half = mine.get(value)
        if half is None:
            mine[value] = Half(mm, at if cleared else None, None if cleared else at, 1, sure)
        elif (half.cleared is not None) == cleared:
            half.times += 1
            half.sure = half.sure and sure
        else:
            half.times -= 1
            if half.times == 0:
                del mine[value]
        if len(mine) > _STEPS:
            del mine[next(iter(mine))]

    def outside_page_tables(self, event: e.Event) -> None:
        """Before a step on `event`, which shows its task outside the page tables: what it has done there is complete."""
        if not self.balanced:
            return
        key = self.key(event.at)
        mine, since = self.halves.pop(key, None), self.began.get(key)
        self.began[key] = event.at
        if since is None:
            return  # the first half of what it did may be from before the log, or lost
        for value, half in (mine or {}).items():
            self._judge(event.at, value, half, since)

    def on_task_new(self, event: e.TaskNew) -> None:
        """It has done nothing yet."""
        super().on_task_new(event)
        if self.balanced:
            self.halves.pop(event.pid, None)
            self.began[event.pid] = event.at

    def on_task_exit(self, event: e.TaskExit) -> None:
        """The task is gone."""
        super().on_task_exit(event)
        self.halves.pop(event.pid, None)
        self.began.pop(event.pid, None)

    def _judge(self, at: At, value: int, half: Half, since: At) -> None:
        area = self.areas.get(self.type_of(value))
        if half.sure and area is not None and area.used is True:
            self._remains(at, value, half, since)

    def _others(self, value: int) -> bool:
        """Whether another task is in the middle of a step on the entry."""
        return any(value in steps for steps in self.halves.values())

    def _remains(self, at: At, value: int, half: Half, since: At) -> None:
        entry = self.entries.get(value)
        reused = entry is not None and entry.reused
        if half.cleared is not None:
            mm = self.mms.get(half.mm) if half.mm else None
            change = Unbalanced(at, value, mm, "cleared", half.cleared, 0, 0, reused, self._cut(half.cleared), since)
        elif half.freed is not None and entry is not None and not self._others(value):
            known = entry.seq > max(self.released, self.unnamed, self.loss_seq) and not entry.fresh
            if entry.count is None or not known or self.tied(entry.allocated, half.freed):
                return
            holders = self._ptes(value, at)
            if holders <= entry.count:
                return
            change = Unbalanced(
                at, value, None, "freed", half.freed, entry.count, holders, reused, self._cut(half.freed), since
            )
        else:
            return
        self.leftover.append((change, self.key(at)))

    def _cut(self, step: At) -> bool:
        return self.cpu_seen.get(step.cpu, 0) <= step.seq

    def _ptes(self, value: int, at: At) -> int:
        """How many ptes certainly hold the entry."""
        found = 0
        entry = self.entries[value]
        for key in entry.holders or ():
            mm = self.holders.get(key)
            hold = mm.holdings.get(value) if mm is not None and mm.holdings is not None else None
            if mm is not None and hold is not None and self.certain(mm, hold) and not self.tied(hold.at, at):
                found += hold.count
        return found

    def settle_slots(self, event: e.Event | None) -> None:
        """What is left is told when no line can come that is the other half."""
        if self.leftover:
            at = event.at if event is not None else None
            for one, _ in self.leftover:
                one.cut = one.cut and (at is None or at.cpu != one.step.cpu)
            self.leftover = [
                (one, key)
                for one, key in self.leftover
                if not self._other_half(one, key, event) and not self._decided(one, at)
            ]
        super().settle_slots(event)

    def _decided(self, change: Unbalanced, at: At | None) -> bool:
        return (at is None or not change.cut) and self._told(change, at)

    def _other_half(self, change: Unbalanced, key: int, event: e.Event | None) -> bool:
        if isinstance(event, e.SwapFree):
            named = event.entry <= change.entry < event.entry + event.nr
        else:
            named = isinstance(event, e.SwapClear) and event.entry == change.entry
        return named and event is not None and self.tied(change.at, event.at)


_STEPS = 4096
"""Entries that one task may be in the middle of: a page table has no more than 512, or 8192 with pages of 64 KiB."""
