"""A second model of mmlist, dumb on purpose: a list, sets and counters, no pointers, no doubt, nothing of the first's code.

It believes every event (all of them explicit), changes what the event says, and answers with the rows of INVARIANTS.md that
were broken there, each worked out from the sets anew. The simple ones alone: M1, M2, M4, M6, M11, C1 to C4, S1, D1, D5.
"""

from __future__ import annotations

from collections import Counter

from mmlist.replay import events as e

CODES = frozenset({"M1", "M2", "M4", "M6", "M11", "C1", "C2", "C3", "C4", "S1", "D1", "D5"})
SHIFT = 58

Broken = set[tuple[str, int | None]]
"""Codes, each with the mm that it is about, or None."""


class DumbMm:
    """One life."""

    def __init__(self) -> None:
        self.users = 1
        self.count = 1
        self.zeros = 0  # how often mm_users reached 0
        self.exits = 0  # how often exit_mmap ran
        self.used = False  # a task had it, or a fork filled it
        self.joined = False  # ever
        self.poisoned = False  # removed by its last mmput
        self.drained = False  # a drain took it off, or found it off, last
        self.holds: Counter[int] = Counter()

    @property
    def dying(self) -> bool:
        return self.zeros > 0 or self.exits > 0


class Dumb:
    """All of it."""

    def __init__(self, profile: str) -> None:
        self.profile = profile
        self.mms: dict[int, DumbMm] = {}
        self.order: list[int] = []
        self.counts: Counter[int] = Counter()  # as in swap_map: before 5.10 the swap cache is one of them
        self.cached: set[int] = set()
        self.doubted: set[int] = set()  # an entry more often held than counted: its count says nothing any more
        self.known: set[int] = set()  # an entry that was handed out since its area is in use
        self.in_use: set[int] = set()  # areas
        self.closed: set[int] = set()  # areas that a swapoff closed, and nobody named since
        self.duplicated: set[tuple[int | None, int]] = set()  # (task, entry), not assigned yet
        self.swapoffs: dict[int | None, int] = {}  # task -> area
        self.refused: set[int | None] = set()  # tasks whose drain found an area in use
        self.inuse: tuple[int, ...] = ()  # as last read
        self.raised: dict[int | None, int] = {}  # 2.6.10: task -> the dead mm that it raised in its last step
        self.lowers = False  # a put that follows such a raise at once
        self.broken: Broken = set()

    def step(self, event: e.Event) -> Broken:
        """Step on one event; what it broke."""
        self.broken = set()
        raised = self.raised.pop(event.at.pid, None)
        self.lowers = isinstance(event, e.Mmput) and event.mm == raised
        if raised is not None and not self.lowers:
            if isinstance(event, e.MmlistVisit) and event.mm == raised and not event.got:
                self.mms[raised].users -= 1
            else:
                self.broken.add(("C2", raised))
        getattr(self, "on_" + type(event).__name__, lambda _: None)(event)
        return self.broken

    # --- lives -------------------------------------------------------------------------------------------------------

    def on_MmInit(self, event: e.MmInit) -> None:
        self.mms[event.mm] = DumbMm()

    def on_ExecMmap(self, event: e.ExecMmap) -> None:
        self.mms[event.mm].used = True

    def on_MmFork(self, event: e.MmFork) -> None:
        self.mms[event.parent].used = self.mms[event.child].used = True

    def on_KthreadUseMm(self, event: e.KthreadUseMm) -> None:
        self.mms[event.mm].used = True

    def on_Mmget(self, event: e.Mmget) -> None:
        mm = self.mms[event.mm]
        mm.users += 1
        if mm.zeros and self.profile == "2.6.10":
            self.raised[event.at.pid] = event.mm
        elif mm.zeros:
            self.broken.add(("C2", event.mm))

    def on_MmlistVisit(self, event: e.MmlistVisit) -> None:
        if event.got:
            mm = self.mms[event.mm]
            mm.users += 1
            if mm.zeros:
                self.broken.add(("C2", event.mm))

    def on_Mmput(self, event: e.Mmput) -> None:
        mm = self.mms[event.mm]
        if mm.users < 1:
            self.broken.add(("C1", event.mm))
        mm.users -= 1
        if mm.users == 0 and not self.lowers:
            mm.zeros += 1
            if mm.zeros > 1:
                self.broken.add(("C3", event.mm))

    def on_ExitMmap(self, event: e.ExitMmap) -> None:
        mm = self.mms[event.mm]
        mm.exits += 1
        mm.users = 0  # only __mmput calls it
        if mm.exits > 1:
            self.broken.add(("C3", event.mm))

    def on_ExitMmapRet(self, event: e.ExitMmapRet) -> None:
        self.mms[event.mm].holds.clear()

    def on_Mmgrab(self, event: e.Mmgrab) -> None:
        self.mms[event.mm].count += 1

    def on_Mmdrop(self, event: e.Mmdrop) -> None:
        self.mms[event.mm].count -= 1

    def on_MmFree(self, event: e.MmFree) -> None:
        mm = self.mms.pop(event.mm)
        never_used = mm.users == 1 and not mm.used and not mm.joined
        if mm.users > 0 and not mm.zeros and not never_used:
            self.broken.add(("C4", event.mm))
        if event.mm in self.order:
            self.broken.add(("M6", event.mm))
            self.order.remove(event.mm)

    # --- the list ----------------------------------------------------------------------------------------------------

    def on_MmlistAdd(self, event: e.MmlistAdd) -> None:
        mm = self.mms[event.mm]
        if event.mm in self.order:
            self.broken.add(("M2", event.mm))
            self.order.remove(event.mm)
        if mm.poisoned:
            self.broken.add(("M4", event.mm))
        mm.joined, mm.poisoned, mm.drained = True, False, False
        self.order.insert(self.order.index(event.after) + 1 if event.after else 0, event.mm)

    def on_MmlistDel(self, event: e.MmlistDel) -> None:
        mm = self.mms[event.mm]
        if event.mm in self.order:
            self.order.remove(event.mm)
        elif mm.poisoned or event.why == "drain" or not mm.drained:
            self.broken.add(("M11", event.mm))
        mm.poisoned = event.why == "mmput"
        mm.drained = mm.drained or event.why == "drain"
        if event.why == "drain" and event.at.pid in self.refused and self.profile != "2.6.9":
            self.broken.add(("D1", None))
        if event.why == "drain":
            self._listed(event.mm)

    def _listed(self, mm: int) -> None:
        """M1: a holder with users is on the list; in 2.6.9 everybody is."""
        if self.profile == "2.6.9" or mm in self.order or self.mms[mm].dying:
            return
        if any(entry >> SHIFT in self.in_use for entry in self.mms[mm].holds):
            self.broken.add(("M1", mm))

    # --- entries -----------------------------------------------------------------------------------------------------

    def _named(self, entry: int, mm: int | None) -> None:
        """D5: nobody names an entry of an area that is off."""
        area = entry >> SHIFT
        if area in self.closed:
            self.closed.remove(area)
            self.broken.add(("D5", mm))

    def _unused(self, entry: int) -> bool:
        return not self.counts[entry] and entry in self.known - self.doubted

    def _holders(self, entry: int) -> int:
        return sum(entry in mm.holds for mm in self.mms.values())

    def on_SwapAlloc(self, event: e.SwapAlloc) -> None:
        self.in_use.add(event.entry >> SHIFT)
        self.counts[event.entry] = 0 if self.profile == "modern" else 1
        self.cached.add(event.entry)
        self.doubted.discard(event.entry)
        self.known.add(event.entry)

    def on_SwapDuplicate(self, event: e.SwapDuplicate) -> None:
        entry = event.entry
        self._named(entry, None)
        if self._unused(entry) and entry not in self.cached:
            self.broken.add(("S1", None))
        self.counts[entry] += 1
        self.duplicated.add((event.at.pid, entry))

    def on_SwapFree(self, event: e.SwapFree) -> None:
        entry = event.entry
        self._named(entry, None)
        if self._unused(entry):
            self.broken.add(("S1", None))
        self.counts[entry] = max(0, self.counts[entry] - 1)
        self.duplicated.discard((event.at.pid, entry))
        if not self.counts[entry] and self.profile != "modern":
            self.cached.discard(entry)

    def on_PutSwapFolio(self, event: e.PutSwapFolio) -> None:
        self.cached.discard(event.entry)

    def on_SwapAssign(self, event: e.SwapAssign) -> None:
        entry, task = event.entry, event.at.pid
        self._named(entry, event.mm)
        if event.why == "fork" and (task, entry) not in self.duplicated and entry >> SHIFT in self.in_use:
            self.broken.add(("S1", event.mm))
        self.duplicated.discard((task, entry))
        self.mms[event.mm].holds[entry] += 1
        if self._holders(entry) > self.counts[entry]:
            self.doubted.add(entry)
        self._listed(event.mm)

    def on_SwapClear(self, event: e.SwapClear) -> None:
        assert event.mm is not None
        holds = self.mms[event.mm].holds
        holds[event.entry] -= 1
        if holds[event.entry] <= 0:
            del holds[event.entry]

    # --- areas -------------------------------------------------------------------------------------------------------

    def on_SwaponRet(self, event: e.SwaponRet) -> None:
        assert event.type is not None
        self.in_use.add(event.type)
        self.closed.discard(event.type)

    def on_Swapoff(self, event: e.Swapoff) -> None:
        assert event.type is not None
        self.swapoffs[event.at.pid] = event.type

    def on_FetchedInuse(self, event: e.FetchedInuse) -> None:
        self.inuse = event.inuse

    def on_MmlistDrain(self, event: e.MmlistDrain) -> None:
        if event.busy_type is not None and event.busy_type >= 0:
            self.refused.add(event.at.pid)
            return
        mine = self.swapoffs[event.at.pid]
        busy = [area for area, pages in enumerate(self.inuse) if pages and area != mine and area in self.in_use]
        if busy and self.profile != "2.6.9":
            self.broken.add(("D1", None))

    def on_SwapoffRet(self, event: e.SwapoffRet) -> None:
        area = self.swapoffs.pop(event.at.pid)
        self.refused.discard(event.at.pid)
        if event.ret:
            return
        self.in_use.discard(area)
        self.closed.add(area)
        for address, mm in self.mms.items():
            for entry in [entry for entry in mm.holds if entry >> SHIFT == area]:
                self.broken.add(("D5", address))
                del mm.holds[entry]
        for entry in [entry for entry in self.counts if entry >> SHIFT == area]:
            del self.counts[entry]
            self.cached.discard(entry)
            self.doubted.discard(entry)
            self.known.discard(entry)
