"""mmlist_nr of 2.6.9 and before, which counts the members and which nothing reads (kernel/fork.c, fs/exec.c).

It goes up with every list_add and down with every list_del, under mmlist_lock. What lines show of it is held against the
joins and removals since it was last shown.
"""

from __future__ import annotations

from mmlist.replay.model.changes import NrShown
from mmlist.replay.model.core import Core
from mmlist.replay.model.mm import APART, MEMBER, OFF, UNKNOWN, Mm
from mmlist.replay.record import At


class Numbers(Core):
    """Counting along: `nr` is None where it is not known."""

    def nr_joined(self, before: str, at: At, *, observed: bool) -> None:
        """A join of an mm whose `listed` was `before`."""
        if before == UNKNOWN and not observed:
            self.nr = None  # it may have joined before the log, or in what was lost
        elif before not in (MEMBER, APART) and self.nr is not None:
            self.nr += 1
        self._changed(at)

    def nr_left(self, before: str, at: At) -> None:
        """A removal of an mm whose `listed` was `before`."""
        if self.nr is not None and before in (MEMBER, APART, UNKNOWN):
            self.nr -= 1
        self._changed(at)

    def _changed(self, at: At) -> None:
        if self.profile.swap_only:
            return
        self.nr_changes[at.cpu] = at
        if self.nr_odd is not None and self.tied(self.nr_odd.at, at):
            self.nr = self.nr_odd = None

    def nr_unknown(self) -> None:
        """An mm may have left that nobody knew on the list."""
        self.nr = None

    def show_nr(self, shown: int | None, mm: Mm, at: At) -> None:
        """`at` shows mmlist_nr as it is after the join or removal of `mm`, which the model has stepped on."""
        if shown is None or self.profile.swap_only:
            return
        if shown < 1 and self.linked(mm):
            self.emit(NrShown(at, mm, shown, 1, None))
        if not (self.carries.joins_explicit and self.carries.leaves_explicit) and len(self.cpus) > 1:
            return  # exec_mmap and mmput print it when others have joined and left, whose own lines are still to come
        own = self._its_own(mm, at)
        if own is None or any(self.tied(change, at) for change in self.nr_changes.values()):
            self.nr = None
            return
        waiting = self._waiting() if self.nr is None or shown != self.nr else 0
        if self.nr is not None and self.nr_seq > self.loss_seq:
            if self.nr < shown <= self.nr + waiting:
                return
            if shown != self.nr:
                self.nr_odd = NrShown(at, mm, shown, self.nr, self.nr_at)
        self.nr = None if waiting else shown
        self.nr_at, self.nr_seq = own, own.seq

    def _its_own(self, mm: Mm, at: At) -> At | None:
        """The join or removal that `at` shows the number of: its own line, or that of the mm if no other came since.

        exec_mmap and mmput are printed when the lock is let go, and other tasks may have taken it since.
        """
        latest = max(self.nr_changes.values(), key=lambda change: change.seq, default=None)
        if latest is None or latest is at:
            return latest
        if latest not in (mm.joined, mm.left) or latest.seq <= self.loss_seq:
            return None
        return None if any(self.tied(one, latest) for one in self.nr_changes.values()) else latest

    def nr_settled(self, at: At | None) -> None:
        """What differed is told once a line (`at`; None: the log's end) is later than all that could explain it."""
        odd = self.nr_odd
        if odd is None or (
            at is not None and odd.at.ts is not None and at.ts is not None and at.ts <= odd.at.ts + self.grain
        ):
            return
        self.nr_odd = None
        self.emit(odd)

    def _waiting(self) -> int:
        """How many mms may have joined without a line: dup_mmap joins at its begin, and mm_fork comes when it is done."""
        if self.carries.joins_explicit:
            return 0
        return sum(mm.listed == OFF and not mm.used and not mm.dying for mm in self.mms.values())
