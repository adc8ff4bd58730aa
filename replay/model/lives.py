"""Lives: births, forks, execs, mm_users and mm_count, the final put, the free (kernel/fork.c, fs/exec.c)."""

from __future__ import annotations

from mmlist.replay import events as e
from mmlist.replay.model.changes import Dropped, ExitBegan, Freed, Got, Missing, Put, Zero
from mmlist.replay.model.membership import Memberships
from mmlist.replay.model.mm import MEMBER, OFF, REMOVED, UNKNOWN, Mm
from mmlist.replay.record import At

_REBORN = 64
"""Births where mms live that are kept in mind."""


class Lives(Memberships):
    """The steps on lives. mm_users is counted where every get is explicit, else known only where it was fetched."""

    transients: dict[int, Got]
    flags: dict[int, tuple[int, At]]
    final_drop: At | None = None  # the last drop of a dying mm was an event: this log shows that of __mmput
    grabs_invisible = False

    def on_mm_init(self, event: e.MmInit) -> None:
        """kernel/fork.c: mm_init: mm_users 1, mm_count 1, off the list."""
        old = self.mms.get(event.mm)
        if old is not None:
            self._unfreed(old, event.at)
            self._end(old, event.at, implied=True)
        mm = self.birth(event.mm, event.at)
        self.born_off(mm, event.at)

    def _unfreed(self, mm: Mm, at: At) -> None:
        """`mm` lives where one is born: a log that has frees lacks this one, and so what else was done beside it.

        Not so of one that was born before the log, or before its first free: probes are switched on one after the other. Nor
        where one was freed twice, for the slab then hands it out twice.
        """
        again = self.freed_again.get(mm.address, 0)
        if again:
            self.freed_again[mm.address] = again - 1
        elif (
            self.first_free is not None
            and mm.born is not None
            and mm.born.seq > self.first_free.seq
            and not self.loss_seq
        ):
            self.reborn.append((mm.address, at))
            del self.reborn[:-_REBORN]

    def _freed_late(self, address: int, at: At) -> None:
        """A free at `address` that the clock does not set behind the birth there may have come before it."""
        for one in self.reborn:
            if one[0] == address and self.tied(one[1], at):
                self.reborn.remove(one)
                return

    def on_dup_mmap(self, event: e.DupMmap) -> None:
        """mm/mmap.c: dup_mmap begins: the child is the parent's copy from here on."""
        child = self.mm_at(event.child, event.at)
        if child.dying:
            self._end(child, event.at, implied=True)
            child = self.new_mm(event.child, event.at)
        self._forked(child, self.mm_at(event.parent, event.at))
        if not self.profile.swap_only and not self.carries.joins_explicit:
            self.join(child, "fork", child.parent, event.at, event.at, observed=False)

    def on_mm_fork(self, event: e.MmFork) -> None:
        """dup_mmap is done."""
        child = self.mm_at(event.child, event.at)
        parent = self.mm_at(event.parent, event.at)
        self._forked(child, parent)
        child.used = parent.used = event.at
        if child.placed is not None and (child.placed.site == "fork" or not self.profile.swap_only):
            self.place_caused(child, "fork", parent, event.at)
        if self.carries.joins_explicit and not self.profile.swap_only and child.listed == OFF:
            self._missing(child, event.at, "fork")
        if self.profile.swap_only or self.carries.joins_explicit or self.linked(child):
            return
        self.join(child, "fork", parent, event.at, event.at, observed=False)

    def on_mm_fork_failed(self, event: e.MmForkFailed) -> None:
        """dup_mmap failed part way; the child ends by an ordinary mmput."""
        self._forked(self.mm_at(event.child, event.at), self.mm_at(event.parent, event.at))

    def _forked(self, child: Mm, parent: Mm) -> None:
        child.parent = parent
        life = child.life
        life.born_by = "fork"
        life.parent_mm, life.parent_generation = parent.address, parent.generation

    def on_exec_mmap(self, event: e.ExecMmap) -> None:
        """fs/exec.c: exec_mmap: the task takes the mm."""
        mm = self.mm_at(event.mm, event.at)
        mm.used = event.at
        if event.at.pid is not None:
            self.flags.pop(event.at.pid, None)  # fs/exec.c: begin_new_exec clears PF_KTHREAD
        if mm.life.born_by == "unknown" and mm.born is not None:
            mm.life.born_by = "exec"
        if mm.placed is not None and mm.parent is None and not self.profile.swap_only:
            self.place_caused(mm, "exec", None, event.at)
        if not self.profile.swap_only and not self.carries.joins_explicit and not self.linked(mm):
            self.join(mm, "exec", None, event.at, event.at, observed=False)
        if self.linked(mm):  # else the line of its join is still to come
            self.show_nr(event.nr, mm, event.at)

    def on_task_mm(self, event: e.TaskMm) -> None:
        """A task has the mm: it is in use."""
        self.task_mms[event.pid] = event.mm
        if event.mm:
            self.mm_at(event.mm, event.at).used = event.at

    def not_transient(self, event: e.Event) -> None:
        """2.6.10's swapoff raises a dying mm to 1 and at once back to 0; anything else in between makes it a get."""
        key = self.key(event.at)
        got = self.transients.get(key)
        if got is None or event.at is got.at or isinstance(event, e.Fetched):
            return
        if self._visits_unseen(got.at):
            del self.transients[key]
            got.mm.users = None
            return
        back = isinstance(event, e.Mmput) or (isinstance(event, e.MmlistVisit) and not event.got)
        if not (back and event.mm == got.mm.address):  # type: ignore[attr-defined]
            self.emit(got)
            if got.mm.users is not None:
                got.mm.users = None if got.before is None else got.mm.users + 1
            got.mm.users_at = got.at
        if not isinstance(event, e.Mmput) or event.mm != got.mm.address:
            del self.transients[key]

    def still_got(self) -> list[Got]:
        """At the log's end: who was raised, and not put back."""
        return [got for got in self.transients.values() if not self._visits_unseen(got.at)]

    def _visits_unseen(self, at: At) -> bool:
        """Whether the task of `at` may be in a swapoff, and no visit would say what it takes hold of, and puts back."""
        if self.carries.visits_explicit:
            return False
        shown = self.carries.swapoffs_visible and at.line > self.carries.swapoff_before
        return self.key(at) in self.swapoffs or not shown

    # --- mm_users ----------------------------------------------------------------------------------------------------

    def counts(self, mm: Mm) -> bool:
        """Whether mm_users of `mm` can be counted: every get is an event, and it was born in the log."""
        return self.carries.gets_explicit and not self.gets_invisible

    def on_mmget(self, event: e.Mmget) -> None:
        """include/linux/sched/mm.h: mmget, and what get_task_mm does."""
        gone = self.gone_before(event.mm, event.at)
        if gone is not None:
            self.emit(Got(event.at, gone, 0, gone.zero, "mmget"))
        mm = self.mm_at(event.mm, event.at)
        self.get(mm, event.at, event.users, "mmget")

    def get(self, mm: Mm, at: At, shown: int | None, how: str) -> None:
        """One user more."""
        before = shown if shown is not None else mm.users if self.counts(mm) else None
        got = Got(at, mm, before, mm.zero, how)
        if self.profile.transient_get and mm.zero is not None and how == "mmget":
            self.transients[self.key(at)] = got
            return
        self.emit(got)
        mm.users = None if before is None else before + 1
        mm.users_at = at

    def on_mmput(self, event: e.Mmput) -> None:
        """kernel/fork.c: mmput. A probed `users=1` is no proof of zero: the value is racy."""
        if self.gone_beside(event.mm, event.at):
            return
        gone = self.gone_before(event.mm, event.at)
        if gone is not None:
            self.emit(Put(event.at, gone, 0, False))
            return
        mm = self.mm_at(event.mm, event.at)
        if self.transients.pop(self.key(event.at), None) is not None:
            return
        in_swapoff = self.key(event.at) in self.swapoffs or event.at.line <= self.carries.swapoff_before
        if in_swapoff and not self.carries.visits_explicit:
            self.gets_invisible = True  # swapoff lets go of what no event says that it took hold of
        before = event.users if event.users is not None else mm.users if self.counts(mm) else None
        self.emit(Put(event.at, mm, before, event.users is not None))
        mm.users_at = event.at
        if before is None:
            mm.users = None
            return
        mm.users = before - 1
        if self.carries.gets_explicit and before == 1:
            self._zero(mm, event.at, "counted")
        if event.users == 1 and mm.listed in (OFF, REMOVED):  # else the line of its removal is still to come
            self.show_nr(event.nr, mm, event.at)

    def _zero(self, mm: Mm, at: At, how: str) -> None:
        self.emit(Zero(at, mm, how, mm.zero))
        if mm.zero is None:
            mm.zero, mm.zero_how = at, how
            mm.life.final_put_line = at.line
            if mm.listed == MEMBER:
                mm.linked_at_zero = at
        mm.users = 0
        self._leave_at_zero(mm, at)

    def _leave_at_zero(self, mm: Mm, at: At) -> None:
        """2.6.9 kernel/fork.c: mmput: the step to 0 removes it. One that nothing joined, though it lived, was missing."""
        if self.profile.removal != "zero":
            return
        if self.carries.joins_explicit and mm.listed == OFF and mm.used and mm.joined is None:
            self._missing(mm, at, mm.life.born_by)
        if self.carries.leaves_explicit:
            return
        if mm.listed == MEMBER:
            self.leave(mm, "mmput", at, observed=False)
        elif mm.listed == UNKNOWN:
            self.nr_unknown()

    def _missing(self, mm: Mm, at: At, how: str) -> None:
        """A live mm is off mmlist (2.6.9: every one is on it from dup_mmap or exec_mmap on)."""
        if mm.born is not None and self.list_known(mm):
            self.emit(Missing(at, mm, mm.left or mm.born, how))

    def on_final_put(self, event: e.FinalPut) -> None:
        """kernel/fork.c: __mmput runs: mm_users is 0."""
        mm = self.mm_at(event.mm, event.at)
        if mm.final_put is not None and mm.final_put.seq <= self.loss_seq:
            mm = self.renew(mm, event.at)
        if mm.final_put is not None or mm.zero is None or mm.zero_how == "fetched":
            self.emit(Zero(event.at, mm, "__mmput", mm.final_put))
        if mm.zero is None:
            mm.life.final_put_line = event.at.line
            mm.zero, mm.zero_how = event.at, "__mmput"
        mm.final_put = event.at
        mm.users = 0
        mm.linked_at_zero = event.at if mm.listed == MEMBER and mm.confirmed else None
        self._leave_at_zero(mm, event.at)

    def on_exit_mmap(self, event: e.ExitMmap) -> None:
        """mm/mmap.c: exit_mmap begins; only __mmput calls it."""
        mm = self.mm_at(event.mm, event.at)
        if mm.exit_began is not None and mm.exit_began.seq <= self.loss_seq:
            mm = self.renew(mm, event.at)
        self.emit(ExitBegan(event.at, mm, mm.exit_began, mm.listed))
        if mm.zero is None:
            mm.zero, mm.zero_how = event.at, "exit_mmap"
            mm.life.final_put_line = event.at.line
            self._leave_at_zero(mm, event.at)
        if mm.exit_began is None:
            mm.life.exit_mmap_line = event.at.line
        mm.exit_began = event.at
        mm.users = 0

    def on_exit_mmap_ret(self, event: e.ExitMmapRet) -> None:
        """exit_mmap returned: list_del, if it is on the list, is next."""
        mm = self.mm_at(event.mm, event.at)
        mm.exit_ended = event.at
        self.clear_all(mm, event.at, "exit")
        if not self.carries.leaves_explicit and mm.listed == MEMBER and self.profile.removal == "exit":
            self.leave(mm, "mmput", event.at, observed=False)

    def on_mmput_ret(self, event: e.MmputRet) -> None:
        """__mmput is behind its list_del."""
        mm = self.mm_at(event.mm, event.at)
        mm.exit_ended = mm.exit_ended or event.at
        self.clear_all(mm, event.at, "exit")
        if not self.carries.leaves_explicit and mm.listed == MEMBER and mm.exit_began is not None:
            self.leave(mm, "mmput", event.at, observed=False)

    # --- mm_count and the free ---------------------------------------------------------------------------------------

    def counted(self, mm: Mm) -> int | None:
        """mm_count as counted: every grab and drop is an event, and it was born in the log; else None."""
        known = self.carries.grabs_explicit and not self.grabs_invisible and mm.born is not None
        return mm.count if known else None

    def _before(self, mm: Mm, shown: int | None) -> int | None:
        """mm_count before a step that shows it, or does not."""
        counted = self.counted(mm)
        if shown is not None and counted is not None and shown > counted:
            self.grabs_invisible = True
        return counted if shown is None else shown

    def on_mmgrab(self, event: e.Mmgrab) -> None:
        """One reference to the struct more."""
        mm = self.mm_at(event.mm, event.at)
        before = self._before(mm, event.count)
        mm.count = None if before is None else before + 1

    def on_mmdrop(self, event: e.Mmdrop) -> None:
        """One reference to the struct less."""
        mm = self.mm_at(event.mm, event.at)
        before = self._before(mm, event.count)
        self.emit(Dropped(event.at, mm, before, event.count is not None))
        if before == 1 and mm.dying:
            self.final_drop = event.at
        mm.count = None if before is None else before - 1

    def on_mm_free(self, event: e.MmFree) -> None:
        """kernel/fork.c: __mmdrop: the generation ends."""
        mm = self.mms.get(event.mm)
        self.first_free = self.first_free or event.at
        if self.reborn:
            self._freed_late(event.mm, event.at)
        if mm is None:
            mm = self.mm_at(event.mm, event.at)
        if mm.born is None and mm.generation > 1:
            self.freed_again[event.mm] = self.freed_again.get(event.mm, 0) + 1
        self._end(mm, event.at, implied=False)

    def _end(self, mm: Mm, at: At, *, implied: bool) -> None:
        fetched = mm.last_fetch is at
        if (
            not implied
            and mm.dying
            and mm.listed == MEMBER
            and not self.carries.leaves_explicit
            and not mm.seen_linked(at)
        ):
            self.leave(mm, "mmput", at, observed=False)
        linked = not implied and mm.seen_linked(at)  # else what `at` saw is of who lives there now
        self.emit(Freed(at, mm, mm.users, fetched, mm.listed, linked, implied))
        self.clear_all(mm, at, "freed")
        self.close_membership(mm, at, "freed")
        if self.linked(mm):
            self.unlink_freed(mm, at)
        life = mm.life
        if not implied:
            life.freed_line, life.freed_ts = at.line, at.ts
            mm.freed = at
            self.freed[mm.address] = mm
        self.end_life(mm, at)

    def renew(self, mm: Mm, at: At) -> Mm:
        """A dying mm lives again after a loss: it was freed, and its address used anew, in what was lost.

        A join that came since was of the one that lives there now.
        """
        joined = mm.listed == MEMBER and mm.joined is not None and mm.joined.seq > self.loss_seq
        node = mm.node
        self.close_membership(mm, at, "unknown")
        if self.linked(mm) and not joined:
            self.list.remove(node, at.ts)
        mm.listed = UNKNOWN
        self._end(mm, at, implied=True)
        new = self.mm_at(mm.address, at)
        if joined:
            self.list.replace(node, new.node, at.ts)
            self.learn_member(new, at, before_log=False)
        return new

    def end_life(self, mm: Mm, at: At) -> None:
        """The generation leaves the model; its facts are complete."""
        if self.mms.get(mm.address) is mm:
            del self.mms[mm.address]
        self.under_way.pop(mm, None)
        mm.life.last_line = at.line
        self.facts.append(mm.life)
