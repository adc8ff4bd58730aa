"""Kernel threads that borrow an mm, and what get_task_mm makes of them (kernel/kthread.c, fs/aio.c, kernel/fork.c)."""

from __future__ import annotations

import msgspec

from mmlist.replay import events as e
from mmlist.replay.model.changes import Borrowed, FlagMismatch, MmHandedOut
from mmlist.replay.model.mm import Mm
from mmlist.replay.model.profile import PF_BORROWED_MM
from mmlist.replay.model.rounds import Rounds
from mmlist.replay.record import At

_ONE_STEP = frozenset(
    {
        e.KthreadUseMm, e.KthreadUnuseMm, e.TaskFlags, e.TaskMm, e.Mmgrab, e.Mmdrop, e.MmFree, e.LockAcquire,
        e.LockRelease, e.Fetched, e.Mmput,
    }
)  # fmt: skip
"""What use_mm and unuse_mm may show beside the flag and the mm (fs/aio.c), and an interrupt among it."""


class Phase(msgspec.Struct):
    """A task has borrowed `mm` at `at`, or given it back. `fits`: PF_BORROWED_MM was as it should be, then or since."""

    borrows: bool
    mm: Mm
    at: At
    fits: bool


class Borrowing(Rounds):
    """The steps on tasks: their flags, the mm they borrow."""

    borrowed: dict[int, tuple[int, At]]
    flags: dict[int, tuple[int, At]]
    phases: dict[int, Phase]
    unsettled: set[int]

    def on_kthread_use_mm(self, event: e.KthreadUseMm) -> None:
        """kthread_use_mm (2.6: use_mm): the task has the mm without raising mm_users."""
        mm = self.mm_at(event.mm, event.at)
        if mm.exit_began is not None and mm.exit_began.seq <= self.loss_seq:
            mm = self.renew(mm, event.at)
        mm.used = event.at
        mm.count = None  # use_mm takes one mm_count, by an event of its own or not
        if event.at.pid is not None:
            self.borrowed[event.at.pid] = (event.mm, event.at)
            self._phase(event.at.pid, mm, event.at, borrows=True)
        self.emit(Borrowed(event.at, mm))

    def on_kthread_unuse_mm(self, event: e.KthreadUnuseMm) -> None:
        """kthread_unuse_mm (2.6: unuse_mm)."""
        if event.at.pid is not None:
            self.borrowed.pop(event.at.pid, None)
            self._phase(event.at.pid, self.mm_at(event.mm, event.at), event.at, borrows=False)

    def borrowers(self, mm: Mm) -> list[tuple[int, At]]:
        """The tasks that borrow `mm`, and since when, where the log shows an mm given back."""
        if not self.carries.unborrows:
            return []
        born = 0 if mm.born is None else mm.born.seq
        return [
            (pid, since)
            for pid, (address, since) in self.borrowed.items()
            if address == mm.address and since.seq > born
        ]

    # --- PF_BORROWED_MM ----------------------------------------------------------------------------------------------

    def _phase(self, pid: int, mm: Mm, at: At, *, borrows: bool) -> None:
        """use_mm or unuse_mm: the flag must have been right once since the one before."""
        if self.profile.borrower_flag != PF_BORROWED_MM:
            return
        before = self.phases.get(pid)
        if before is not None and before.borrows != borrows:
            self._mismatch(pid, before, at)
        self.phases[pid] = Phase(borrows, mm, at, self._flagged(pid) in (None, borrows))
        self.unsettled.add(pid)

    def _flagged(self, pid: int) -> bool | None:
        """Whether PF_BORROWED_MM is set on the task; None if that is not known."""
        known = self.flags.get(pid)
        if known is None or known[1].seq <= self.loss_seq:
            return None
        return bool(known[0] & PF_BORROWED_MM)

    def _mismatch(self, pid: int, phase: Phase, at: At) -> None:
        if phase.fits or self._flagged(pid) is None:
            return
        phase.fits = True
        self.emit(FlagMismatch(at, pid, phase.mm, phase.borrows, phase.at, self.flags[pid][1]))

    def settle(self, event: e.Event) -> None:
        """A task has gone on from use_mm or unuse_mm, or from where its flags changed: the flag must be right now."""
        pid = event.at.pid
        if pid not in self.unsettled or type(event) in _ONE_STEP:
            return
        self.unsettled.discard(pid)
        phase = self.phases.get(pid)
        if phase is not None:
            phase.fits = phase.fits and self._flagged(pid) in (None, phase.borrows)
            self._mismatch(pid, phase, event.at)

    def on_task_flags(self, event: e.TaskFlags) -> None:
        """The task's flags from now on."""
        self.flags[event.pid] = (event.flags, event.at)
        if self.profile.borrower_flag != PF_BORROWED_MM:
            return
        flagged = bool(event.flags & PF_BORROWED_MM)
        phase = self.phases.get(event.pid)
        if phase is not None:
            phase.fits = phase.fits or flagged == phase.borrows
            self.unsettled.add(event.pid)

    def on_task_new(self, event: e.TaskNew) -> None:
        """A pid is taken anew: what was known of its last owner is over."""
        self.flags.pop(event.pid, None)
        self.borrowed.pop(event.pid, None)
        self.phases.pop(event.pid, None)

    def on_task_exit(self, event: e.TaskExit) -> None:
        """The task is gone."""
        self.task_mms.pop(event.pid, None)
        self.flags.pop(event.pid, None)
        self.borrowed.pop(event.pid, None)
        self.phases.pop(event.pid, None)
        self.pending_duplicates.pop(event.pid, None)
        self.outside.pop(event.pid, None)
        self.told_outside.pop(event.pid, None)

    def on_get_task_mm(self, event: e.GetTaskMm) -> None:
        """kernel/fork.c: get_task_mm: NULL for a borrower."""
        if not event.mm or event.pid is None or self.profile.borrower_flag is None:
            return
        since = self._borrower(event.pid)
        if since is None:
            return
        entered = event.entered or event.at
        if since[1].seq > entered.seq or self.tied(since[1], entered):
            return
        self.emit(MmHandedOut(event.at, event.pid, self.mm_at(event.mm, event.at), since[1], since[0]))

    def _borrower(self, pid: int) -> tuple[str, At] | None:
        borrowed = self.borrowed.get(pid)
        if borrowed is not None:
            return "borrows", borrowed[1]
        flags = self.flags.get(pid)
        if flags is not None and self.profile.borrower_flag is not None and flags[0] & self.profile.borrower_flag:
            return "flags", flags[1]
        return None
