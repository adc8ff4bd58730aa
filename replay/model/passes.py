"""Whether each pass of swapoff's walk meets all that is on mmlist (mm/swapfile.c: try_to_unuse, since 5.1).

A pass goes once round the list. It ends early only when inuse_pages is 0 or a signal is pending, and then no other pass
comes after it: what a pass that another one follows did not meet, though it was on mmlist all the time, was passed over.
Of an mm that it walks it brings back what was there when it came, this time or the next.
"""

from __future__ import annotations

from mmlist.replay import events as e
from mmlist.replay.model.changes import LeftBehind, PassedOver
from mmlist.replay.model.mm import MEMBER, Mm
from mmlist.replay.model.progress import Progress
from mmlist.replay.model.swap import SwapoffCall
from mmlist.replay.record import At

LEFT_BEHIND = 3
"""Walks that leave the same entry of an mm behind. Since 6.18 one may: its page just left the cache (unuse_pte_range)."""


class Passes(Progress):
    """The steps of a walk, pass by pass.

    The mms that it meets are events, or those that it puts; joins and removals are events, or what a fetch shows later.
    """

    def on_swapoff_pass(self, event: e.SwapoffPass) -> None:
        """A pass begins; if it is not the first, the one before it has ended."""
        super().on_swapoff_pass(event)
        call = self.swapoff_of(event.at)
        if call is not None:
            self._walked_whole(call, event.at)
            call.visited = None
            self._pass_ends(call, event.at)
            self._pass_begins(call, event.at)

    def on_mmlist_visit(self, event: e.MmlistVisit) -> None:
        """swapoff meets an mm. It skips none that has users: mmget_not_zero fails on no other."""
        call = self.swapoff_of(event.at)
        mm = self.mm_at(event.mm, event.at)
        if call is not None:
            self._walked_whole(call, event.at)
            if not call.fact.passes and (mm in call.seen or call.pass_began is None):
                self._pass_ends(call, event.at)  # who is met again is met in another pass
                self._pass_begins(call, event.at)
            call.seen[mm] = None
            call.visited = (mm, event.at) if event.got else None
            if not event.got and (event.users or 0) > 0 and self.profile.name == "modern" and not call.passed_over:
                call.passed_over = True
                self.emit(PassedOver(event.at, call, mm, event.at, 1, self._has_entry(mm, call.type), event.users))
        super().on_mmlist_visit(event)

    def on_unuse_mm(self, event: e.UnuseMm) -> None:
        """It walks an mm, and so has met it."""
        super().on_unuse_mm(event)
        call = self.swapoff_of(event.at)
        if call is not None:
            call.seen[self.mm_at(event.mm, event.at)] = None

    def on_mmput(self, event: e.Mmput) -> None:
        """It lets go of whom it met before."""
        if self.swapoffs:
            call, mm = self.swapoff_of(event.at), self.mms.get(event.mm)
            if call is not None and mm is not None:
                call.seen[mm] = None
        super().on_mmput(event)

    def on_fetched(self, event: e.Fetched) -> None:
        """An mm that a pass seemed not to meet is linked still, and has users: it had them all the time."""
        super().on_fetched(event)
        for call in self.swapoffs.values() if self.swapoffs else ():
            if call.missed and not call.passed_over:
                self._met_none(call, event)

    def _met_none(self, call: SwapoffCall, event: e.Fetched) -> None:
        mm = self.mms.get(event.mm)
        ended = call.missed.pop(mm, None) if mm is not None else None
        if mm is None or ended is None or not event.users or mm.dying or mm.listed != MEMBER:
            return
        if mm.linked_seen is event.at and self._there(mm, ended[0]):
            call.passed_over = True
            self.emit(PassedOver(ended[1], call, mm, ended[0], 1, self._has_entry(mm, call.type), None, event.at))

    def _walked_whole(self, call: SwapoffCall, at: At) -> None:
        """The walk goes on to the next mm: unuse_mm has brought back all that the one before had on the area."""
        if call.visited is None or call.passed_over or not self._unuse_shown:
            return
        mm, visited = call.visited
        if mm.fork_failed is not None or mm.dying or visited.seq <= self.loss_seq:
            return
        for value, hold in (mm.holdings or {}).items():
            before = hold.at.seq < visited.seq and not self.tied(hold.at, visited)
            if value >> self.shift == call.type and before and self.certain(mm, hold) and not self.tied(visited, at):
                times, first = call.left_behind.get((mm, value), (0, visited))
                call.left_behind[mm, value] = (times + 1, first)
                if times + 1 == LEFT_BEHIND:
                    call.passed_over = True
                    self.emit(LeftBehind(at, call, mm, first, value, hold))
                    return

    @property
    def _unuse_shown(self) -> bool:
        """Whether all that unuse_mm brings back is an event, and it walks an mm once for all of its entries (5.1)."""
        carries = self.carries
        shown = carries.unuse_clears and carries.clears_explicit and carries.assigns_explicit
        return shown and self.profile.name == "modern"

    def _pass_begins(self, call: SwapoffCall, at: At) -> None:
        call.pass_began = at
        call.seen.clear()

    def _pass_ends(self, call: SwapoffCall, at: At) -> None:
        began = call.pass_began
        if began is None or call.passed_over or began.seq <= self.loss_seq or self.broken is not None:
            return
        if not (call.seen or self.carries.puts_visible):
            return
        if self.profile.name != "modern" or not self.carries.swapoffs_visible:
            return  # without swapoff in the log this walk may be the next one's
        missed = [mm for mm in self.members.values() if mm not in call.seen and self._there(mm, began)]
        if not (self.carries.joins_explicit and self.carries.leaves_explicit):
            call.missed = {mm: (began, at) for mm in missed if mm.confirmed}
        elif missed:
            call.passed_over = True
            first = next((mm for mm in missed if self._has_entry(mm, call.type)), missed[0])
            self.emit(PassedOver(at, call, first, began, len(missed), self._has_entry(first, call.type)))

    def _there(self, mm: Mm, began: At) -> bool:
        """Whether `mm` has been on mmlist since before the pass began."""
        joined = mm.joined
        return joined is not None and joined.seq < began.seq and not self.tied(joined, began) and self.list_known(mm)

    def _has_entry(self, mm: Mm, type_: int | None) -> bool:
        return any(
            value >> self.shift == type_ and self.certain(mm, hold) for value, hold in (mm.holdings or {}).items()
        )
