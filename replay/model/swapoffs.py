"""swapoff, its walk and its drain (mm/swapfile.c: try_to_unuse, drain_mmlist, SYSCALL swapoff)."""

from __future__ import annotations

from mmlist.replay import events as e
from mmlist.replay.facts import Swapoff, Visit
from mmlist.replay.model.areas import Areas
from mmlist.replay.model.changes import Drained, SwapoffEnded
from mmlist.replay.model.mm import MEMBER, Hold, Mm
from mmlist.replay.model.swap import SwapoffCall
from mmlist.replay.record import At

_ALLOCATES = 100
"""The part of a second that folio_alloc_swap takes at most: slots that it has reserved show, its return is still to come."""

_DRAINED = frozenset({"drain_mmlist_ret", "swapoff_ret"})
"""Probes of a swapoff behind its drain."""


class Swapoffs(Areas):
    """The steps on swapoff. `second` is how many units of ts a second has, None if unknown."""

    last_inuse: tuple[At, tuple[int, ...]] | None
    last_drain_seq: int = 0
    second: int | None = None
    last_alloc: At | None
    head_seen: tuple[At, bool] | None
    """The last look at init_mm's node, but for those right behind a drain, and whether mmlist was empty."""

    drains_due: list[tuple[Drained, int]]
    """Drains beside an area in use, which a slot handed out before that time may have come to be in use only since."""

    # --- swapoff -----------------------------------------------------------------------------------------------------

    def on_swapoff(self, event: e.Swapoff) -> None:
        """swapoff begins."""
        at = event.at
        type_ = event.type if event.type is not None else self.type_of_path(event.path)
        fact = Swapoff(at.line, at.ts, at.pid, at.comm, event.path, type_)
        fact.members_before = len(self.members)
        self._unreturned(at)
        call = self.swapoffs[self.key(at)] = SwapoffCall(at, self.key(at), type_, fact)
        call.begun, call.returns_show = True, self.swapoff_over is not None
        if event.type is not None:
            call.told = at
        elif type_ is not None:
            call.told = self.areas[type_].told
        if self.head_seen is not None and self.head_seen[0] is at:
            self._found(call, self.head_seen[1], at)
        if self.last_inuse is not None and self.last_inuse[0] is at:
            call.inuse_begin = self.last_inuse[1]

    def on_swapon(self, event: e.Swapon) -> None:
        """Another system call of the task: where returns are no events, its swapoff has drained whom it drains."""
        call = self.swapoff_of(event.at)
        if call is not None and not self.carries.swapoffs_complete:
            call.drain = None
        super().on_swapon(event)

    def _unreturned(self, at: At) -> None:
        """The task's swapoff before this one is over, though no line said so: it may have drained."""
        call = self.swapoff_of(at)
        if call is not None:
            self.facts.append(call.fact)
            if self.may_drain(call):
                self.last_drain_seq = at.seq

    def _running(self, at: At) -> SwapoffCall:
        """The swapoff that the task of `at` is in; one that began before the log, or in what was lost, begins here."""
        call = self.swapoff_of(at)
        if call is None:
            fact = Swapoff(at.line, at.ts, at.pid, at.comm, None, None)
            call = self.swapoffs[self.key(at)] = SwapoffCall(at, self.key(at), None, fact)
        return call

    def on_try_to_unuse(self, event: e.TryToUnuse) -> None:
        """The walk begins."""
        call = self._running(event.at)
        call.left_behind.clear()
        self.typed(call, event.type, event.at)
        self.walking(call, event.at)

    def on_try_to_unuse_ret(self, event: e.TryToUnuseRet) -> None:
        """The walk ended."""
        call = self.swapoff_of(event.at)
        if call is not None:
            call.unuse_ret = event.ret

    def on_swapoff_pass(self, event: e.SwapoffPass) -> None:
        """A pass begins."""
        call = self._running(event.at)
        self.typed(call, event.type, event.at)
        call.fact.passes += 1
        self.walking(call, event.at)

    def on_unuse_mm(self, event: e.UnuseMm) -> None:
        """swapoff walks the page tables of the mm: what it held of that area may be gone from here."""
        mm = self.mm_at(event.mm, event.at)
        if not self.carries.unuse_clears:
            mm.release(event.at.seq, event.type)
        call = self._running(event.at)
        self.typed(call, event.type, event.at)
        self.walking(call, event.at)
        self._visit(call, mm, event.at, 1, observed=False)

    def on_mmlist_visit(self, event: e.MmlistVisit) -> None:
        """swapoff meets the mm: takes hold of it, or skips it."""
        if not event.got and self.gone_beside(event.mm, event.at):
            return
        mm = self.mm_at(event.mm, event.at)
        call = self.swapoff_of(event.at)
        if call is not None:
            self.walking(call, event.at)
            self._visit(call, mm, event.at, event.got, observed=True)
        if event.got and not event.counted:
            self.get(mm, event.at, None if event.users is None else event.users - 1, "visit")

    def _visit(self, call: SwapoffCall, mm: Mm, at: At, got: int, *, observed: bool) -> None:
        key = (mm.address, mm.generation)
        if not observed and key in call.walked:
            return
        call.walked.add(key)
        if len(call.fact.visits) < 100_000:
            visit = Visit(mm.address, mm.generation, at.line, at.ts, got, "observed" if observed else "inferred")
            call.fact.visits.append(visit)

    def walking(self, call: SwapoffCall, at: At) -> None:
        """The walk goes on, so no drain has come yet: what looked drained was not.

        Where no line shows a swapoff begin, the walk may be another one's.
        """
        maybe, call.maybe = call.maybe, []
        if not self.carries.swapoffs_visible:
            return
        for mm, seen, name in maybe:
            if mm.listed == MEMBER and self.mms.get(mm.address) is mm:
                self.not_listed(mm, seen, name)

    def may_drain(self, call: SwapoffCall) -> bool:
        """Whether the drain of `call` may be under way, or past, for all that was seen."""
        return self.profile.drains and (call.unuse_ret == 0 or call.unuse_ret is None)

    def drained_since(self, mm: Mm) -> bool:
        """Whether a swapoff that may have drained has ended since `mm` was last known on the list."""
        return self.last_drain_seq > mm.listed_seq

    # --- the drain ---------------------------------------------------------------------------------------------------

    def on_fetched_inuse(self, event: e.FetchedInuse) -> None:
        """inuse_pages of the areas; one that was never swapped on is a read through NULL."""
        self.last_inuse = (event.at, event.inuse)
        if not self.carries.swapons_visible or not self.areas:
            for type_, pages in enumerate(event.inuse[:1]):
                if pages > 0 and type_ not in self.areas:
                    self.area(type_)
        call = self.swapoff_of(event.at)
        if call is not None:
            call.inuse, call.inuse_at = event.inuse, event.at
            call.inuse_by = event.name

    def _busy(self, call: SwapoffCall, inuse: tuple[int, ...] | None, at: At) -> tuple[int, int, At] | None:
        """An area, other than the one that `call` empties, whose observed inuse is above 0.

        Where the call's own type is unknown, one area in use may be its own.
        """
        found = [
            (type_, pages, at)
            for type_, pages in enumerate(inuse or ())
            if pages > 0 and type_ != call.type and (area := self.areas.get(type_)) is not None and area.used
        ]
        return None if not found or (call.type is None and len(found) == 1) else found[0]

    def on_fetched_head(self, event: e.FetchedHead) -> None:
        """init_mm.mmlist, as a swapoff has it: whom the model takes for a member of an empty list has left it unseen."""
        super().on_fetched_head(event)
        if self.head_address is None or event.name in _DRAINED:
            return
        empty = event.head == event.tail == self.head_address
        self.head_seen = event.at, empty
        call = self.swapoff_of(event.at)
        if call is not None:
            self._found(call, empty, event.at)

    def _found(self, call: SwapoffCall, empty: bool, at: At) -> None:
        """Whether anybody was on mmlist at a line of `call`, before its drain."""
        if not empty:
            call.found_members = True
        elif not call.found_members:
            call.found_empty = at

    def _drained_members(self, call: SwapoffCall) -> list[Mm]:
        """The members, without those of a list that was empty since all that is known of them."""
        empty = call.found_empty
        if empty is None or call.found_members:
            return list(self.members.values())
        return [
            mm
            for mm in self.members.values()
            if any(at is not None and at.seq > empty.seq for at in (mm.joined, mm.linked_seen))
        ]

    def on_mmlist_drain(self, event: e.MmlistDrain) -> None:
        """drain_mmlist decided."""
        call = self.swapoff_of(event.at)
        if event.busy_type is not None and event.busy_type >= 0:
            if call is not None:
                call.fact.drained = 0
                call.refused = event.at
            return
        if call is not None:
            call.drain, call.refused = event.at, None
            call.fact.drain_line = event.at.line
        if event.busy_type is None:
            return
        busy, sure = None, True
        if call is not None:
            call.fact.drained = 1
            sure = call.inuse_at is event.at or call.inuse_by == "drain_mmlist"
            if sure or (call.inuse_by == "try_to_unuse_ret" and len(self.swapoffs) == 1):
                busy = self._busy(call, call.inuse, call.inuse_at or event.at)
                call.judged = busy is not None
        self.emit(Drained(event.at, call, busy, None, len(self.members), sure))
        if not self.carries.leaves_explicit:
            self._empty(event.at, observed=True)

    def drained_one(self, call: SwapoffCall, at: At) -> None:
        """A member is taken off by a drain: after a refusal it should not have been."""
        call.fact.drained = 1
        if call.refused is not None:
            self.emit(Drained(at, call, None, call.refused, len(self.members), True))

    def _empty(self, at: At, *, observed: bool) -> None:
        """Every member is taken off (mm/swapfile.c: drain_mmlist)."""
        for mm in list(self.members.values()):
            if mm.listed == MEMBER:
                self.leave(mm, "drain", at, observed=observed)
        self.list.head.init(at.ts)

    # --- the end -----------------------------------------------------------------------------------------------------

    def on_swapoff_ret(self, event: e.SwapoffRet) -> None:
        """swapoff returned: with 0 its area is empty and closed."""
        key = self.key(event.at)
        self.swapoff_over = event.at
        call = self.swapoffs.get(key)
        if event.ret == 0 and (call is None or not self.carries.swapoffs_visible):
            self.last_drain_seq = event.at.seq
        if not self.carries.unuse_visible:
            self.released = event.at.seq
        if call is None:
            return
        self.typed(call, event.type, event.at)
        if event.ret == 0:
            self._drained_in_use(call, event)
            self._drain_due(call, event)
            call.maybe = []
        else:
            self.walking(call, event.at)
        del self.swapoffs[key]
        held = self._held(call) if event.ret == 0 else []
        survivors = self._survivors(call, event) if event.ret == 0 else []
        self.emit(SwapoffEnded(event.at, call, event.ret, survivors, held))
        fact = call.fact
        fact.end_line, fact.end_ts, fact.ret = event.at.line, event.at.ts, event.ret
        fact.members_after = len(self.members)
        self.facts.append(fact)
        if event.ret == 0 and call.type is not None:
            self.close_area(call.type, event.at, call.told)

    def _drained_in_use(self, call: SwapoffCall, event: e.SwapoffRet) -> None:
        """An area in use when the swapoff began and when it returns, with an entry held all the time, was so at its drain."""
        if call.drain is None or call.fact.drained != 1 or call.judged:
            return
        before, after = self._busy(call, call.inuse_begin, call.at), self._busy(call, event.inuse, event.at)
        if before is not None and after is not None and before[0] == after[0]:
            kept = self._kept(before[0], call.drain)
            if kept or call.fact.members_before:
                members = call.fact.members_before or 0
                self._drain_seen(
                    Drained(call.drain, call, before, None, members, False, kept, event.at), call, event.at
                )

    def _drain_seen(self, change: Drained, call: SwapoffCall, at: At) -> None:
        """Without a slot handed out since the swapoff began, no area can have come to be in use (get_swap_pages)."""
        alloc = self.last_alloc
        quiet = alloc is not None and alloc.seq < call.at.seq and not self.tied(alloc, call.at)
        if change.kept or change.busy is None or self.second is None or at.ts is None or not quiet:
            self.emit(change)
        else:
            self.drains_due.append((change, at.ts + self.second // _ALLOCATES))

    def drains_settled(self, event: e.Event | None) -> None:
        """Before a step on `event` (None: the log has ended): whether a slot was handed out in time."""
        waiting = []
        for change, until in self.drains_due:
            late = event is not None and event.at.ts is not None and event.at.ts > until
            if event is None or late or isinstance(event, e.SwapAlloc):
                change.kept = late
                self.emit(change)
            else:
                waiting.append((change, until))
        self.drains_due = waiting

    def on_swap_alloc(self, event: e.SwapAlloc) -> None:
        """A slot is handed out; others may have been reserved with it."""
        self.last_alloc = event.at
        super().on_swap_alloc(event)

    def _kept(self, type_: int, before: At) -> bool:
        """Whether an entry of the area was certainly held since `before`: pages in use may be another's by now.

        inuse_pages counts slots that a CPU has only reserved, too (mm/swap_slots.c); those go and come unseen.
        """
        return any(
            value >> self.shift == type_ and hold.since < before.seq and self.certain(mm, hold)
            for mm in self.holders.values()
            for value, hold in (mm.holdings or {}).items()
        )

    def _drain_due(self, call: SwapoffCall, event: e.SwapoffRet) -> None:
        """Without explicit drain events: what the list's head, or the profile's kernel, says of the drain."""
        if self.carries.drain_explicit or not self.profile.drains:
            return
        at = event.at
        if event.head is not None and self.head_address is not None:
            if event.head != self.head_address:
                call.fact.drained = 0
                return
            self._drained_unseen(call, event)
            return
        if self.carries.leaves_explicit:
            return
        others = [area for area in self.areas.values() if area.used and area.type != call.type]
        if not others or (event.inuse is not None and not any(event.inuse)):
            self._drained_unseen(call, event)
        else:
            self.last_drain_seq = at.seq

    def _drained_unseen(self, call: SwapoffCall, event: e.SwapoffRet) -> None:
        at = event.at
        busy = self._busy(call, event.inuse, at)
        if busy is not None and not self._busy(call, call.inuse_begin, at):
            busy = None
        if busy is not None:
            for mm in [mm for mm in self.members.values() if not mm.confirmed]:
                self.not_listed(mm, at, "swapoff_ret")
        call.fact.drained = 1
        call.fact.drain_line = at.line
        members = self._drained_members(call)
        if members:
            kept = busy is not None and self._kept(busy[0], at)  # who swaps after a drain is on the list again
            self._drain_seen(Drained(at, call, busy, None, len(members), False, kept, at), call, at)
        for mm, seen, _name in call.maybe:
            if mm.listed == MEMBER and self.mms.get(mm.address) is mm:
                self.leave(mm, "drain", seen, observed=False)
        self._empty(at, observed=False)
        self.last_drain_seq = at.seq

    def _held(self, call: SwapoffCall) -> list[tuple[Mm, int, Hold]]:
        """Entries of the emptied area that an mm certainly still holds."""
        found: list[tuple[Mm, int, Hold]] = []
        if call.type is None:
            return found
        for mm in list(self.holders.values()):
            for value, hold in (mm.holdings or {}).items():
                if value >> self.shift == call.type and self.certain(mm, hold):
                    found.append((mm, value, hold))
                    break
        return found

    def _survivors(self, call: SwapoffCall, event: e.SwapoffRet) -> list[Mm]:
        """Members that stayed though the drain was due.

        All observed inuse is 0, the drain was announced, or this was the last of the areas, each swapped on in the log.
        """
        if not self.profile.drains:
            return []
        known = [pages for type_, pages in enumerate(event.inuse or ()) if self.areas.get(type_) is not None]
        if event.inuse is not None and any(known):
            return []
        before = enumerate(call.inuse_begin or ())
        if call.drain is None and any(pages > 0 for type_, pages in before if type_ != call.type):
            return []  # what was in use then may have been at the drain, too, which looked before the return
        if event.inuse is None and call.drain is None and not self._was_last(call):
            return []
        limit = (call.drain or event.at).seq
        return [mm for mm in self.members.values() if mm.joined is not None and mm.joined.seq < limit]

    def _was_last(self, call: SwapoffCall) -> bool:
        """Whether no other area can be in use: all types up to the highest were swapped on in the log, and off again."""
        if self.loss_seq or call.type is None or not self.carries.leaves_explicit or call.refused is not None:
            return False
        if not self.which_area(call.told, call.type):
            return False
        known = [self.areas.get(type_) for type_ in range(max(self.areas) + 1)]
        others = [area for area in known if area is None or area.type != call.type]
        return call.type in self.areas and all(area is not None and area.used is False for area in others)
