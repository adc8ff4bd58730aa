"""What a node looks like in memory, whatever the model has: rings apart, half-linked, inherited, poisoned, freed neighbours.

A list that list_add and list_del alone have changed is one ring through init_mm, in which every node is pointed back at by
its neighbours (include/linux/list.h). Some looks cannot be of such a list; they are told here, as `Broken`. A probe reads
`next` first and `prev` a moment later, at any time from its line to the next one of its CPU: a look that a change under
way may have made is not told.
"""

from __future__ import annotations

from abc import abstractmethod

from mmlist.replay import events as e
from mmlist.replay.model.changes import Broken, Misplaced
from mmlist.replay.model.lives import Lives
from mmlist.replay.model.mm import APART, MEMBER, OFF, UNKNOWN, Mm
from mmlist.replay.model.mmlist import Node
from mmlist.replay.model.profile import POISON_NEXT, POISON_PREV
from mmlist.replay.record import At

_NEWBORN = frozenset({"mm_init_ret", "dup_mmap"})
"""Probes that fetch a new mm which nobody else can have found yet."""

_STRUCT = 8192
"""More than the bytes of an mm_struct: a link inside it is its own, were `mmlist_offset` another."""


class Looks(Lives):
    """The looks of a node that no correct kernel gives it."""

    swapoff_over: At | None
    now: At
    """The line that is stepped on."""
    linked_after: tuple[Mm, Mm, At] | None
    unjoined: list[tuple[At, Broken]]
    """Linked nodes that nothing joined, since the line that told so."""

    @abstractmethod
    def drained_since(self, mm: Mm) -> bool:
        """Whether a swapoff that may have drained has ended since `mm` was last known on the list."""

    def look_at_birth(self, mm: Mm, event: e.Fetched) -> bool:
        """mm_init has returned: since 2.6.10 it has initialised the node, whatever was copied from the parent; else True."""
        if event.name not in _NEWBORN or not self.profile.swap_only or mm.born is None or self.offset is None:
            return False
        if mm.listed != OFF or mm.duplicated is not None or mm.born.seq <= self.loss_seq:
            return False
        own = mm.address + self.offset
        next_, prev = event.next, event.prev
        if next_ is None or prev is None or next_ == own or prev == own:
            return False
        if next_ == prev and mm.address <= next_ < mm.address + _STRUCT:
            return False  # self-linked: it is `offset` that is wrong
        self.broken_look(event.at, mm, "inherited", next_, prev, event.name, sure=True)
        self._apart(mm, event.at)
        return True

    def odd(self, mm: Mm, next_: int, prev: int | None, at: At) -> str:
        """What is odd of the two links themselves: half, ring, freed; empty if nothing is."""
        if self.offset is None or not (self.profile.swap_only or mm.used):
            return ""
        own = mm.address + self.offset
        if prev is not None and (next_ == own) != (prev == own):
            return "half" if next_ not in POISON_NEXT and prev not in POISON_PREV else ""
        if next_ == own or next_ in POISON_NEXT:
            return ""
        if any(self._freed_before(link, at) for link in (next_, prev)):
            return "freed"
        if next_ == prev and self.head_address not in (None, next_) and self._is_mm(next_ - self.offset):
            return "ring"
        return ""

    def _is_mm(self, address: int) -> bool:
        """Whether `address` is certainly an mm that tasks have or had, and not init_mm."""
        mm = self.mms.get(address)
        return mm is not None and (mm.born is not None or mm.used is not None)

    def _freed_before(self, link: int | None, at: At) -> bool:
        if not self.carries.births:
            return False
        freed = self._freed_at(link)
        return freed is not None and freed.seq > self.loss_seq and freed.seq < at.seq and not self.tied(freed, at)

    def freed_since(self, link: int | None, at: At) -> bool:
        """Whether the mm that `link` points into was freed after `at`."""
        freed = self._freed_at(link)
        return freed is not None and freed.seq > at.seq

    def _freed_at(self, link: int | None) -> At | None:
        """Where the mm that `link` points into was freed; None if it is none, or its address was used again."""
        gone = self.freed.get(link - self.offset) if link is not None and self.offset is not None else None
        return gone.freed if gone is not None else None

    def look(self, mm: Mm, odd: str, next_: int, prev: int | None, at: At, name: str) -> None:
        """Tell the odd look of `mm` that `at` shows, if no change under way may have made it."""
        assert self.offset is not None
        if at.seq <= self.loss_seq and odd != "freed":
            return
        other = self.mms.get(next_ - self.offset) if odd == "ring" else None
        if odd == "half":
            first, mm.half = mm.half, mm.half or at
            if self._changing(mm, at) or (not self.carries.joins_visible and (first is None or first is at)):
                return
            self.broken_look(at, mm, odd, next_, prev, name, first=first, sure=False)
        elif odd == "ring":
            if mm.listed == APART:
                return  # what it follows from has been told
            forked = other is not None and self._forked_apart(mm, other)
            self.broken_look(
                at, mm, "apart" if forked else odd, next_, prev, name, other=other, sure=not self._may_drain(at)
            )
            for one in (mm, other):
                if forked and one is not None:
                    self._apart(one, at)
                    self.check_unlisted(one, at, "apart", inferred=True)
        else:
            freed = self._freed_at(next_) or self._freed_at(prev)
            self.broken_look(at, mm, odd, next_, prev, name, first=freed, sure=True)

    def look_empty(self, at: At, name: str) -> None:
        """init_mm.mmlist is empty at the line that linked an mm after another: both are on a ring of their own."""
        if self.linked_after is None or self.linked_after[2] is not at or self._may_drain(at):
            return
        mm, parent, _ = self.linked_after
        if mm.listed != MEMBER or parent.listed not in (MEMBER, UNKNOWN) or self.offset is None:
            return
        self.broken_look(at, mm, "empty", parent.address + self.offset, None, name, other=parent, sure=True, since=at)
        for one in (mm, parent):
            self._apart(one, at)
            self.check_unlisted(one, at, "apart", inferred=True)

    def _forked_apart(self, mm: Mm, other: Mm) -> bool:
        """Whether the one was forked from the other, and the parent was never seen on mmlist: it was not on it."""
        parent = other if mm.parent is other else mm if other.parent is mm else None
        return parent is not None and not parent.confirmed and parent.listed in (MEMBER, UNKNOWN, OFF)

    def _apart(self, mm: Mm, at: At) -> None:
        """`mm` is linked, and not on mmlist."""
        self.close_membership(mm, at, "unknown")
        mm.listed, mm.listed_seq, mm.joined = APART, at.seq, mm.joined or at
        mm.node.unknown(at.ts)

    def _may_drain(self, at: At) -> bool:
        """Whether a drain may have come between the two reads of `at`: then its links are of two different lists."""
        over = self.swapoff_over
        if self.loss_seq:
            return True  # the beginning of one may be in what was lost
        return bool(self.swapoffs) or not self.carries.swapoffs_complete or (over is not None and over.seq >= at.seq)

    def _changing(self, mm: Mm, at: At) -> bool:
        """Whether a join or a removal of `mm` may have been under way when `at` looked."""
        if mm.joining is not None or self._may_drain(at):
            return True
        return any(change is not None and change.seq >= at.seq for change in (mm.joined, mm.left, mm.drained))

    def look_poisoned(self, mm: Mm, next_: int, prev: int | None, at: At, name: str) -> None:
        """A live mm's node is poisoned. One that a drain left so is the drain's fault (D2)."""
        over = self.swapoff_over
        drained = self.swapoffs or mm.drained is not None or self.drained_since(mm) or self.drained_before(at)
        if drained or (over is not None and over.seq > mm.listed_seq) or not self.list_known(mm):
            return
        if not self._drains_show() or mm.born is None:
            return
        if mm.dying:
            if mm.joined is None and mm.duplicated is None and self.carries.joins_visible:
                self.broken_look(at, mm, "deleted", next_, prev, name, sure=False, since=mm.born)
            return
        if not self.carries.exit_visible and not mm.seen_alive(at):
            return
        self.broken_look(at, mm, "poisoned", next_, prev, name, sure=False, since=mm.joined or mm.born)

    def look_unlinked(self, mm: Mm, at: At, name: str) -> None:
        """A live member that the list itself has shown is off the list, and nothing took it off."""
        over = self.swapoff_over
        if mm.dying or not mm.confirmed or mm.listed != MEMBER or not self.list_known(mm) or self.offset is None:
            return
        if not self.carries.births or not self._drains_show() or self.swapoffs:
            return
        if over is not None and over.seq > mm.listed_seq:
            return
        if not self.carries.joins_visible and not self._linked_before(mm):
            return
        own = mm.address + self.offset
        self.broken_look(at, mm, "unlinked", own, own, name, sure=False, since=mm.joined)

    def drained_before(self, at: At) -> bool:
        """Whether a swapoff from before the log, which is yet to return, may have drained by `at`, and no removal shows it."""
        return at.line <= self.carries.swapoff_before and not self.carries.leaves_explicit

    def _drains_show(self) -> bool:
        """Whether a drain by a swapoff from before the log would show: by its removals, or in that it returns."""
        return self.carries.swapoffs_visible and (self.carries.swapoffs_complete or self.carries.leaves_explicit)

    def _linked_before(self, mm: Mm) -> bool:
        """Whether the look that showed `mm` to have joined is over: its CPU has gone on, and showed it linked again."""
        first, last = mm.joined, mm.linked_seen
        return first is not None and last is not None and first is not last and first.cpu == last.cpu

    def look_linked(self, mm: Mm, next_: int, prev: int | None, at: At, name: str) -> None:
        """An mm that never was on the list is linked, and nothing joined it."""
        if mm.listed != OFF or mm.born is None or mm.joined is not None or self._may_join(mm, at):
            return  # of one that was on the list before, the removal may be what the model has wrong
        if at.seq <= self.loss_seq:
            return
        if not self.carries.duplicates_visible:
            return  # an event behind the join may come late, and nothing would show that it is due
        if not self.carries.joins_visible or mm.duplicated is not None:
            return  # it was about to join: what became of that was not seen
        look = Broken(at, mm, "linked", next_, prev, name, None, None, mm.born, False)
        self.unjoined.append((self.now, look))

    def joins_to_come(self, at: At | None) -> None:
        """Tell of nodes that nothing joined, once `at` (None: the log's end) is later than any line that may show a join."""
        while self.unjoined:
            seen, look = self.unjoined[0]
            if at is not None and at.ts is not None and seen.ts is not None and at.ts <= seen.ts + self.grain:
                return
            del self.unjoined[0]
            if look.mm.duplicated is None and look.mm.joining is None:
                self.emit(look)

    def look_misplaced(self, mm: Mm, following: Node, before: Node | None, at: At, name: str) -> None:
        """A join that nobody showed is not where it belongs: a fork's not after its parent, a pageout's at the tail.

        Who was on the list before the join became due, and still is, is behind a pageout's join and before a fork's.
        """
        cause, span = mm.join_cause, mm.membership
        if mm.listed != MEMBER or mm.confirmed or cause is None or span is None or self._changing(mm, at):
            return
        if self.carries.joins_explicit or not self.carries.joins_visible or mm.joined is None:
            return
        head, parent = self.list.head, mm.parent
        if span.joined_by == "fork" and parent is not None and before is not None and self._settled(parent, cause):
            after = before.mm  # None: init_mm, where it is the head
            elsewhere = after is not None and after is not parent and self._settled(after, cause)
            if before is head or elsewhere:
                self.emit(Misplaced(at, mm, "fork", mm.joined, parent, after, name))
        elif span.joined_by == "pageout" and following is head and before is not None and before is not head:
            other = mm.node.next.mm if mm.node.next is not None else None
            if other is not None and other is not mm and self._settled(other, cause):
                self.emit(Misplaced(at, mm, "pageout", mm.joined, None, before.mm, name))

    def _settled(self, mm: Mm, cause: At) -> bool:
        """Whether `mm` was on the list before `cause`, as the list itself showed, and is still."""
        on = mm.listed == MEMBER and mm.confirmed and not mm.dying
        return on and mm.joined is not None and mm.joined.seq < cause.seq and not self.tied(mm.joined, cause)

    def broken_look(
        self,
        at: At,
        mm: Mm,
        look: str,
        next_: int,
        prev: int | None,
        name: str,
        *,
        sure: bool,
        other: Mm | None = None,
        first: At | None = None,
        since: At | None = None,
    ) -> None:
        """Emit what was seen."""
        self.emit(Broken(at, mm, look, next_, prev, name, other, first, since or mm.joined or mm.born, sure))
