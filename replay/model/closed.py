"""Areas that a swapoff has closed: no slot of theirs is handed out until it has failed (mm/swapfile.c: swapoff, try_to_unuse)."""

from __future__ import annotations

import msgspec

from mmlist.replay import events as e
from mmlist.replay.model.changes import AllocatedClosed
from mmlist.replay.model.slots import Slots
from mmlist.replay.model.swap import SwapoffCall
from mmlist.replay.record import At


class Closing(msgspec.Struct):
    """An area that a swapoff has closed, as its walk shows since `walk`. `firsts`: the first slot of each task since then."""

    call: SwapoffCall
    walk: At
    firsts: dict[int, At] = {}
    late: list[AllocatedClosed] = []


class ClosedAreas(Slots):
    """The steps that show an area closed, and slots of it handed out meanwhile."""

    closing: dict[int, Closing]

    def forget_slots(self) -> None:
        """No area is known to be closed: at the beginning, and after a loss."""
        super().forget_slots()
        self.closing = {}

    def on_swap_alloc(self, event: e.SwapAlloc) -> None:
        """A slot of an area that a swapoff walks: a task's first may have been taken before, not its second."""
        type_, key = self.type_of(event.entry), self.key(event.at)
        for closing in self.closing.values():
            if closing.call.type != type_ or self.tied(closing.walk, event.at):
                continue
            first = closing.firsts.setdefault(key, event.at)
            if first is not event.at and len(closing.late) < 16:
                closing.late.append(AllocatedClosed(event.at, closing.call, event.entry, closing.walk, first, event.at))
        super().on_swap_alloc(event)

    def on_swapoff(self, event: e.Swapoff) -> None:
        """The task's swapoff before this one is over, though its end may not be in the log."""
        self.closing.pop(self.key(event.at), None)
        super().on_swapoff(event)

    def walking(self, call: SwapoffCall, at: At) -> None:
        """The walk goes on: the area has been closed all the time since its first line."""
        super().walking(call, at)
        if call.type is None or not self.carries.swapoffs_visible:
            return
        closing = self.closing.get(call.key)
        if closing is None or closing.call is not call:
            self.closing[call.key] = Closing(call, at)
        else:
            self._was_closed(closing, at)
        self._resets(call.type)

    def _was_closed(self, closing: Closing, at: At) -> None:
        waiting = []
        for change in closing.late:
            if self.tied(change.at, at):
                waiting.append(change)
            else:
                change.until = at
                self.emit(change)
        closing.late = waiting

    def _resets(self, type_: int) -> None:
        """try_to_unuse of 2.6 makes saturated counts 1 when it has searched all mms."""
        for value in [value for value in self.saturated if self.type_of(value) == type_]:
            self.saturated.discard(value)
            if value in self.entries:
                self._unknown(self.entries[value])

    def on_try_to_unuse_ret(self, event: e.TryToUnuseRet) -> None:
        """The walk has ended; after a failure the area is opened again."""
        closing = self.closing.get(self.key(event.at))
        if closing is not None:
            self._was_closed(closing, event.at)
            if event.ret != 0:
                del self.closing[self.key(event.at)]
        super().on_try_to_unuse_ret(event)

    def on_swapoff_ret(self, event: e.SwapoffRet) -> None:
        """swapoff returned: with 0 its area was closed to the end, else it may have been opened before."""
        key = self.key(event.at)
        closing = self.closing.pop(key, None)
        if closing is not None and event.ret == 0:
            self._was_closed(closing, event.at)
        super().on_swapoff_ret(event)
        self.closing.pop(key, None)
