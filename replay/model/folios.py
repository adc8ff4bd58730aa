"""Large folios, of which a probe that does not fetch how many pages they have names the first slot alone.

mm/swapfile.c: folio_alloc_swap, folio_dup_swap, folio_put_swap.

A folio is of 1, 2, 4 ... pages, and the slot of its first is a multiple of that. So what may have come to the slots behind the
first one ends with the first lot of them that it cannot have come to.
"""

from __future__ import annotations

from collections.abc import Iterator

from mmlist.replay import events as e
from mmlist.replay.model.holdings import Holdings
from mmlist.replay.model.mm import Hold


class Folios(Holdings):
    """What is not known of the slots behind the one that a line names."""

    def on_swap_alloc(self, event: e.SwapAlloc) -> None:
        """Those behind it may be handed out with it."""
        super().on_swap_alloc(event)
        if not event.sized:
            self._handed_out(event.entry)

    def on_swap_shmem(self, event: e.SwapShmem) -> None:
        """Those behind it may have gone to shmem with it."""
        super().on_swap_shmem(event)
        if not event.sized:
            self._handed_out(event.entry)

    def _handed_out(self, value: int) -> None:
        """What the slots behind count, if they were free, is not known. An event of its own names each slot."""
        if self.carries.allocs_visible:
            return
        for behind in _behind(value):
            known = [entry for one in behind if (entry := self.entries.get(one)) is not None]
            if any(entry.holders or entry.count for entry in known):
                return
            for entry in known:
                entry.count = None

    def on_swap_free_behind(self, event: e.SwapFreeBehind) -> None:
        """A fault brought in a folio: the mm held all of it (mm/memory.c: alloc_swap_folio, can_swapin_thp)."""
        for behind in _behind(event.entry):
            ptes = [self._ptes_of(value, event.mm) for value in behind]
            if not all(ptes):
                return
            for value, holds in zip(behind, ptes, strict=True):
                self.entry(value).count = None
                for hold in holds:
                    hold.doubts += 1

    def _ptes_of(self, value: int, address: int | None) -> list[Hold]:
        """How the mm at `address` (None: whoever) holds the entry."""
        entry = self.entries.get(value)
        holders = [self.holders.get(key) for key in (entry.holders or ())] if entry is not None else []
        return [
            mm.holdings[value]
            for mm in holders
            if mm is not None and mm.holdings is not None and value in mm.holdings and address in (None, mm.address)
        ]


def _behind(value: int) -> Iterator[range]:
    """The slots that a folio whose first is `value` has more for being of 2, 4, 8 ... pages."""
    size = 1
    while size < e.MOST_PAGES and value % (2 * size) == 0:
        yield range(value + size, value + 2 * size)
        size *= 2
