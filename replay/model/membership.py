"""Who is on mmlist: joins and removals, said outright or due, and their spans (mm/rmap.c, mm/memory.c, kernel/fork.c)."""

from __future__ import annotations

from mmlist.replay import events as e
from mmlist.replay.facts import Membership
from mmlist.replay.model.changes import Joined, JoinedEarly, Left, Misplaced
from mmlist.replay.model.core import INIT_MM
from mmlist.replay.model.folios import Folios
from mmlist.replay.model.mm import APART, MEMBER, OFF, REMOVED, UNKNOWN, Mm, Placed
from mmlist.replay.model.mmlist import Node
from mmlist.replay.record import At


class Memberships(Folios):
    """The steps on the list. Where the log cannot say them, the model joins and removes as the profile's kernel does."""

    linked_after: tuple[Mm, Mm, At] | None
    """The mm that was last linked after one that was met linked, which need not be on mmlist; and where."""

    def born_off(self, mm: Mm, at: At) -> None:
        """A new mm is off the list, its node self-linked (2.6.9: a fork's node holds the parent's pointers)."""
        mm.listed, mm.listed_seq = OFF, at.seq
        mm.node.init(at.ts)

    # --- joins -------------------------------------------------------------------------------------------------------

    def on_join_due(self, event: e.JoinDue) -> None:
        """The duplicate was made: if the mm is off the list, the kernel links it before the pte is set."""
        mm = self.mm_at(event.mm, event.at)
        mm.duplicated = event.begin
        key = self.key(event.at)
        if not event.over:
            if mm.joining is None:
                mm.joining = {}
                self.under_way[mm] = None
            mm.joining.setdefault(key, event)
            return
        if mm.joining is not None:
            mm.joining.pop(key, None)
            if not mm.joining:
                mm.joining = None
        if self.carries.joins_explicit:
            if self.suspects:
                self.settle_suspects(key)
        elif mm.listed == OFF:
            if event.sure:
                self.join_due(mm, event, event.at)
            else:
                mm.listed = UNKNOWN

    def _fork_place(self, parent: Mm, at: At) -> tuple[Mm | None, bool]:
        """After whom a fork of `parent` joins, and whether that is known for this kernel; if not, who follows is neither."""
        if self.profile.fork_after == "parent":
            return parent, True
        for node in (self.list.head, parent.node):
            self.list.unknown_after(node, at.ts)
        return None, False

    def join_due(self, mm: Mm, due: e.JoinDue, at: At) -> None:
        """Carry out the join that `due` announced, now at `at`."""
        parent = None if due.after == INIT_MM else self.mm_at(due.after, at)
        unseen = not self.carries.joins_visible or (parent is not None and parent.joining is not None)
        if parent is not None and parent.listed == OFF and unseen:
            parent.listed = UNKNOWN
            parent.node.unknown(at.ts)
        known = True
        places = {due.after, *(other.after for other in (mm.joining or {}).values())}
        if len(places) > 1:
            self._one_of(places, at)
            parent, known = None, False
        elif parent is not None:
            parent, known = self._fork_place(parent, at)
        self.join(mm, due.site, parent, due.begin, at, observed=False, known_place=known)
        if len(places) > 1:
            mm.join_cause = None  # which of the tasks has joined it is not known

    def _one_of(self, places: set[int], at: At) -> None:
        """Several tasks were about to link an mm: it is linked after one of `places`, nobody knows which."""
        for place in places:
            node = self.list.head if place == INIT_MM else self.mm_at(place, at).node
            self.list.unknown_after(node, at.ts)

    def join_assigned(self, mm: Mm, entry: int, why: str, at: At) -> None:
        """Without list events: an mm that is off the list is linked before the pte that holds its first entry is set.

        A fork's parent is the one that dup_mmap named, the only other holder of the entry, or the task's mm if it holds it.
        """
        if mm.listed != OFF or not self.profile.swap_only:
            return
        if why != "fork":
            self.join(mm, "pageout", None, at, at, observed=False)
            return
        current = self.task_mms.get(self.key(at))
        others = [key for key in self.entries[entry].holders or () if key != (mm.address, mm.generation)]
        likely = [key for key in others if len(others) == 1 or key[0] == current]
        parent = mm.parent or (self.holders.get(likely[0]) if likely else None)
        if parent is not None and parent.listed != MEMBER:
            parent = None
        known = parent is not None
        if parent is not None:
            parent, known = self._fork_place(parent, at)
        self.join(mm, "fork", parent, at, at, observed=False, known_place=known)

    def on_mmlist_add(self, event: e.MmlistAdd) -> None:
        """include/linux/list.h: list_add under mmlist_lock: said outright."""
        mm = self.mm_at(event.mm, event.at)
        self.suspects.pop((mm.address, mm.generation), None)
        if mm.early == "join":
            mm.early = ""
            self._confirm_join(mm, event.at)
            return
        parent = None if event.after in (None, INIT_MM) else self.mm_at(event.after or 0, event.at)
        due = mm.joining.get(self.key(event.at)) if mm.joining is not None else None
        site = due.site if due is not None else self._site(mm, parent)
        if event.after is not None:
            mm.placed = Placed(event.at, self.key(event.at), parent)
            if due is not None:
                self.place_caused(
                    mm, due.site, None if due.after == INIT_MM else self.mm_at(due.after, event.at), event.at
                )
            elif mm.used and mm.parent is None and not self.profile.swap_only and mm.used.seq > self.loss_seq:
                self.place_caused(mm, "exec", None, event.at)
        met = parent is not None and (
            parent.listed == UNKNOWN or (parent.membership is not None and parent.membership.joined_by == "unknown")
        )
        self.join(mm, site, parent, event.at, event.at, observed=True, known_place=event.after is not None)
        if met and parent is not None:
            self.linked_after = (mm, parent, event.at)
        self.show_nr(event.nr, mm, event.at)

    def place_caused(self, mm: Mm, site: str, due: Mm | None, at: At, *, known: bool = True) -> None:
        """What caused an explicit join shows: whether it is where `site` puts it, after `due` (`known` False: some mm)."""
        placed = mm.placed
        if placed is None:
            return
        if not known and placed.after is not None:
            placed.site = site
            return
        mm.placed = None
        if _address(placed.after) != _address(due) or (not known and placed.after is None):
            self.emit(Misplaced(at, mm, site, placed.at, due, placed.after, ""))

    def place_assigned(self, mm: Mm, why: str, at: At) -> None:
        """The pte for which an mm was joined is set by the task that joined it, as its next step (mm/rmap.c, mm/memory.c)."""
        if mm.placed is None or mm.placed.key != self.key(at) or mm.placed.site or not self.profile.swap_only:
            return
        if why == "unmap":
            self.place_caused(mm, "pageout", None, at)
        elif why == "fork":
            self.place_caused(mm, "fork", mm.parent, at, known=mm.parent is not None)

    def _site(self, mm: Mm, parent: Mm | None) -> str:
        if not self.profile.swap_only and parent is None:
            return "exec"
        return "fork" if parent is not None else "pageout"

    def join(
        self, mm: Mm, site: str, parent: Mm | None, cause: At, at: At, *, observed: bool, known_place: bool = True
    ) -> None:
        """Link `mm` right after `parent` (None: init_mm); `cause` is the line that made it due."""
        before, since = mm.listed, mm.joined if self.linked(mm) else mm.left
        pending = self.has_pending_duplicate(at)
        removed = before in (OFF, REMOVED) and mm.left_why != "drain" and (before == REMOVED or mm.left_why == "mmput")
        after = self.list.head if parent is None else parent.node
        doubtful, mm.beside = mm.doubtful, parent if parent is not None and not self.list_known(parent) else None
        if parent is not None and not self.list_known(parent) and parent.listed != MEMBER:
            parent.listed = UNKNOWN
            parent.node.unknown(at.ts)
        parent_listed = MEMBER if parent is None else parent.listed
        apart = parent_listed not in (MEMBER, UNKNOWN)
        if parent is not None and parent.listed in (OFF, REMOVED, APART):
            self._start_ring(parent, at)
        if mm.node is not after:
            if self.linked(mm) and not observed:
                self.list.remove(mm.node, at.ts)
            if known_place:
                self.list.add(mm.node, after, at.ts)
            else:
                mm.node.unknown(at.ts)
                self.list.place(mm.node)
        if observed and before in (MEMBER, APART):
            self.broken = self.broken or at
        if observed and not pending and before == OFF and mm.holdings is None and self.carries.duplicates_visible:
            self.early_joins[self.key(at)] = JoinedEarly(at, mm, mm.left or mm.born)
        self.nr_joined(before, at, observed=observed)
        mm.joined, mm.left, mm.left_why = at, None, ""
        mm.join_cause = cause
        mm.confirmed = observed
        mm.listed_seq = at.seq
        self.emit(Joined(at, mm, site, before, since, parent, parent_listed, observed, removed, doubtful))
        if apart:
            mm.listed = APART
            self.close_membership(mm, at, "unknown")
            self.check_unlisted(mm, at, "apart", inferred=not observed)
            return
        mm.listed = MEMBER
        self.members[mm.address] = mm
        if before != MEMBER or mm.membership is None:
            self._open_membership(mm, site, parent, cause, at, observed=observed)

    def _start_ring(self, parent: Mm, at: At) -> None:
        """A child is linked to a parent that is off the list: both are on a ring of their own from here on."""
        if parent.listed == OFF:
            parent.node.init(at.ts)
            parent.listed, parent.listed_seq = APART, at.seq
            parent.joined = at

    def _open_membership(self, mm: Mm, site: str, parent: Mm | None, cause: At, at: At, *, observed: bool) -> None:
        mm.membership = Membership(
            mm=mm.address,
            generation=mm.generation,
            joined_line=cause.line,
            joined_seen_line=at.line if observed else None,
            joined_seq=at.seq,
            joined_ts=at.ts,
            joined_by=site,
            after_mm=(self.init_mm or INIT_MM) if parent is None else parent.address,
            after_generation=None if parent is None else parent.generation,
            rank=mm.node.rank,
            evidence="observed" if observed else "inferred",
        )

    def learn_member(self, mm: Mm, at: At, *, before_log: bool) -> None:
        """The list shows `mm` on it, and no line says since when."""
        self.list.place(mm.node)
        mm.listed, mm.listed_seq, mm.confirmed = MEMBER, at.seq, True
        mm.joined, mm.left = at, None
        self.members[mm.address] = mm
        mm.membership = Membership(
            mm=mm.address,
            generation=mm.generation,
            joined_line=None if before_log else at.line,
            joined_seen_line=at.line,
            joined_seq=0 if before_log else at.seq,
            joined_ts=None if before_log else at.ts,
            joined_by="unknown",
            after_mm=None,
            after_generation=None,
            rank=mm.node.rank,
            evidence="observed",
        )

    def _confirm_join(self, mm: Mm, at: At) -> None:
        mm.confirmed = True
        mm.listed_seq = at.seq
        if mm.membership is not None:
            mm.membership.evidence = "observed"
            if mm.membership.joined_seen_line is None:
                mm.membership.joined_seen_line = at.line

    # --- removals ----------------------------------------------------------------------------------------------------

    def on_mmlist_del(self, event: e.MmlistDel) -> None:
        """list_del (mmput) or list_del_init (drain): said outright."""
        mm = self.mm_at(event.mm, event.at)
        if mm.early == "leave":
            mm.early = ""
            mm.left_why = event.why
            return
        call = self.swapoff_of(event.at) if event.why == "drain" else None
        if call is not None:
            self.drained_one(call, event.at)
        self.leave(mm, event.why, event.at, observed=True)
        self.show_nr(event.nr, mm, event.at)

    def leave(
        self,
        mm: Mm,
        why: str,
        at: At,
        *,
        observed: bool,
        seen: str = "",
        poisoned: bool | None = None,
        when_known: bool = True,
    ) -> None:
        """Unlink `mm`. A last mmput poisons its node, a drain makes it point at itself.

        Not `when_known`: it came some time before `at`; what the mm holds it may have got since, with a join unseen.
        """
        before, since = mm.listed, mm.joined if self.linked(mm) else mm.left
        poisoned = why == "mmput" if poisoned is None else poisoned
        self.nr_left(before, at)
        if before in (MEMBER, APART, UNKNOWN):
            neighbours = (mm.node.prev, mm.node.next)
            self.list.remove(mm.node, at.ts)
            self._left_alone(neighbours, at)
        self.emit(Left(at, mm, why, before, since, observed, seen, poisoned, mm.left_why, bool(self.swapoffs)))
        if poisoned:
            mm.node.unknown(at.ts)
        else:
            mm.node.init(at.ts)
        mm.listed = REMOVED if poisoned else OFF
        mm.listed_seq = at.seq
        mm.left, mm.left_why = at, why
        if why == "drain":
            mm.drained = at
        self.close_membership(mm, at, why)
        if why != "mmput" and when_known:
            self.check_unlisted(mm, at, "drained" if why == "drain" else "seen", inferred=not observed)

    def _left_alone(self, neighbours: tuple[Node | None, Node | None], at: At) -> None:
        """The last node of a ring apart points at itself: it is off every list again."""
        for node in neighbours:
            if node is not None and node.mm is not None and node.next is node and node.mm.listed == APART:
                node.mm.listed, node.mm.listed_seq = OFF, at.seq

    def close_membership(self, mm: Mm, at: At, why: str) -> None:
        """End the open span of `mm`, if there is one: who is in `members` has one."""
        span = mm.membership
        if span is None:
            return
        span.left_line, span.left_seq, span.left_ts, span.left_by = at.line, at.seq, at.ts, why
        mm.membership = None
        self.members.pop(mm.address, None)
        self.facts.append(span)

    def unlink_freed(self, mm: Mm, at: At) -> None:
        """A linked node was freed: memory that the list still points at. The model takes it out and goes on."""
        self.list.remove(mm.node, at.ts)
        self.members.pop(mm.address, None)
        mm.listed = REMOVED


def _address(mm: Mm | None) -> int | None:
    """Where an mm lives: who is met there while a fork goes on is its parent, whichever life the model took it for."""
    return None if mm is None else mm.address
