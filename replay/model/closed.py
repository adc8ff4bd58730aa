"""Areas that a swapoff has closed: no slot of theirs is handed out until it has failed (mm/swapfile.c: swapoff, try_to_unuse)."""

from __future__ import annotations

import msgspec

from mmlist.replay import events as e
from mmlist.replay.model.changes import AllocatedClosed, LeftCounted
from mmlist.replay.model.slots import Slots
from mmlist.replay.model.swap import SwapoffCall
from mmlist.replay.record import At

_LATE = 16
"""Slots of a closed area that wait for the walk to go on."""


class Closing(msgspec.Struct):
    """An area that a swapoff has closed, as its walk shows since `walk`."""

    call: SwapoffCall
    walk: At
    late: list[AllocatedClosed] = []


class ClosedAreas(Slots):
    """The steps that show an area closed, and slots of it handed out meanwhile."""

    closing: dict[int, Closing]
    steps: dict[int, tuple[At, str]]
    """Of each task the last slot that it was handed, or pte that it set, while an area was closed, and the function's name."""
    left_counted: list[LeftCounted]
    """Told when no line of equal time can come that frees the entry."""

    def forget_slots(self) -> None:
        """No area is known to be closed: at the beginning, and after a loss."""
        super().forget_slots()
        self.closing = {}
        self.steps = {}
        self.left_counted = []

    def settle_slots(self, event: e.Event | None) -> None:
        """Before a step on `event` (None: the log has ended): what an area was left with is told, unless it was freed."""
        if self.left_counted:
            at = event.at if event is not None else None
            self.left_counted = [one for one in self.left_counted if self._counts(one) and not self._told(one, at)]
        super().settle_slots(event)

    def _counts(self, change: LeftCounted) -> bool:
        entry = self.entries.get(change.entry)
        return entry is None or entry.freed_seq <= change.at.seq

    def on_swap_alloc(self, event: e.SwapAlloc) -> None:
        """A slot of an area that a swapoff walks: a task's first step may have been under way before, not its second."""
        if self.closing:
            self._late(event)
            self.steps[self.key(event.at)] = event.at, "get_swap_pages"
        super().on_swap_alloc(event)

    def _late(self, event: e.SwapAlloc) -> None:
        type_, step = self.type_of(event.entry), self.steps.get(self.key(event.at))
        if step is None:
            return
        before, site = step
        for closing in self.closing.values():
            if closing.call.type != type_ or before.seq <= closing.walk.seq or self.tied(closing.walk, before):
                continue
            if len(closing.late) < _LATE:
                change = AllocatedClosed(
                    event.at, closing.call, type_, event.entry, closing.walk, before, site, event.at
                )
                closing.late.append(change)

    def on_swap_assign(self, event: e.SwapAssign) -> None:
        """A step of a task that it does not do while it is handed a slot."""
        if self.closing and event.observed:
            self.steps[self.key(event.at)] = event.at, "try_to_unmap_one"
        super().on_swap_assign(event)

    def on_swapon(self, event: e.Swapon) -> None:
        """A type that a swapoff has given back may be taken again before that one's return."""
        self.closing = {key: one for key, one in self.closing.items() if key == self.key(event.at)}
        super().on_swapon(event)

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
        """The walk has ended; after a failure the area is opened again, else it is soon another's."""
        closing = self.closing.pop(self.key(event.at), None)
        if closing is not None:
            self._was_closed(closing, event.at)
        super().on_try_to_unuse_ret(event)

    def on_swapoff_ret(self, event: e.SwapoffRet) -> None:
        """swapoff returned: with 0 its area was closed to the end, else it may have been opened before."""
        key = self.key(event.at)
        closing = self.closing.pop(key, None)
        if closing is not None and event.ret == 0:
            self._was_closed(closing, event.at)
        call = self.swapoffs.get(key)
        if call is not None and event.ret == 0 and self.balanced and not call.unuse_ret:
            self.typed(call, event.type, event.at)
            self._look_for_counts(call, event.at)
        super().on_swapoff_ret(event)
        self.closing.pop(key, None)

    def _look_for_counts(self, call: SwapoffCall, at: At) -> None:
        """An entry that has a count still, and had it before the swapoff, though no pte is known that holds it."""
        if call.type is None or not self.may_look(at):
            return
        least = self.profile.slot_count if self.profile.cache_in_count else 0
        found: LeftCounted | None = None
        for value, entry in self.entries.items():
            if self.type_of(value) != call.type or entry.shmem or not self._since_before(entry.counted_since, call.at):
                continue
            assert entry.counted_since is not None
            if self.first_swap_free is None or self.first_swap_free.seq > entry.counted_since.seq:
                continue
            if self._holder(value, entry, at) is not None:
                return  # told with who holds it
            count = self.surely_counted(value, entry)
            if count > least and found is None and not self.tied(entry.last, at):
                assert entry.at is not None
                found = LeftCounted(at, call, value, count, entry.at, entry.counted_since)
        if found is not None:
            self.left_counted.append(found)
