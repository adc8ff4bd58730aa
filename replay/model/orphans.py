"""Entries that have a count though every mm that could hold one has been freed (mm/swapfile.c: __swap_entry_free).

What a free left in swap_map is read from memory, so no missed call explains it. But a duplicate that was missed does (a
kretprobe has so many instances): then somebody holds the entry of whom the log does not know. So it takes several, and
a call whose return does not come keeps its entry out.
"""

from __future__ import annotations

from mmlist.replay import events as e
from mmlist.replay.model.changes import Unbalanced
from mmlist.replay.model.mm import Mm
from mmlist.replay.model.swap import Entry
from mmlist.replay.model.untaken import Untaken
from mmlist.replay.record import At

_TIMES = 3
"""Entries of this kind before it is told."""
_MOST = 1024
"""Entries that wait until whoever held them last is freed."""


class Orphans(Untaken):
    """The steps that name who may hold an entry, and those by which they all go."""

    orphans: dict[int, At]
    """Entries with a count left, and the line of the free that left it: all who could hold them are on their way out."""
    orphaned: int

    def forget_slots(self) -> None:
        """Nothing waits: at the beginning, and after a loss."""
        super().forget_slots()
        self.orphans = {}
        self.orphaned = 0

    def on_swap_alloc(self, event: e.SwapAlloc) -> None:
        """Nobody holds it yet."""
        super().on_swap_alloc(event)
        entry = self.entries[event.entry]
        entry.users, entry.strangers = {}, False
        self.orphans.pop(event.entry, None)

    def on_swap_duplicate(self, event: e.SwapDuplicate) -> None:
        """One more may hold it."""
        super().on_swap_duplicate(event)
        mm = self.mms.get(event.mm) if event.mm else None
        for value in range(event.entry, event.entry + event.nr):
            entry = self.entries[value]
            self.orphans.pop(value, None)
            if mm is None:
                entry.strangers = True
            elif entry.users is not None:
                entry.users[mm.address, mm.generation] = None

    def on_duplicate_unseen(self, event: e.DuplicateUnseen) -> None:
        """One more may hold it, of whom the log does not tell."""
        for value in range(event.entry, event.entry + event.nr):
            entry = self.entries.get(value)
            if entry is not None:
                entry.strangers = True
            self.orphans.pop(value, None)

    def on_swap_usage(self, event: e.SwapUsage) -> None:
        """What is left of the count: with nobody there to whom it belongs, it is for ever."""
        super().on_swap_usage(event)
        value = event.entry
        if value is None or self.balanced or self.profile.cache_in_count:
            return
        entry = self.entries[value]
        self.orphans.pop(value, None)
        if (
            entry.count
            and entry.at is event.at
            and self._users_known(entry)
            and all(self._goes(*one) for one in entry.users or ())
        ):
            self.orphans[value] = event.at
            if len(self.orphans) > _MOST:
                del self.orphans[next(iter(self.orphans))]

    def _users_known(self, entry: Entry) -> bool:
        """Whether the log tells of all who may hold the entry."""
        if not entry.users or entry.strangers or entry.shmem or entry.allocated is None:
            return False
        return entry.allocated.seq > self.loss_seq

    def _goes(self, address: int, generation: int) -> bool:
        mm = self.mms.get(address)
        return mm is None or mm.generation != generation or mm.exit_began is not None

    def on_mm_free(self, event: e.MmFree) -> None:
        """One less who could hold them."""
        mm = self.mms.get(event.mm)
        super().on_mm_free(event)
        if self.orphans and mm is not None:
            self._look_at_orphans(mm, event.at)

    def _look_at_orphans(self, mm: Mm, at: At) -> None:
        for value, freed in list(self.orphans.items()):
            entry = self.entries.get(value)
            if entry is None or (mm.address, mm.generation) not in (entry.users or ()):
                continue
            if any(self._lives_on(*one) for one in entry.users or ()):
                continue
            del self.orphans[value]
            area = self.areas.get(self.type_of(value))
            if area is not None and area.used is True:
                self.orphaned += 1
                if self.orphaned >= _TIMES:
                    self.emit(Unbalanced(at, value, mm, "orphaned", freed, entry.count or 0, 0, False, False, freed))

    def _lives_on(self, address: int, generation: int) -> bool:
        mm = self.mms.get(address)
        return mm is not None and mm.generation == generation
