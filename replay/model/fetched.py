"""What probes read from memory, held against the model: mm_users, mm_count, the nodes' links and the list's head.

A value that equals the model confirms it, one where the model knows nothing teaches it, and one that differs is tried
against what may be under way (a join or removal between its cause and its line, a line of equal time on another CPU)
before it counts as differing. Then what was observed is taken, and the model goes on from there.
"""

from __future__ import annotations

from abc import abstractmethod

from mmlist.replay import events as e
from mmlist.replay.model.changes import CountSeen, Got
from mmlist.replay.model.links import Links
from mmlist.replay.model.mm import MEMBER, OFF, REMOVED, UNKNOWN, Deferred, Mm
from mmlist.replay.model.profile import POISON_NEXT
from mmlist.replay.model.swap import SwapoffCall
from mmlist.replay.record import At

_HOLDERS = frozenset(
    {
        "mmput", "__mmput", "exit_mmap", "exit_mmap_ret", "__mmput_end", "get_task_mm_ret", "mm_access_ret",
        "kthread_use_mm", "kthread_unuse_mm", "exit_mm_release", "exec_mm_release", "unuse_mm", "unuse_pte_range",
        "copy_process_ret", "dup_mmap", "dup_mm_ret",
    }
)  # fmt: skip
"""Probes at which the task, or the call that it is in, holds mm_users or what is left of their one mm_count."""


