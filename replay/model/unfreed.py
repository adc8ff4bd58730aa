"""Ptes that let go of an entry, as hooks say, against frees that only probes show, and the other way round.

Who clears a pte frees its entry before it leaves the page tables (mm/memory.c: do_swap_page, zap_pte_range). Where frees are
no events of their own, one may be missed without a sign (a kretprobe has so many instances, a compiler inlines a call), so
it takes several of the same kind: a path that forgets the free does so each time. A probe on a free of several entries
has to say of how many.

A free that no clear goes with is of a pte that no hook speaks of: MADV_FREE clears one (mm/madvise.c:
madvise_free_pte_range), of the task's own mm. Whoever held the entry does not certainly hold it from there. But where the only
pte that this mm had of the entry is let go by a hook, and none got it since, two frees with that one clear are one too
many.
"""

from __future__ import annotations

import msgspec

from mmlist.replay import events as e
from mmlist.replay.model.balance import Balance
from mmlist.replay.model.changes import Unbalanced
from mmlist.replay.record import At

_TIMES = 3
"""Clears of one kind whose free did not come, before it is told."""
_MOST = 4096
"""Clears that one task may be in the middle of (see balance)."""
_BY_ITS_TASK = ("zap", "fault")


class Pair(msgspec.Struct):
    """What a task did with one entry: how many `more` frees than clears, and the first of its frees.

    `alone` is its own mm, whose only pte of the entry it cleared. `renewed`: a pte has got the entry since, or the slot was
    handed out; what the task does with it from there makes it `unclear`, as other ptes do that it cleared.
    """

    more: int = 0
    freed: At | None = None
    alone: int | None = None
    renewed: bool = False
    unclear: bool = False


