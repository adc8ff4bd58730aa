"""Slots of swap areas against who is known to use them (mm/swapfile.c: get_swap_pages, swap_range_free, swap_duplicate).

Nothing is told before no line can come that would explain it: a free of equal time on another CPU, the clear of a pte, a
swapoff that turns out to have failed. Above what is known anything may be: slots reserved for a CPU, the swap cache, readahead,
shmem and hibernation use slots that no mm holds.
"""

from __future__ import annotations

import msgspec

from mmlist.replay import events as e
from mmlist.replay.model.changes import Change, HeldAtFree, InuseBelow, Reused, Saturated
from mmlist.replay.model.locks import Locks
from mmlist.replay.model.mm import Hold, Mm
from mmlist.replay.model.swap import Entry
from mmlist.replay.record import At

SWAP_MAP_MAX = 0x7FFF
"""The count at which an entry of 2.6 becomes permanent (2.6 include/linux/swap.h); modern kernels continue elsewhere."""

_WORK = 64
"""Entries that may be looked through for each line of the log, on the average: a fetch of inuse_pages looks through all."""


_CLEARED = 64
"""Clears of what was not held, as far as known, that are kept in mind, until the assignment that they may be of is read."""


class Low(msgspec.Struct):
    """inuse_pages fetched below the slots `used` since `before` it; `next_seen`: the CPU has gone on, so the fetch is over."""

    change: InuseBelow
    used: list[int]
    before: At
    next_seen: bool = False


