"""Who holds which swap entry, what counts the entries have, and the check that a holder is listed (mm/swapfile.c)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque

from mmlist.replay import events as e
from mmlist.replay.facts import Holding
from mmlist.replay.model.changes import Assigned, Counted, JoinedEarly, Named, Unlisted
from mmlist.replay.model.mm import APART, OFF, REMOVED, Hold, Mm
from mmlist.replay.model.nr import Numbers
from mmlist.replay.model.swap import Area, Entry, SwapoffCall
from mmlist.replay.record import At

UNDERFLOW = 255
"""swap_map after a free of an unused entry: 0 - 1 in an unsigned char (mm/swapfile.c: __swap_entry_free_locked)."""
UNDERFLOW_26 = 0xFFFF
"""The same in an unsigned short, where 255 is a count like any other (2.6 mm/swapfile.c: swap_entry_free)."""

_PENDING = 4096
"""Duplicates of one task that wait for their pte; shmem's never come, so of more the oldest go."""
_HOARDED, _HOARDERS = 256, 128
"""So many tasks may have more than _HOARDED of them: no kernel does that."""

_HAS_CACHE, _CONTINUED = 0x40, 0x80


class Holdings(Numbers, ABC):
    """The steps on swap entries."""

    pending_duplicates: dict[int, dict[int, At]]
    hoarders: set[int]
    forgot: str  # why no more is known than where events were lost, if so
    suspects: dict[tuple[int, int], tuple[Unlisted, set[int]]]
    early_joins: dict[int, JoinedEarly]
    swapons: dict[int, e.Swapon]
    at_rest: deque[int]
    most_at_rest: int
    """Entries that were freed, and that nobody is known to hold, which are kept: of older ones nothing is known any more."""
    most_entries: int
    """Entries that are kept whatever their count is, if nobody is known to hold them."""

    def swapoff_of(self, at: At) -> SwapoffCall | None:
        """The swapoff that the task of `at` is in."""
        return self.swapoffs.get(self.key(at))

    @abstractmethod
    def join_assigned(self, mm: Mm, entry: int, why: str, at: At) -> None:
        """Carry out the join that comes with an assignment."""

    @abstractmethod
    def place_assigned(self, mm: Mm, why: str, at: At) -> None:
        """Judge where the join was that comes with an assignment."""

    @abstractmethod
    def on_lost(self, event: e.Lost) -> None:
        """What was known may have changed unseen."""

    @abstractmethod
    def drained_one(self, call: SwapoffCall, at: At) -> None:
        """A drain of `call` takes a member off."""

    # --- areas -------------------------------------------------------------------------------------------------------

    def area(self, type_: int) -> Area:
        """The area of `type_`, made if it was never named."""
        area = self.areas.get(type_)
        if area is None:
            area = self.areas[type_] = Area(type_)
        return area

    def entry(self, value: int) -> Entry:
        """The entry of `value`, made if it was never named."""
        entry = self.entries.get(value)
        if entry is None:
            entry = self.entries[value] = Entry()
        return entry

    def forget_entries(self) -> None:
        """Of the entries that no mm is known to hold, half leave the model: those that have been in it for longest.

        In the swap cache, or shmem's, or held unseen: a line may name more of them than it has bytes.
        """
        unheld = [value for value, entry in self.entries.items() if entry.holders is None]
        self.most_entries = max(self.most_entries, 2 * (len(self.entries) - len(unheld)))
        for value in unheld[: len(unheld) // 2 + 1]:
            del self.entries[value]

    def name(self, value: int, at: At, what: str, mm: Mm | None) -> None:
        """An entry was named: its area cannot be one that a swapoff emptied and closed, and no swapon is opening again."""
        area = self.area(value >> self.shift)
        if self.swapons or not self.carries.swapons_visible:
            return
        if area.used is False and area.closed is not None and not self.tied(area.closed, at):
            self.emit(Named(at, value, area.type, area.closed, what, mm, area.told))
            area.used = area.closed = None

    # --- slots and counts --------------------------------------------------------------------------------------------

    def on_swap_alloc(self, event: e.SwapAlloc) -> None:
        """A slot is handed out; its area is in use."""
        area = self.area(event.entry >> self.shift)
        if area.used is None:
            area.used, area.named = True, event.at
        entry = self.entry(event.entry)
        entry.fresh = self.profile.slot_count == 0
        entry.count = None if entry.fresh else self.profile.slot_count
        entry.seq, entry.at = event.at.seq, event.at
        entry.counted_since = event.at
        entry.cached, entry.shmem = True, False

    def on_swap_duplicate(self, event: e.SwapDuplicate) -> None:
        """mm/swapfile.c: swap_duplicate: the count goes up."""
        key = self.key(event.at)
        self.joined_early(key)
        pending = self.pending_duplicates.setdefault(key, {})
        mm = self.mm_at(event.mm, event.at) if event.mm else None
        for value in range(event.entry, event.entry + event.nr):
            self.name(value, event.at, "swap_duplicate", mm)
            pending[value] = event.at
            self._count(value, event.at, "duplicate", 1, mm)
        if len(pending) > _HOARDED:
            self._hoards(key, pending, event)

    def _hoards(self, key: int, pending: dict[int, At], event: e.SwapDuplicate) -> None:
        """Task `key` has many duplicates that wait: room for some, and for those of `event` whatever they are."""
        if len(pending) > _PENDING:  # anew: one that shrinks keeps its room
            self.pending_duplicates[key] = dict(list(pending.items())[-max(_PENDING // 2, event.nr) :])
        self.hoarders.add(key)
        if len(self.hoarders) > _HOARDERS:
            self.hoarders = {one for one, its in self.pending_duplicates.items() if len(its) > _HOARDED}
            if len(self.hoarders) > _HOARDERS:
                self.on_lost(e.Lost(event.at, None, None, None, None, ""))
                self.forgot = f"more duplicates that no pte got than can be kept: forgotten at line {event.at.line}"

    def on_swap_free(self, event: e.SwapFree) -> None:
        """mm/swapfile.c: swap_free: the count goes down."""
        pending = self.pending_duplicates.get(self.key(event.at))
        for value in range(event.entry, event.entry + event.nr):
            self.name(value, event.at, "swap_free", None)
            if pending is not None:
                pending.pop(value, None)
            self._count(value, event.at, "free", -1, None)
            self.entry(value).freed_seq = event.at.seq
            self._rests(value)
        if self.suspects and not pending:
            self.settle_suspects(self.key(event.at))

    def _rests(self, value: int) -> None:
        """Of the entries that nobody holds, the one that has been free for longest leaves the model."""
        self.at_rest.append(value)
        if len(self.at_rest) > self.most_at_rest:
            oldest = self.at_rest.popleft()
            entry = self.entries.get(oldest)
            if entry is not None and entry.holders is None and not entry.count and not entry.reused:
                del self.entries[oldest]

    def _count(self, value: int, at: At, what: str, by: int, mm: Mm | None) -> None:
        entry = self.entry(value)
        known = self.carries.counts_visible and entry.seq > max(self.released, self.loss_seq)
        if entry.fresh and by > 0 and known:
            entry.count = 0
        entry.fresh = False
        before = entry.count if known else None
        if before == 0:
            self.emit(Counted(at, value, what, None, entry, mm, entry.at, entry.counted_since))
        if before is None:
            entry.count = None
        else:
            entry.count, entry.seq, entry.at = max(0, before + by), at.seq, at
        if entry.count == 0 and self.profile.cache_in_count:
            entry.cached = False

    def on_swap_usage(self, event: e.SwapUsage) -> None:
        """What __swap_entry_free left in swap_map: count, SWAP_HAS_CACHE 0x40, COUNT_CONTINUED 0x80."""
        mm = self.mm_at(event.mm, event.at) if event.mm else None
        entry = self.entry(event.entry) if event.entry is not None else None
        if event.usage == (UNDERFLOW_26 if self.profile.cache_in_count else UNDERFLOW):
            self.emit(Counted(event.at, event.entry, "usage", event.usage, entry, mm))
        if entry is not None and self.profile.cache_in_count:  # an unsigned short without flags
            entry.count, entry.seq, entry.at = event.usage, event.at.seq, event.at
        elif entry is not None and not event.usage & _CONTINUED:
            entry.count, entry.seq, entry.at = event.usage & ~_HAS_CACHE, event.at.seq, event.at
            entry.counted_since = event.at
            entry.cached = bool(event.usage & _HAS_CACHE)

    def on_swap_shmem(self, event: e.SwapShmem) -> None:
        """shmem holds the entry, without an mm."""
        entry = self.entry(event.entry)
        entry.shmem, entry.count = True, None

    def on_put_swap_folio(self, event: e.PutSwapFolio) -> None:
        """The swap cache lets go: with count 0 the slot is free."""
        entry = self.entries.get(event.entry)
        if entry is None:
            return
        entry.cached = False
        if entry.count == 0 and not entry.holders and entry.seq > max(self.released, self.loss_seq):
            entry.at = event.at

    def joined_early(self, key: int) -> None:
        """What comes next on task `key` shows that it joined an mm before it duplicated an entry for it."""
        early = self.early_joins.pop(key, None)
        if early is not None:
            self.emit(early)

    def has_pending_duplicate(self, at: At) -> bool:
        """Whether the task of `at` has duplicated an entry that no pte holds yet."""
        return bool(self.pending_duplicates.get(self.key(at)))

    # --- holdings ----------------------------------------------------------------------------------------------------

    def on_swap_assign(self, event: e.SwapAssign) -> None:
        """A pte of the mm now holds the entry."""
        mm = self.mm_at(event.mm, event.at)
        entry = self.entry(event.entry)
        pending = self.pending_duplicates.get(self.key(event.at))
        duplicate = pending.pop(event.entry, None) if pending is not None else None
        duplicated = duplicate is not None
        if event.observed and self.early_joins:
            early = self.early_joins.get(self.key(event.at))
            if early is not None and early.mm is mm and not duplicated and (event.why == "fork" or entry.fresh):
                del self.early_joins[self.key(event.at)]
            else:
                self.joined_early(self.key(event.at))
        self.name(event.entry, event.at, "swap_assign", mm)
        begin = event.begin or event.at
        if mm.holdings is None:
            mm.holdings = {}
            self.holders[mm.address, mm.generation] = mm
        hold = mm.holdings.get(event.entry)
        if hold is None:
            hold = mm.holdings[event.entry] = Hold(
                event.entry >> self.shift, 0, begin.seq, begin, event.why, event.observed, duplicate
            )
            if entry.holders is None:
                entry.holders = {}
            entry.holders[mm.address, mm.generation] = None
        if hold.count and not self.certain(mm, hold):
            hold.count = hold.doubts = 0  # a release may have been of the one before: only this one is known to be held
        hold.count += 1
        if entry.freed_seq <= begin.seq:
            hold.since = begin.seq
        if entry.count is not None and entry.count < len(entry.holders or ()):
            entry.count = None  # more holders than counted: not every duplicate is in the log
        if self.suspects and not pending:
            self.settle_suspects(self.key(event.at))
        if event.observed and not self.carries.joins_explicit:
            self.join_assigned(mm, event.entry, event.why, event.at)
        if event.observed and mm.placed is not None:
            self.place_assigned(mm, event.why, event.at)
        if event.observed and not duplicated:
            self.emit(Assigned(event.at, mm, event.entry, event.why))
        if event.observed:
            self.check_unlisted(mm, event.at, "assigned", inferred=False, entry=event.entry)

    def on_swap_clear(self, event: e.SwapClear) -> None:
        """A pte no longer holds the entry; where nobody says whose, its only holder's, else anybody's."""
        mm = self.mms.get(event.mm) if event.mm else None
        entry = self.entries.get(event.entry)
        if mm is not None and (mm.holdings is None or event.entry not in mm.holdings) and not event.observed:
            mm = None
        if mm is None and entry is not None and entry.holders:
            if len(entry.holders) > 1:
                self._doubt(event.entry, entry)
                return
            mm = self.holders.get(next(iter(entry.holders)))
        if mm is not None:
            self._clear(mm, event.entry, event.at, event.why)

    def _doubt(self, value: int, entry: Entry) -> None:
        """One of several holders let go: none of them certainly holds it any more."""
        for key in list(entry.holders or ()):
            holder = self.holders.get(key)
            if holder is not None and holder.holdings is not None and value in holder.holdings:
                holder.holdings[value].since = -1

    def _clear(self, mm: Mm, value: int, at: At, why: str) -> None:
        hold = mm.holdings.get(value) if mm.holdings is not None else None
        if hold is None:
            return
        hold.count -= 1
        if hold.count <= 0:
            self._drop(mm, value, hold, at, why)

    def _drop(self, mm: Mm, value: int, hold: Hold, at: At, why: str) -> None:
        assert mm.holdings is not None
        del mm.holdings[value]
        self.facts.append(
            Holding(
                mm.address, mm.generation, value, hold.at.line, hold.at.ts, hold.why, at.line, at.ts, why,
                "observed" if hold.observed else "inferred",
            )
        )  # fmt: skip
        if not mm.holdings:
            mm.holdings = None
            self.holders.pop((mm.address, mm.generation), None)
            self.suspects.pop((mm.address, mm.generation), None)
        entry = self.entries.get(value)
        if entry is None:
            return
        if entry.holders is not None:
            entry.holders.pop((mm.address, mm.generation), None)
            if not entry.holders:
                entry.holders = None
        if entry.holders is None and (entry.count is None or (entry.count == 0 and not entry.cached)):
            del self.entries[value]

    def clear_all(self, mm: Mm, at: At, why: str, type_: int | None = None) -> None:
        """Every holding of `mm` (of area `type_`, if given) ends here."""
        if mm.holdings is None:
            return
        ends = why in ("exit", "freed") and not self.carries.clears_explicit
        if ends and any(self.certain(mm, hold) for hold in mm.holdings.values()):
            self.unseen_release = at
        for value, hold in list(mm.holdings.items()):
            if type_ is None or value >> self.shift == type_:
                self._drop(mm, value, hold, at, why)

    def open_holdings(self, mm: Mm) -> list[Holding]:
        """What `mm` holds still, as facts with an open end."""
        return [
            Holding(
                mm.address, mm.generation, value, hold.at.line, hold.at.ts, hold.why,
                evidence="observed" if hold.observed else "inferred",
            )
            for value, hold in (mm.holdings or {}).items()
        ]  # fmt: skip

    def on_swap_release(self, event: e.SwapRelease) -> None:
        """An entry that nobody names was released: what was held before is no longer certain."""
        if event.mm is None:
            self.released = event.at.seq
        else:
            mm = self.mm_at(event.mm, event.at)
            mm.release(event.at.seq, event.type)
            for value, hold in (mm.holdings or {}).items():
                if event.type in (None, hold.type):
                    self.entry(value).seq = 0

    def certain(self, mm: Mm, hold: Hold) -> bool:
        """Whether `mm` certainly holds it still: no release unseen, unnamed, of who knows whom, or lost can have come since."""
        if self.unseen_release is not None or hold.doubts:
            return False
        if not self.carries.unuse_visible and (self.swapoffs or not self.carries.swapoffs_visible):
            return False
        if mm.released_of is not None and hold.since <= mm.released_of.get(hold.type, 0):
            return False
        return self.carries.releases_visible and hold.since > max(mm.released, self.released, self.loss_seq)

    def certain_holding(self, mm: Mm, prefer: int | None = None) -> tuple[int, Hold] | None:
        """An entry of an area in use that `mm` certainly holds: `prefer`, just assigned, or the one held for longest."""
        if mm.holdings is None:
            return None
        if prefer is not None and prefer in mm.holdings and self._in_use(prefer):
            return prefer, mm.holdings[prefer]  # assigned by this very line
        for value, hold in mm.holdings.items():
            if self._in_use(value) and self.certain(mm, hold):
                return value, hold
        return None

    def _in_use(self, value: int) -> bool:
        area = self.areas.get(value >> self.shift)
        return area is not None and area.used is True

    # --- a holder must be listed -------------------------------------------------------------------------------------

    def check_unlisted(self, mm: Mm, at: At, why: str, *, inferred: bool, entry: int | None = None) -> None:
        """Emit Unlisted if `mm` certainly holds an entry and is certainly off mmlist, no join of another task under way."""
        if mm.holdings is None or mm.listed not in (OFF, APART, REMOVED) or mm.dying or not self.profile.swap_only:
            return
        if not self.list_known(mm):
            return
        found = self.certain_holding(mm, entry)
        if found is None:
            return
        change = Unlisted(at, mm, found[0], found[1], why, mm.left or mm.born or at, inferred)
        waiting = self._may_join(mm, at) if why == "assigned" else set()
        if waiting:
            self.suspects[mm.address, mm.generation] = (change, waiting)
        else:
            self.emit(change)

    def _may_join(self, mm: Mm, at: At) -> set[int]:
        """The other tasks that may be about to link `mm`: inside a bracket of it, or with a duplicate not yet assigned."""
        tasks = set(mm.joining or ())
        tasks.update(key for key, pending in self.pending_duplicates.items() if pending)
        tasks.discard(self.key(at))
        return tasks

    def settle_suspects(self, key: int) -> None:
        """Task `key` has done what it was about to do: whom it did not link, it was not linking."""
        for identity, (change, waiting) in list(self.suspects.items()):
            waiting.discard(key)
            if waiting:
                continue
            del self.suspects[identity]
            if change.mm.listed in (OFF, APART, REMOVED) and not change.mm.dying:
                self.emit(change)
