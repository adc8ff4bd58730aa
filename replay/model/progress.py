"""Whether a swapoff gets anywhere: passes, and time, in which no entry of its area is let go (mm/swapfile.c: try_to_unuse).

try_to_unuse goes over the list until inuse_pages of the area is 0, in modern kernels without a limit. Several passes are
normal: an mm in its exit_mmap is skipped and gives its entries back itself.
"""

from __future__ import annotations

from mmlist.replay import events as e
from mmlist.replay.model.changes import Holder, NoProgress
from mmlist.replay.model.failures import EINTR, errno
from mmlist.replay.model.mm import APART, OFF, REMOVED
from mmlist.replay.model.swap import SwapoffCall
from mmlist.replay.model.walks import Walks
from mmlist.replay.record import At

PASSES_UNLISTED = 3
"""Passes without fewer entries that are enough where an mm that swapoff cannot find certainly holds one."""
PASSES_HELD = 8
"""... where a live mm, which every pass meets, certainly holds one."""
PASSES = 100
"""... in all other cases: an exit_mmap on another CPU lasts many passes (a correct kernel was seen to need one or two)."""
SECONDS = 10
"""Seconds without fewer entries that are enough, whatever was passed."""

_FREES = frozenset({e.SwapFree, e.SwapClear, e.SwapUsage, e.PutSwapFolio, e.SwapRelease})


class Progress(Walks):
    """The steps by which a swapoff gets on, or not."""

    def progressed(self, event: e.Event) -> None:
        """While swapoffs run, every step is looked at: an entry let go is progress, and time goes by."""
        freed = type(event) in _FREES and not (type(event) is e.SwapRelease and event.usage is None)
        value = getattr(event, "entry", None) if freed else None
        for call in self.swapoffs.values():
            if call.idle_since is None:
                continue
            if freed and (value is None or call.type is None or value >> self.shift == call.type):
                self._gets_on(call, event.at)
            elif self.second is not None and call.stalled is None and event.at.ts is not None:
                begun = call.idle_since.ts
                if begun is not None and event.at.ts - begun >= SECONDS * self.second:
                    self._stalls(call, event.at)

    def _gets_on(self, call: SwapoffCall, at: At) -> None:
        call.idle_since, call.idle_over, call.idle_passes = at, None, 0
        if call.stalled is not None and call.stalled.resumed is None:
            call.stalled.resumed = at

    def on_fetched_inuse(self, event: e.FetchedInuse) -> None:
        """Fewer pages in use is progress, too."""
        for call in self.swapoffs.values():
            before = call.pages_left(call.inuse)
            now = call.pages_left(event.inuse)
            if before is not None and now is not None and now < before:
                self._gets_on(call, event.at)
        super().on_fetched_inuse(event)

    def walking(self, call: SwapoffCall, at: At) -> None:
        """The walk goes on; with its first step the waiting for progress begins."""
        if call.idle_since is None and call.ended is None and self._frees_visible():
            call.idle_since = at
        super().walking(call, at)

    def _frees_visible(self) -> bool:
        return self.carries.releases_visible or self.carries.usage_visible

    def on_swapoff_pass(self, event: e.SwapoffPass) -> None:
        """A pass begins."""
        super().on_swapoff_pass(event)
        call = self.swapoff_of(event.at)
        if call is not None:
            self._pass(call, event.at)

    def on_mmlist_visit(self, event: e.MmlistVisit) -> None:
        """Where the beginnings of passes are no events, the second visit to an mm is in another pass."""
        super().on_mmlist_visit(event)
        call = self.swapoff_of(event.at)
        if call is None or call.fact.passes:
            return
        if event.mm in call.met:
            call.met.clear()
            self._pass(call, event.at)
        call.met.add(event.mm)

    def _pass(self, call: SwapoffCall, at: At) -> None:
        if call.idle_since is None:
            return
        call.idle_passes += 1
        passed = call.idle_passes - 1  # the one that begins has yet to show what it does
        if call.stalled is not None:
            if call.stalled.resumed is None:
                call.stalled.passes, call.stalled.until = passed, at
            return
        if passed >= PASSES:
            self._stalls(call, at)
        elif passed in (PASSES_UNLISTED, PASSES_HELD):
            left = self._left(call)
            enough = PASSES_HELD if not any(one.unlisted and one.certain for one in left) else PASSES_UNLISTED
            if passed >= enough and any(one.certain and not one.mm.dying for one in left):
                self._stalls(call, at)

    def _stalls(self, call: SwapoffCall, at: At) -> None:
        assert call.idle_since is not None
        pages = call.pages_left(call.inuse)
        call.stalled = NoProgress(at, call, call.idle_since, at, max(call.idle_passes - 1, 0), self._left(call), pages)

    def _left(self, call: SwapoffCall) -> list[Holder]:
        """Who holds entries of the area, so far as known."""
        found = []
        for mm in self.holders.values():
            holds = [hold for value, hold in (mm.holdings or {}).items() if value >> self.shift == call.type]
            if holds:
                certain = any(self.certain(mm, hold) for hold in holds)
                off = mm.listed in (OFF, APART, REMOVED) and self.list_known(mm) and not mm.dying
                found.append(Holder(mm, len(holds), certain, off, mm.listed, mm.dying))
        return found

    def on_swapoff_ret(self, event: e.SwapoffRet) -> None:
        """swapoff returned: what stopped it for a time, or for good, can be told."""
        call = self.swapoff_of(event.at)
        if call is not None and call.stalled is not None:
            call.stalled.ended, call.stalled.killed = event.at, errno(event.ret) == EINTR
            self.emit(call.stalled)
        if call is not None:
            call.idle_since = None
        super().on_swapoff_ret(event)

    def unfinished(self) -> None:
        """The log has ended, and swapoffs have not."""
        for call in self.swapoffs.values():
            if call.stalled is not None:
                self.emit(call.stalled)
