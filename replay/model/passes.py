"""Whether each pass of swapoff's walk meets all that is on mmlist (mm/swapfile.c: try_to_unuse, since 5.1).

A pass goes once round the list. It ends early only when inuse_pages is 0 or a signal is pending, and then no other pass
comes after it: what a pass that another one follows did not meet, though it was on mmlist all the time, was passed over.
"""

from __future__ import annotations

from mmlist.replay import events as e
from mmlist.replay.model.changes import PassedOver
from mmlist.replay.model.mm import Mm
from mmlist.replay.model.progress import Progress
from mmlist.replay.model.swap import SwapoffCall
from mmlist.replay.record import At


class Passes(Progress):
    """The steps of a walk, pass by pass. Only where passes, the mms that they meet, joins and removals are events."""

    def on_swapoff_pass(self, event: e.SwapoffPass) -> None:
        """A pass begins; if it is not the first, the one before it has ended."""
        super().on_swapoff_pass(event)
        call = self.swapoff_of(event.at)
        if call is not None:
            self._pass_ends(call, event.at)
            self._pass_begins(call, event.at)

    def on_mmlist_visit(self, event: e.MmlistVisit) -> None:
        """swapoff meets an mm. It skips none that has users: mmget_not_zero fails on no other."""
        call = self.swapoff_of(event.at)
        mm = self.mm_at(event.mm, event.at)
        if call is not None:
            call.seen[mm] = None
            if not event.got and (event.users or 0) > 0 and self.profile.name == "modern" and not call.passed_over:
                call.passed_over = True
                self.emit(PassedOver(event.at, call, mm, event.at, 1, self._has_entry(mm, call.type), event.users))
        super().on_mmlist_visit(event)

    def _pass_begins(self, call: SwapoffCall, at: At) -> None:
        call.pass_began = at
        call.seen.clear()

    def _pass_ends(self, call: SwapoffCall, at: At) -> None:
        began = call.pass_began
        if began is None or not call.seen or call.passed_over or began.seq <= self.loss_seq or self.broken is not None:
            return
        if self.profile.name != "modern" or not (self.carries.joins_explicit and self.carries.leaves_explicit):
            return
        missed = [mm for mm in self.members.values() if mm not in call.seen and self._there(mm, began)]
        if missed:
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