class Unfreed(Balance):
    """Clears by fault or zap that no free of their task follows."""

    uncounted: dict[int, dict[int, tuple[At, int | None, str]]]
    never_freed: dict[str, int]
    unpaired: dict[int, dict[int, Pair]]
    """Of each task, by entry: what it did since it was last outside the page tables."""
    pairs: dict[int, dict[int, Pair]]
    """The same, by entry and task."""

    def forget_slots(self) -> None:
        """Nothing waits: at the beginning, and after a loss."""
        super().forget_slots()
        self.uncounted = {}
        self.never_freed = {}
        self.unpaired = {}
        self.pairs = {}

    def on_swap_clear(self, event: e.SwapClear) -> None:
        """The task's next step on this entry is its free."""
        carries = self.carries
        shown = carries.usage_visible or (carries.frees_named and self.swapoff_of(event.at) is None)
        if carries.clears_explicit and shown and not self.balanced and event.why in _BY_ITS_TASK:
            mm = self.mms.get(event.mm) if event.mm else None
            if event.observed and mm is not None and event.entry in (mm.holdings or ()):
                mine = self.uncounted.setdefault(self.key(event.at), {})
                mine[event.entry] = (event.at, event.mm, event.why)
                if len(mine) > _MOST:
                    del mine[next(iter(mine))]
        pairs = event.observed and carries.clears_explicit and not self.balanced
        pair = self._pair(event.at, event.entry) if pairs else None
        if pair is not None and pair.alone is None and self._only_pte(event):
            pair.alone = event.mm
        elif pair is not None:
            pair.unclear = True
        super().on_swap_clear(event)
        if pair is not None:
            pair.more -= 1
            if pair.more >= 0:
                self._doubtful(event.entry, -1)
                if not carries.usage_visible:  # its free came before it (mm/memory.c: zap_pte_range)
                    self.uncounted.get(self.key(event.at), {}).pop(event.entry, None)

    def _pair(self, at: At, value: int) -> Pair:
        key = self.key(at)
        mine = self.unpaired.setdefault(key, {})
        pair = mine.get(value)
        if pair is None:
            pair = mine[value] = Pair()
            self.pairs.setdefault(value, {})[key] = pair
            if len(mine) > _MOST:
                oldest = next(iter(mine))
                del mine[oldest]
                self._unlink(key, oldest)
        pair.unclear = pair.unclear or pair.renewed
        return pair

    def _unlink(self, key: int, value: int) -> None:
        others = self.pairs[value]
        del others[key]
        if not others:
            del self.pairs[value]

    def _only_pte(self, event: e.SwapClear) -> bool:
        """Whether the mm, all of whose ptes are known, has no other pte of the entry, and the task no other mm."""
        mm = self.mms.get(event.mm) if event.mm else None
        hold = mm.holdings.get(event.entry) if mm is not None and mm.holdings is not None else None
        if mm is None or hold is None or not hold.observed or hold.count != 1:
            return False
        own = self.task_mms.get(self.key(event.at))
        return mm.born is not None and mm.born.seq > self.loss_seq and own in (mm.address, 0)

    def _twice(self, at: At, value: int, pair: Pair) -> None:
        """The task has freed the entry twice, where one pte let go."""
        area, freed = self.areas.get(self.type_of(value)), pair.freed
        if pair.more <= 0 or pair.alone is None or pair.unclear or freed is None or not at.pid:
            return
        if not self.carries.duplicates_visible:
            return  # one may have been of a duplicate that pageout undid
        if area is not None and area.used is True:
            self.emit(Unbalanced(at, value, self.mms.get(pair.alone), "twice", freed, 0, 0, False, False, freed))

    def _renewed(self, value: int) -> None:
        for key, pair in list(self.pairs.get(value, {}).items()):
            pair.renewed = True
            if pair.more == 0:
                del self.unpaired[key][value]
                self._unlink(key, value)

    def on_swap_alloc(self, event: e.SwapAlloc) -> None:
        """What is freed from here on may be another user's."""
        self._renewed(event.entry)
        super().on_swap_alloc(event)

    def on_swap_assign(self, event: e.SwapAssign) -> None:
        """A pte more that may let go without a hook."""
        self._renewed(event.entry)
        super().on_swap_assign(event)

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
                if value not in pending:
                    self._freed(event.at, value)
        mine = self.uncounted.get(self.key(event.at))
        if mine:
            for value in range(event.entry, event.entry + event.nr):
                mine.pop(value, None)
        super().on_swap_free(event)

    def _freed(self, at: At, value: int) -> None:
        pair = self._pair(at, value)
        pair.more += 1
        pair.freed = pair.freed or at
        if pair.more > 0:
            self._doubtful(value, 1)

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

    def outside_page_tables(self, event: e.Event) -> None:
        """Before a step on `event`, which shows its task outside the page tables: no free comes any more."""
        super().outside_page_tables(event)
        if not self.uncounted and not self.unpaired:
            return
        key = self.key(event.at)
        waiting = self.uncounted.pop(key, None)
        pairs = self.unpaired.pop(key, None) or {}
        for value, pair in pairs.items():
            self._unlink(key, value)
            self._twice(event.at, value, pair)
        for value, (step, address, why) in (waiting or {}).items():
            if value not in pairs or pairs[value].more < 0:
                self._never_freed(event.at, value, step, address, why)

    def on_task_exit(self, event: e.TaskExit) -> None:
        """The task is gone."""
        super().on_task_exit(event)
        self.uncounted.pop(event.pid, None)
        for value in self.unpaired.pop(event.pid, None) or ():
            self._unlink(event.pid, value)

    def _never_freed(self, at: At, value: int, step: At, address: int | None, why: str) -> None:
        area = self.areas.get(self.type_of(value))
        if area is None or area.used is not True:
            return
        times = self.never_freed[why] = self.never_freed.get(why, 0) + 1
        if times >= _TIMES:
            mm = self.mms.get(address) if address else None
            self.emit(Unbalanced(at, value, mm, "unfreed", step, 0, 0, False, False, step))
