"""Ptes that let go of an entry, as hooks say, against frees that only probes show, and the other way round.

Who clears a pte frees its entry before it leaves the page tables (mm/memory.c: do_swap_page, zap_pte_range). Where frees are
no events of their own, one may be missed without a sign (a kretprobe has so many instances, a compiler inlines a call), so
it takes several of the same kind: a path that forgets the free does so each time.

A free that no clear goes with is of a pte that no hook speaks of: MADV_FREE clears one (mm/madvise.c:
madvise_free_pte_range). Whoever held the entry does not certainly hold it from there.
"""

from __future__ import annotations

from mmlist.replay import events as e
from mmlist.replay.model.balance import OUTSIDE, Balance
from mmlist.replay.model.changes import Unbalanced
from mmlist.replay.record import At

_TIMES = 3
"""Clears of one kind whose free did not come, before it is told."""
_MOST = 4096
"""Clears that one task may be in the middle of (see balance)."""
_BY_ITS_TASK = ("zap", "fault")


class Unfreed(Balance):
    """Clears by fault or zap that no free of their task follows."""

    uncounted: dict[int, dict[int, tuple[At, int | None, str]]]
    never_freed: dict[str, int]
    unpaired: dict[int, dict[int, int]]
    """Of each task, since it was last outside the page tables: by entry, how many more frees than clears."""

    def forget_slots(self) -> None:
        """Nothing waits: at the beginning, and after a loss."""
        super().forget_slots()
        self.uncounted = {}
        self.never_freed = {}
        self.unpaired = {}

    def on_swap_clear(self, event: e.SwapClear) -> None:
        """The task's next step on this entry is its free."""
        carries = self.carries
        if carries.clears_explicit and carries.usage_visible and not self.balanced and event.why in _BY_ITS_TASK:
            mm = self.mms.get(event.mm) if event.mm else None
            if event.observed and mm is not None and event.entry in (mm.holdings or ()):
                mine = self.uncounted.setdefault(self.key(event.at), {})
                mine[event.entry] = (event.at, event.mm, event.why)
                if len(mine) > _MOST:
                    del mine[next(iter(mine))]
        super().on_swap_clear(event)
        pairs = event.observed and carries.clears_explicit and not self.balanced
        if pairs and self._paired(event.at, event.entry, -1) >= 0:
            self._doubtful(event.entry, -1)

    def _paired(self, at: At, value: int, by: int) -> int:
        """How many more frees than clears of the entry the task has made, with this one."""
        mine = self.unpaired.setdefault(self.key(at), {})
        more = mine[value] = mine.get(value, 0) + by
        if len(mine) > _MOST:
            del mine[next(iter(mine))]
        return more

    def _doubtful(self, value: int, by: int) -> None:
        """One of the ptes that hold the entry may have let go of it, or (`by` -1) it was another that did."""
        entry = self.entries.get(value)
        for key in (entry.holders or ()) if entry is not None else ():
            holder = self.holders.get(key)
            hold = holder.holdings.get(value) if holder is not None and holder.holdings is not None else None
            if hold is not None:
                hold.doubts = max(0, hold.doubts + by)

    def on_swap_free(self, event: e.SwapFree) -> None:
        """It came, and is to have a clear of its own, but for swapoff's (Carries.unuse_clears) and of what no pte got."""
        if self.carries.clears_explicit and not self.balanced and self.swapoff_of(event.at) is None:
            pending = self.pending_duplicates.get(self.key(event.at), ())
            for value in range(event.entry, event.entry + event.nr):
                if value not in pending and self._paired(event.at, value, 1) > 0:
                    self._doubtful(value, 1)
        mine = self.uncounted.get(self.key(event.at))
        if mine:
            for value in range(event.entry, event.entry + event.nr):
                mine.pop(value, None)
        super().on_swap_free(event)

    def on_swap_usage(self, event: e.SwapUsage) -> None:
        """One came, of this entry, or of any."""
        self._came(event.at, event.entry)
        super().on_swap_usage(event)

    def on_swap_release(self, event: e.SwapRelease) -> None:
        """One came that nobody names."""
        self._came(event.at, None)
        super().on_swap_release(event)

    def _came(self, at: At, entry: int | None) -> None:
        mine = self.uncounted.get(self.key(at))
        if mine and entry is not None:
            mine.pop(entry, None)
        elif mine:
            mine.clear()

    def frees_due(self, event: e.Event) -> None:
        """Before a step on `event`: one that shows its task outside the page tables shows that no free comes any more."""
        if not isinstance(event, OUTSIDE):
            return
        self.unpaired.pop(self.key(event.at), None)
        for value, (step, address, why) in (self.uncounted.pop(self.key(event.at), None) or {}).items():
            area = self.areas.get(self.type_of(value))
            if area is None or area.used is not True:
                continue
            times = self.never_freed[why] = self.never_freed.get(why, 0) + 1
            mm = self.mms.get(address) if address else None
            if times >= _TIMES:
                self.emit(Unbalanced(event.at, value, mm, "unfreed", step, 0, 0, False, False, step))
