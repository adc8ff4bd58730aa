"""Kernel threads that borrow an mm, and what get_task_mm makes of them (kernel/kthread.c, fs/aio.c, kernel/fork.c)."""

from __future__ import annotations

from mmlist.replay import events as e
from mmlist.replay.model.changes import MmHandedOut
from mmlist.replay.model.progress import Progress
from mmlist.replay.record import At


class Borrowing(Progress):
    """The steps on tasks: their flags, the mm they borrow."""

    borrowed: dict[int, tuple[int, At]]
    flags: dict[int, tuple[int, At]]

    def on_kthread_use_mm(self, event: e.KthreadUseMm) -> None:
        """kthread_use_mm (2.6: use_mm): the task has the mm without raising mm_users."""
        self.mm_at(event.mm, event.at).used = True
        if event.at.pid is not None:
            self.borrowed[event.at.pid] = (event.mm, event.at)

    def on_kthread_unuse_mm(self, event: e.KthreadUnuseMm) -> None:
        """kthread_unuse_mm (2.6: unuse_mm)."""
        if event.at.pid is not None:
            self.borrowed.pop(event.at.pid, None)

    def on_task_flags(self, event: e.TaskFlags) -> None:
        """The task's flags from now on."""
        self.flags[event.pid] = (event.flags, event.at)

    def on_task_new(self, event: e.TaskNew) -> None:
        """A pid is taken anew: what was known of its last owner is over."""
        self.flags.pop(event.pid, None)
        self.borrowed.pop(event.pid, None)

    def on_task_exit(self, event: e.TaskExit) -> None:
        """The task is gone."""
        self.task_mms.pop(event.pid, None)
        self.flags.pop(event.pid, None)
        self.borrowed.pop(event.pid, None)
        self.pending_duplicates.pop(event.pid, None)

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
