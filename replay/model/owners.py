"""Which tasks have an mm, and who took hold of it besides: what keeps it when its last task has gone.

Source: kernel/fork.c: copy_mm (CLONE_VM shares, else dup_mm), mmput; kernel/exit.c: exit_mm; fs/exec.c: exec_mmap.
"""

from __future__ import annotations

import msgspec

from mmlist.replay import events as e
from mmlist.replay.model.changes import Leaked
from mmlist.replay.model.mm import Mm
from mmlist.replay.model.orphans import Orphans
from mmlist.replay.record import At

_HELD = 16
"""Gets that are remembered of one mm."""
_AT_ONCE = 100
"""By so much sooner than leak_after a log's end says nothing of who goes: exit_mm puts at once (0.1 s of 10)."""


class Owned(msgspec.Struct):
    """Who has an mm: `tasks` by pid, `gone` when the last of them left, `gets` without a put by the same task yet.

    `failed`: none ever had it, since the fork came to nothing that was to give it one.
    """

    tasks: set[int] = set()
    gone: At | None = None
    gets: list[At] = []
    put: At | None = None
    failed: bool = False


class Owners(Orphans):
    """The steps by which tasks come to an mm and leave it. Only of mms that were born in the log, and lost nothing since."""

    leak_after: int | None = None
    """In units of ts; None: not to be told."""
    owned: dict[Mm, Owned]
    owner_of: dict[int, Mm]
    copied: dict[int, Mm]
    """By task, the mm that its fork fills, or has filled: nobody has it until the child is there."""

    def on_mm_init(self, event: e.MmInit) -> None:
        """Nobody has it yet."""
        super().on_mm_init(event)
        if self.leak_after is not None:
            self.owned[self.mms[event.mm]] = Owned()

    def on_dup_mmap(self, event: e.DupMmap) -> None:
        """A fork fills a new mm."""
        super().on_dup_mmap(event)
        child = self.mms.get(event.child)
        if child in self.owned:
            self.copied[self.key(event.at)] = child

    def on_mm_fork_failed(self, event: e.MmForkFailed) -> None:
        """And fails: nobody will have it."""
        super().on_mm_fork_failed(event)
        self.on_fork_failed(e.ForkFailed(event.at))

    def on_fork_failed(self, event: e.ForkFailed) -> None:
        """The mm that was to be the child's is put (kernel/fork.c: copy_process, dup_mm)."""
        child = self.copied.pop(self.key(event.at), None)
        owned = self.owned.get(child) if child is not None else None
        if owned is not None and not owned.tasks:
            owned.gone, owned.failed = event.at, True

    def on_task_mm(self, event: e.TaskMm) -> None:
        """A task has another mm from here on, or none."""
        super().on_task_mm(event)
        if event.mm and self.copied.get(self.key(event.at)) is self.mms.get(event.mm):
            del self.copied[self.key(event.at)]
        self._leaves(event.pid, event.at)
        if event.mm:
            self._has(event.pid, self.mms.get(event.mm))

    def on_task_new(self, event: e.TaskNew) -> None:
        """A thread, or a vfork's child: it has its parent's mm."""
        super().on_task_new(event)
        if event.parent_pid is not None:
            self.copied.pop(event.parent_pid, None)  # the child is there
        if event.shared is None:
            self.forget_owners()  # whose mm it has is not known
        elif event.shared and event.parent_pid is not None:
            self._leaves(event.pid, event.at)
            self._has(event.pid, self.owner_of.get(event.parent_pid))

    def on_task_exit(self, event: e.TaskExit) -> None:
        """The task is gone."""
        super().on_task_exit(event)
        self.copied.pop(event.pid, None)
        self._leaves(event.pid, event.at)

    def forget_owners(self) -> None:
        """Tasks may have come and gone unseen."""
        self.owned.clear()
        self.owner_of.clear()
        self.copied.clear()

    def _has(self, pid: int, mm: Mm | None) -> None:
        owned = self.owned.get(mm) if mm is not None else None
        if mm is not None:
            self.owner_of[pid] = mm
        if owned is not None:
            owned.tasks.add(pid)
            owned.gone = None

    def _leaves(self, pid: int, at: At) -> None:
        mm = self.owner_of.pop(pid, None)
        owned = self.owned.get(mm) if mm is not None else None
        if owned is None:
            return
        owned.tasks.discard(pid)
        if not owned.tasks:
            owned.gone = at

    # --- who holds it besides ----------------------------------------------------------------------------------------

    def on_mmget(self, event: e.Mmget) -> None:
        """One more holds it."""
        super().on_mmget(event)
        mm = self.mms.get(event.mm)
        owned = self.owned.get(mm) if mm is not None else None
        if owned is not None:
            owned.gets.append(event.at)
            del owned.gets[:-_HELD]

    def on_mmput(self, event: e.Mmput) -> None:
        """One less: the task's own get, if it made one."""
        super().on_mmput(event)
        mm = self.mms.get(event.mm)
        owned = self.owned.get(mm) if mm is not None else None
        if mm is None or owned is None:
            return
        if mm.zero is not None:
            self._users_gone(mm, event.at)
            return
        owned.put = event.at
        for index in range(len(owned.gets) - 1, -1, -1):
            if owned.gets[index].pid == event.at.pid:
                del owned.gets[index]
                break

    # --- its end -----------------------------------------------------------------------------------------------------

    def on_final_put(self, event: e.FinalPut) -> None:
        """mm_users is 0."""
        self._users_gone(self.mms.get(event.mm), event.at)
        super().on_final_put(event)

    def on_exit_mmap(self, event: e.ExitMmap) -> None:
        """mm_users is 0."""
        self._users_gone(self.mms.get(event.mm), event.at)
        super().on_exit_mmap(event)

    def on_mm_free(self, event: e.MmFree) -> None:
        """A never-used mm ends without a put."""
        mm = self.mms.get(event.mm)
        if mm is not None:
            self.owned.pop(mm, None)
        super().on_mm_free(event)

    def _users_gone(self, mm: Mm | None, at: At) -> None:
        owned = self.owned.pop(mm, None) if mm is not None else None
        if mm is not None and owned is not None:
            self._tell_leak(mm, owned, at, ended=True)

    def leaked_at_end(self, at: At) -> None:
        """The log has ended: who has outlived his tasks for long enough."""
        for mm, owned in self.owned.items():
            if not mm.dying and self.mms.get(mm.address) is mm:
                self._tell_leak(mm, owned, at, ended=False)

    def _tell_leak(self, mm: Mm, owned: Owned, at: At, *, ended: bool) -> None:
        gone = owned.gone
        if gone is None or gone.ts is None or at.ts is None or self.leak_after is None:
            return
        since = at.ts - gone.ts
        short = since <= self.leak_after
        if (short and (ended or since * _AT_ONCE <= self.leak_after)) or self.borrowers(mm):
            return
        self.emit(Leaked(at, mm, gone, list(owned.gets), owned.put, ended, short, owned.failed))