class Observed(Links):
    """The steps on fetched values."""

    deferred: dict[int | None, list[Deferred]]

    @abstractmethod
    def may_drain(self, call: SwapoffCall) -> bool:
        """Whether the drain of `call` may be under way."""

    def on_fetched(self, event: e.Fetched) -> None:
        """A probe's fetch of one mm; one of equal time with its free was before it, and a freed one says nothing."""
        if event.mm in self.freed and (
            self.gone_beside(event.mm, event.at) or self.gone_before(event.mm, event.at) is not None
        ):
            return
        mm = self.mm_at(event.mm, event.at)
        if event.users is not None:
            self._users(mm, event.users, event.at, event.name)
        if event.count is not None:
            if event.name == "mm_init_ret" and mm.born is not None and mm.zero is None:
                self._equal(mm.count == event.count, event.at, f"mm_count {event.count}")
            mm.count, mm.count_seen = event.count, event.at
            if event.count < 1 and event.name in _HOLDERS:
                self.emit(CountSeen(event.at, mm, event.count, event.name))
        if event.next is not None and self.offset is not None:
            if mm.listed == MEMBER and event.prev is not None and self._as_known(mm, event.next, event.prev, event.at):
                return
            if self.look_at_birth(mm, event):
                return  # its links are its parent's, and say nothing of the list
            self._links(mm, event.next, event.prev, event.at, event.name, final=event.at.ts is None)

    def _equal(self, equal: bool, at: At, what: str) -> None:
        self.compared += 1
        if not equal:
            self.differ(at, what)

    def _users(self, mm: Mm, users: int, at: At, name: str) -> None:
        if mm.dying and users > 0 and mm.zero is not None and mm.zero.seq <= self.loss_seq:
            mm = self.renew(mm, at)
        mm.last_fetch = at
        expected = mm.users if self.counts(mm) else None
        if name == "mm_init_ret" and mm.born is not None:
            expected = 1
        if mm.dying:
            transient = self.profile.transient_get and (self.swapoffs or self.transients)
            if users > 0 and not self.tied(mm.zero, at) and not transient:
                self.emit(Got(at, mm, 0, mm.zero, "fetched"))
            elif users <= 0:
                self.compared += 1
        elif users == 0:
            mm.zero, mm.zero_how = at, "fetched"
        elif expected is not None:
            self.compared += 1
            if expected != users:
                self.gets_invisible = self.gets_invisible or users > expected
                self.differ(at, f"mm_users {users}, the model has {expected}")
        mm.users, mm.users_at = users, at

    # --- one node ----------------------------------------------------------------------------------------------------

    def _as_known(self, mm: Mm, next_: int, prev: int, at: At) -> bool:
        """Whether a confirmed member stands between the very nodes that it is known to stand between: most looks are so.

        It comes to what `_links` does, which looks for what may be odd; of neighbours that live, nothing is.
        """
        assert self.offset is not None
        node, span = mm.node, mm.membership
        if not mm.confirmed or span is None or span.joined_seen_line is None or not self.carries.joins_visible:
            return False
        if not (self.profile.swap_only or mm.used) or (next_ == prev and next_ != self.head_address):
            return False
        for link, other in ((next_, node.next), (prev, node.prev)):
            if other is None or other is node:
                return False
            if other.mm is None:
                if link != self.head_address:
                    return False
            elif link != other.mm.address + self.offset or self.mms.get(other.mm.address) is not other.mm:
                return False
            else:
                other.mm.last_seen = at
        mm.linked_seen = at
        mm.listed_seq = node.seq = at.seq
        self.compared += 2
        return True

    def _links(self, mm: Mm, next_: int, prev: int | None, at: At, name: str, *, final: bool) -> None:
        assert self.offset is not None
        if not (0 < next_ < 1 << 64 and (prev is None or 0 < prev < 1 << 64)):
            return
        odd = self.odd(mm, next_, prev, at)
        if odd and not final:
            self.deferred.setdefault(at.cpu, []).append(Deferred(mm, next_, prev, at, name))
            return
        if odd:
            self.look(mm, odd, next_, prev, at, name)
        if odd == "half" or self._beside_gone(next_, at) or self._beside_gone(prev, at):
            return
        if next_ == mm.address + self.offset:
            fits = self._self(mm, at, name, final)
        elif next_ in POISON_NEXT:
            fits = self._poison(mm, next_, prev, at, name, final)
        else:
            fits = self._linked(mm, next_, prev, at, name, final)
        if not fits:
            self.deferred.setdefault(at.cpu, []).append(Deferred(mm, next_, prev, at, name))

    def _beside_gone(self, link: int | None, at: At) -> bool:
        """Whether `link` is into an mm that was freed at the time of `at`: it was still linked there."""
        return link is not None and self.offset is not None and self.gone_beside(link - self.offset, at)

    def look_again(self, at: At) -> None:
        """Look at the deferred fetches of the CPU of `at` that are older than `at`."""
        waiting = self.deferred.get(at.cpu)
        if waiting is None:
            return
        while waiting and self._older(waiting[0].at, at):
            self._look(waiting.pop(0))
        if not waiting:
            self.deferred.pop(at.cpu, None)

    def look_at_rest(self) -> None:
        """The log has ended: look at all deferred fetches."""
        rest, self.deferred = self.deferred, {}
        for waiting in rest.values():
            for one in waiting:
                self._look(one)

    def _older(self, one: At, at: At) -> bool:
        if one is at:
            return False
        return one.ts is None or at.ts is None or at.ts > one.ts + self.grain

    def _look(self, one: Deferred) -> None:
        if self.freed_since(one.next, one.at) or self.freed_since(one.prev, one.at):
            return  # it saw a neighbour that has gone since
        if one.mm is None:
            self._head(one.next, one.prev, one.at, one.name, final=True)
        elif self.mms.get(one.mm.address) is one.mm:
            self._links(one.mm, one.next, one.prev, one.at, one.name, final=True)

    def _self(self, mm: Mm, at: At, name: str, final: bool) -> bool:
        """`next` is the node itself: off the list."""
        if mm.listed == OFF:
            self.compared += 1
            mm.listed_seq = at.seq
            self.check_unlisted(mm, at, "seen", inferred=True)
            return True
        if mm.listed == UNKNOWN:
            mm.listed, mm.listed_seq = OFF, at.seq
            mm.node.init(at.ts)
            self.check_unlisted(mm, at, "seen", inferred=True)
            return True
        if self._later(mm.joined if self.linked(mm) else mm.left, at):
            return True
        if not final and mm.listed != REMOVED:
            return False
        if mm.listed == REMOVED:  # list_del_init where the kernels known here use list_del
            self.compared += 1
            mm.listed, mm.listed_seq = OFF, at.seq
            return True
        calls = [call for call in self.swapoffs.values() if self.may_drain(call)]
        if self.drained_since(mm) or self.drained_before(at):
            self.leave(mm, "drain", at, observed=False, seen=name)
        elif calls:
            for call in calls:
                call.maybe.append((mm, at, name))
        else:
            self.not_listed(mm, at, name)
        return True

    def _later(self, change: At | None, at: At) -> bool:
        """Whether the state came about after `at`, or the clock does not say."""
        return change is not None and (change.seq > at.seq or self.tied(change, at))

    def not_listed(self, mm: Mm, at: At, name: str) -> None:
        """`at` shows `mm` off the list though it was due on it, and no drain explains that."""
        self.look_unlinked(mm, at, name)
        if not self.carries.joins_visible or not self.list_known(mm):
            self.leave(mm, "unknown", at, observed=True, seen=name)
            return
        self.differ(at, "a self-linked node, the model has it on mmlist")
        if mm.confirmed or mm.membership is None:
            self.leave(mm, "unknown", at, observed=True, seen=name)
            return
        self.list.remove(mm.node, at.ts)
        mm.node.init(at.ts)
        mm.listed, mm.listed_seq = OFF, at.seq
        mm.membership = None
        self.members.pop(mm.address, None)
        self.check_unlisted(mm, at, "seen", inferred=True)

    def _poison(self, mm: Mm, next_: int, prev: int | None, at: At, name: str, final: bool) -> bool:
        """`next` is LIST_POISON1: taken off by list_del in mmput."""
        if mm.listed == REMOVED:
            self.compared += 1
            self.check_unlisted(mm, at, "seen", inferred=True)
            return True
        if self.linked(mm):
            if self._later(mm.joined, at):
                return True
            if not mm.dying and not final:
                return False
            self._equal(mm.dying, at, "a poisoned node, the model has it on mmlist")
            self.look_poisoned(mm, next_, prev, at, name)
            self.leave(mm, "mmput", at, observed=False, seen=name, poisoned=True)
            if self.carries.leaves_explicit:
                self.seen_early(mm, "leave")
            return True
        if mm.listed == OFF and mm.drained is None and self.carries.joins_visible and self.list_known(mm):
            if not final:
                return False
            self.differ(at, "a poisoned node, the model never had it on mmlist")
            self.look_poisoned(mm, next_, prev, at, name)
        mm.listed, mm.listed_seq = REMOVED, at.seq
        return True

    def _linked(self, mm: Mm, next_: int, prev: int | None, at: At, name: str, final: bool) -> bool:
        """`next` is another node: on a list."""
        if self.profile.swap_only or mm.used:
            mm.linked_seen = at
        if mm.listed in (OFF, REMOVED) and not self._now_linked(mm, next_, prev, at, name, final):
            return False
        following = self.node_of(next_, at)
        before = self.node_of(prev, at) if prev is not None else None
        if mm.listed in (OFF, REMOVED):
            return True
        if mm.listed == UNKNOWN:
            mm.node.next = mm.node.prev = None
            self._teach(mm.node, following, before, at)
            self.learn_member(mm, at, before_log=mm.born is None and self.loss_seq == 0)
            return True
        if not self.carries.joins_visible:
            self._teach(mm.node, following, before, at)
        elif not self._fits(mm.node, following, before, at, name, final):
            return False
        self._confirm(mm, at)
        return True

    def _now_linked(self, mm: Mm, next_: int, prev: int | None, at: At, name: str, final: bool) -> bool:
        """The model has `mm` off the list, and it is linked: carry out a join that is due, or learn of one."""
        if not self.profile.swap_only and not mm.used:
            return True  # 2.6.9: the node still holds its parent's pointers
        if mm.listed == OFF and mm.joining is not None:
            self.join_due(mm, next(iter(mm.joining.values())), at)
            if self.carries.joins_explicit:
                self.seen_early(mm, "join")
            return True
        if self._later(mm.left, at):
            return True
        predicted = self.carries.joins_visible and self.list_known(mm)
        if predicted and not final:
            return False
        if predicted:
            self.differ(at, "a linked node, the model has it off mmlist")
            self.look_linked(mm, next_, prev, at, name)
        mm.listed = UNKNOWN
        return True

    def _confirm(self, mm: Mm, at: At) -> None:
        mm.confirmed = True
        mm.listed_seq = at.seq
        span = mm.membership
        if span is not None and span.joined_seen_line is None:
            span.joined_seen_line = at.line
            if mm.joined is at:
                span.evidence = "observed"

    # --- the head ----------------------------------------------------------------------------------------------------

    def on_fetched_head(self, event: e.FetchedHead) -> None:
        """init_mm.mmlist's next and prev."""
        if self.head_address is not None and 0 < event.head < 1 << 64 and 0 < event.tail < 1 << 64:
            if event.head == event.tail == self.head_address:
                self.look_empty(event.at, event.name)
            self._head(event.head, event.tail, event.at, event.name, final=event.at.ts is None)

    def _head(self, head: int, tail: int | None, at: At, name: str, *, final: bool) -> None:
        node = self.list.head
        if self._beside_gone(head, at) or self._beside_gone(tail, at):
            return
        first = self.node_of(head, at)
        last = self.node_of(tail, at) if tail is not None else None
        predicted = self.carries.joins_visible
        if node.next is None or not predicted:
            self._teach(node, first, last, at)
        elif not self._fits(node, first, last, at, name, final):
            self.deferred.setdefault(at.cpu, []).append(Deferred(None, head, tail, at, name))