class Slots(Locks):
    """The steps on slots. `doubts` wait for a later line, `left` for the free of their mm."""

    reused: list[Reused]
    lows: list[Low]
    left: dict[tuple[int, int], dict[int, Hold]]
    freed_holding: list[tuple[HeldAtFree, dict[int, Hold]]]
    saturated: set[int]
    cleared: dict[tuple[int, int], At]
    looked: int
    walked: dict[
        int | None, int
    ]  # the last line of a walk over an mm, by the area that it empties: the same for its entries
    first_swap_free: At | None
    unnamed: int  # the last free that names no entry: any count may be lower since

    def forget_slots(self) -> None:
        """Nothing waits: at the beginning, and after a loss."""
        self.reused = []
        self.lows = []
        self.left = {}
        self.freed_holding = []
        self.saturated = set()
        self.cleared = {}
        self.first_swap_free = None

    def settle_slots(self, event: e.Event | None) -> None:
        """Before a step on `event` (None: the log has ended): what waited is explained by it, or told, or waits on."""
        at = event.at if event is not None else None
        if self.reused:
            self.reused = [one for one in self.reused if not self._released(one, event) and not self._told(one, at)]
        if self.freed_holding:
            self.freed_holding = [(one, holds) for one, holds in self.freed_holding if self._holds(one, holds, event)]
        if self.lows:
            self._settle_lows(at)

    def _told(self, change: Change, at: At | None) -> bool:
        """Whether `at` is certainly later than `change`, which is emitted then."""
        if not self._past(change.at, at):
            return False
        self.emit(change)
        return True

    def _past(self, one: At, at: At | None) -> bool:
        return at is None or one.ts is None or at.ts is None or at.ts > one.ts + self.grain

    # --- a slot is handed out ----------------------------------------------------------------------------------------

    def on_swap_alloc(self, event: e.SwapAlloc) -> None:
        """A slot is handed out: nobody holds it, and its area is not closed."""
        entry = self.entries.get(event.entry)
        unclear = entry is not None and self.tied(entry.last, event.at)
        change = None if entry is None or unclear else self._used_by(event, entry)
        super().on_swap_alloc(event)
        entry = self.entries[event.entry]
        entry.allocated = entry.last = event.at
        entry.reused = change is not None
        entry.fetched = False
        self.saturated.discard(event.entry)
        if unclear:
            self._unknown(entry)
        if change is not None:
            change.state = entry
            self.reused.append(change)

    def _unknown(self, entry: Entry) -> None:
        entry.count, entry.seq, entry.fresh = None, 0, False

    def _used_by(self, event: e.SwapAlloc, entry: Entry) -> Reused | None:
        """Who is known to use the slot that is handed out."""
        area = self.areas.get(self.type_of(event.entry))
        if area is None or area.used is False:
            return None
        count = self.surely_counted(event.entry, entry)
        found = self._holder(event.entry, entry, event.at)
        if found is None and count <= self.profile.slot_count:
            return None
        mm, hold = found if found is not None else (None, None)
        since = hold.at if hold is not None else entry.allocated or entry.at
        assert since is not None
        return Reused(event.at, event.entry, mm, hold, count, since, entry)

    def _holder(self, value: int, entry: Entry, at: At) -> tuple[Mm, Hold] | None:
        """An mm that certainly holds the entry, since before `at`."""
        for key in entry.holders or ():
            mm = self.holders.get(key)
            hold = mm.holdings.get(value) if mm is not None and mm.holdings is not None else None
            if mm is not None and hold is not None and self.certain(mm, hold) and not self.tied(hold.at, at):
                return mm, hold
        return None

    def surely_counted(self, value: int, entry: Entry) -> int:
        """The count as far as it is certain: 0 where a release may have gone unseen, or the first duplicate is to come."""
        hidden = not self.carries.unuse_visible and (self.swapoffs or not self.carries.swapoffs_visible)
        if hidden or self.unseen_release is not None or not self.carries.counts_visible:
            return 0
        since = entry.counted_since
        unnamed = max(self.unnamed, self.walked.get(self.type_of(value), 0), self.walked.get(None, 0))
        followed = since is not None and since.seq > unnamed and entry.seq > max(self.released, self.loss_seq)
        return entry.count or 0 if followed and not entry.fresh and not entry.fetched else 0

    def _released(self, doubt: Reused, event: e.Event | None) -> bool:
        """Whether `event` lets go of the entry, and may have come before it was handed out."""
        if isinstance(event, e.SwapFree):
            named = event.entry <= doubt.entry < event.entry + event.nr
        elif isinstance(event, e.SwapClear | e.SwapUsage | e.SwapRelease):
            named = getattr(event, "entry", None) in (None, doubt.entry)
        else:
            return False
        if not named or not self.tied(doubt.at, event.at):
            return False
        doubt.state.reused = False
        self._unknown(doubt.state)
        return True

    # --- counts ------------------------------------------------------------------------------------------------------

    def on_swap_duplicate(self, event: e.SwapDuplicate) -> None:
        """The count goes up: in 2.6 it stops at SWAP_MAP_MAX, and the entry is permanent (swap_duplicate)."""
        super().on_swap_duplicate(event)
        for value in range(event.entry, event.entry + event.nr):
            entry = self.entries[value]
            entry.last = event.at
            if self.profile.cache_in_count and entry.count is not None and entry.count >= SWAP_MAP_MAX:
                self._saturates(event.at, value, entry, fetched=False)

    def _saturates(self, at: At, value: int, entry: Entry, *, fetched: bool) -> None:
        entry.count = SWAP_MAP_MAX
        if value not in self.saturated:
            self.saturated.add(value)
            self.emit(Saturated(at, value, entry.allocated, fetched))

    def on_swap_free(self, event: e.SwapFree) -> None:
        """The count goes down; a saturated one stays (2.6 mm/swapfile.c: swap_entry_free)."""
        self.first_swap_free = self.first_swap_free or event.at
        for value in range(event.entry, event.entry + event.nr):
            entry = self.entry(value)
            if self.tied(entry.allocated, event.at):
                self._unknown(entry)  # it may be of who had the slot before
            entry.last = event.at
        super().on_swap_free(event)
        if self.saturated:
            for value in self.saturated.intersection(range(event.entry, event.entry + event.nr)):
                self.entry(value).count = SWAP_MAP_MAX

    def on_swap_usage(self, event: e.SwapUsage) -> None:
        """What a free left in swap_map: in 2.6 the count alone."""
        super().on_swap_usage(event)
        if event.entry is None:
            self.unnamed = event.at.seq
        else:
            self.entry(event.entry).fetched = True
        if self.profile.cache_in_count and event.usage == SWAP_MAP_MAX and event.entry is not None:
            self._saturates(event.at, event.entry, self.entry(event.entry), fetched=True)

    def on_unuse_mm(self, event: e.UnuseMm) -> None:
        """swapoff brings back what the mm has on the area: which entries it frees, no line need name."""
        super().on_unuse_mm(event)
        if not self.carries.unuse_clears:
            self.walked[event.type] = event.at.seq

    # --- inuse_pages -------------------------------------------------------------------------------------------------

    def on_fetched_inuse(self, event: e.FetchedInuse) -> None:
        """inuse_pages: of an area in use never negative, and at least the slots that are known to be used."""
        super().on_fetched_inuse(event)
        before = event.at
        if event.name == "mmlist_drain":  # what the drain looked at, one area after the other, before the line
            call = self.swapoff_of(event.at)
            if call is None:
                return
            before = call.unuse_at or call.at
        for type_, pages in enumerate(event.inuse):
            area = self.areas.get(type_)
            if area is None or area.used is not True:
                continue
            if pages < 0:
                self.emit(InuseBelow(event.at, type_, pages, 0, None, event.name))
                continue
            if len(self.entries) <= pages or self._walked_unseen(type_, event.at):
                continue
            if not self.may_look(event.at):
                continue
            used = [
                value for value in self.entries if self.type_of(value) == type_ and self._used(value, event.at, before)
            ]
            if len(used) > pages:
                self.lows.append(Low(InuseBelow(event.at, type_, pages, len(used), None, event.name), used, before))

    def may_look(self, at: At) -> bool:
        """Whether all entries may be looked through again at line `at`: not in a log that asks for it with every line."""
        if self.looked + len(self.entries) > _WORK * at.seq + _WORK * 64:
            return False
        self.looked += len(self.entries)
        return True

    def _walked_unseen(self, type_: int, at: At) -> bool:
        """Whether a swapoff on another CPU may be letting go of entries of the area, without a line that names them."""
        if self.carries.unuse_clears:
            return False
        return any(call.type in (type_, None) for key, call in self.swapoffs.items() if key != self.key(at))

    def _used(self, value: int, at: At, before: At) -> bool:
        """Whether the slot is certainly in use at `at`, and was before `before` already."""
        entry = self.entries.get(value)
        if entry is None or self.tied(entry.last, at) or self.tied(entry.allocated, at):
            return False
        if before is not at and not self._since_before(entry.allocated, before):
            found = self._holder(value, entry, at)
            return found is not None and self._since_before(found[1].at, before)
        if self.surely_counted(value, entry) > self.profile.slot_count:
            return True
        return self._holder(value, entry, at) is not None

    def _since_before(self, one: At | None, before: At) -> bool:
        return one is not None and one.seq < before.seq and not self.tied(one, before)

    def _settle_lows(self, at: At | None) -> None:
        waiting = []
        for low in self.lows:
            change = low.change
            if at is change.at:
                waiting.append(low)
                continue
            low.next_seen = low.next_seen or at is None or at.cpu == change.at.cpu
            if not low.next_seen or not self._past(change.at, at):
                waiting.append(low)
                continue
            used = [value for value in low.used if self._still_used(value, change.at, low.before)]
            if len(used) > change.pages:
                change.known, change.example = len(used), self._example(used, change.at)
                change.reused = any(self.entries[value].reused for value in used)
                self.emit(change)
        self.lows = waiting

    def _still_used(self, value: int, at: At, before: At) -> bool:
        entry = self.entries.get(value)
        if entry is None or entry.freed_seq > at.seq or (entry.allocated is not None and entry.allocated.seq > at.seq):
            return False
        return self._used(value, at, before)

    def _example(self, used: list[int], at: At) -> tuple[int, Mm | None, At | None]:
        """One of the slots in use: whose, and the line that shows it."""
        for value in used:
            found = self._holder(value, self.entries[value], at)
            if found is not None:
                return value, found[0], found[1].at
        return used[0], None, self.entries[used[0]].at

    # --- the end of an mm --------------------------------------------------------------------------------------------

    def on_exit_mmap_ret(self, event: e.ExitMmapRet) -> None:
        """exit_mmap has given back what the mm held."""
        self._look_at_exit(event.mm)
        super().on_exit_mmap_ret(event)

    def on_mmput_ret(self, event: e.MmputRet) -> None:
        """__mmput is behind exit_mmap."""
        self._look_at_exit(event.mm)
        super().on_mmput_ret(event)

    def on_mm_free(self, event: e.MmFree) -> None:
        """check_mm looks for entries that the mm still counts (kernel/fork.c: check_mm)."""
        self._look_at_exit(event.mm)
        mm = self.mms.get(event.mm)
        holds = self.left.pop((mm.address, mm.generation), None) if mm is not None else None
        if mm is not None and holds:
            value, hold = next(iter(holds.items()))
            change = HeldAtFree(event.at, mm, value, hold, len(holds), mm.exit_ended)
            self.freed_holding.append((change, holds))
        super().on_mm_free(event)

    def _look_at_exit(self, address: int) -> None:
        mm = self.mms.get(address)
        if mm is None or mm.holdings is None or not self.carries.clears_explicit:
            return
        # What was freed since may have been this pte's: MADV_FREE clears one, too (mm/madvise.c: madvise_free_pte_range).
        holds = {
            value: hold
            for value, hold in mm.holdings.items()
            if self.certain(mm, hold) and self.entry(value).freed_seq <= hold.at.seq
        }
        if holds:
            self.left.setdefault((mm.address, mm.generation), holds)

    def _holds(self, change: HeldAtFree, holds: dict[int, Hold], event: e.Event | None) -> bool:
        """Whether it has yet to show that the freed mm held `holds`: a clear of equal time may have come before the free."""
        if isinstance(event, e.SwapClear) and event.mm in (change.mm.address, None):
            holds.pop(event.entry, None)
        if not holds:
            return False
        change.entry, change.hold = next(iter(holds.items()))
        change.entries = len(holds)
        return not self._told(change, event.at if event is not None else None)

    def on_swap_clear(self, event: e.SwapClear) -> None:
        """A pte lets go, be it after what its mm held was counted at exit_mmap's return."""
        if self.left:
            mm = self.mms.get(event.mm) if event.mm else None
            for key in [(mm.address, mm.generation)] if mm is not None else list(self.left):
                holds = self.left.get(key)
                if holds is not None and holds.pop(event.entry, None) is not None and not holds:
                    del self.left[key]
        holder = self.mms.get(event.mm) if event.mm else None
        hold = (holder.holdings or {}).get(event.entry) if holder is not None else None
        if event.mm and (holder is None or hold is None or not self.certain(holder, hold)):
            self.cleared[event.mm, event.entry] = event.at
            if len(self.cleared) > _CLEARED:
                del self.cleared[next(iter(self.cleared))]
        super().on_swap_clear(event)

    def on_swap_assign(self, event: e.SwapAssign) -> None:
        """A pte holds the entry, unless what let go of it was read before: a clear of equal time, a free since the duplicate."""
        super().on_swap_assign(event)
        cleared = self.cleared.pop((event.mm, event.entry), None) if self.cleared else None
        mm, entry = self.mms.get(event.mm), self.entries.get(event.entry)
        if mm is None or entry is None or event.entry not in (mm.holdings or ()):
            return
        freed = not event.observed and event.begin is not None and entry.freed_seq > event.begin.seq
        if freed or (cleared is not None and self.tied(cleared, event.at)):
            assert mm.holdings is not None
            mm.holdings[event.entry].since = -1
