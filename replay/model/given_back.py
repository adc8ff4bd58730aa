"""Whether who clears a swap pte gives its entry back (mm/memory.c: zap_pte_range, do_swap_page; mm/swapfile.c: unuse_pte).

Only where each clear and each free is an event of its own, and no probe's: a probed free may be inlined and not show.
"""

from __future__ import annotations

from mmlist.replay import events as e
from mmlist.replay.model.changes import NotFreed
from mmlist.replay.model.mm import Mm
from mmlist.replay.model.passes import Passes
from mmlist.replay.record import At

_MOVED_ON = (e.Mmput, e.MmInit, e.ExecMmap, e.ExitMmapRet, e.TaskExit, e.MmFork, e.TaskNew)
"""What a task does not do between clearing a pte and giving back what it held."""


class GivenBack(Passes):
    """The steps by which an entry is given back."""

    owed: dict[int, dict[int, tuple[At, Mm]]]
    """What each task cleared a pte of and has not given back yet."""

    def on_swap_clear(self, event: e.SwapClear) -> None:
        """A pte no longer holds the entry: its task gives it back next, or has just done so."""
        mm = self.mms.get(event.mm) if event.mm else None
        if mm is not None and event.observed and self.carries.clears_explicit and self.carries.frees_explicit:
            waiting = self.owed.setdefault(self.key(event.at), {})
            if event.entry in waiting:
                del waiting[event.entry]  # which of the two was given back is not known
            elif mm.holdings is not None and event.entry in mm.holdings:
                waiting[event.entry] = (event.at, mm)
        super().on_swap_clear(event)

    def on_swap_free(self, event: e.SwapFree) -> None:
        """Given back."""
        waiting = self.owed.get(self.key(event.at))
        if waiting:
            for value in range(event.entry, event.entry + event.nr):
                waiting.pop(value, None)
        super().on_swap_free(event)

    def moved_on(self, event: e.Event) -> None:
        """A task does something else: what it cleared and did not give back, it has kept."""
        if not isinstance(event, _MOVED_ON):
            return
        for value, (at, mm) in self.owed.pop(self.key(event.at), {}).items():
            if at.seq > self.loss_seq:
                self.emit(NotFreed(event.at, value, mm, at))
