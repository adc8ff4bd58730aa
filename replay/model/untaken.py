"""Duplicates of entries that no pte gets (mm/memory.c: copy_nonpresent_pte, mm/rmap.c: try_to_unmap_one).

Who duplicates an entry holds a page table lock until a pte has it, or until it has freed it again (pageout that gives up). So
a task that duplicates the next one, or is seen outside the page tables, has left a count behind that nobody will lower:
the slot is used for ever, and swapoff never ends. Told where ptes are hooks: probes alone do not say which pte got what.
"""

from __future__ import annotations

from mmlist.replay import events as e
from mmlist.replay.model.changes import Unbalanced
from mmlist.replay.model.unfreed import Unfreed
from mmlist.replay.record import At


class Untaken(Unfreed):
    """Duplicates of a task that wait for their pte, and the line that shows that it is not to come."""

    takes_seen: bool
    """Whether each duplicate and each pte that gets one is seen, and nobody else duplicates: 2.6's swap cache does."""

    def on_swap_duplicate(self, event: e.SwapDuplicate) -> None:
        """A task duplicates one entry, or one run of them, at a time."""
        if self.takes_seen:
            self._none_to_come(event.at)
        super().on_swap_duplicate(event)

    def outside_page_tables(self, event: e.Event) -> None:
        """Before a step on `event`, which shows its task outside the page tables: no pte gets a duplicate any more."""
        super().outside_page_tables(event)
        if self.takes_seen:
            self._none_to_come(event.at)

    def _none_to_come(self, at: At) -> None:
        waiting = self.pending_duplicates.get(self.key(at))
        if not waiting or not at.pid:
            return
        for value, step in waiting.items():
            self._never_taken(at, value, step)
        waiting.clear()

    def _never_taken(self, at: At, value: int, step: At) -> None:
        area, entry = self.areas.get(self.type_of(value)), self.entries.get(value)
        shmem = entry is not None and entry.shmem
        if area is not None and area.used is True and not shmem and not self.tied(step, at):
            count = entry.count or 0 if entry is not None else 0
            self.emit(Unbalanced(at, value, None, "duplicated", step, count, 0, False, False, step))
