"""Tasks that still have an mm when it is freed: somebody has put the user that was theirs.

A task's mm is one of mm_users, which it puts itself, when it exits or has taken another mm (kernel/exit.c: exit_mm; fs/exec.c:
exec_mmap). So of each task that the log shows with an mm, the log shows a put, before the last. Only where puts are explicit;
and where the last was not the first step on the mm of who made it: one of its tasks, or who had got it and put it once too often.
"""

from __future__ import annotations

import msgspec

from mmlist.replay import events as e
from mmlist.replay.model.changes import Kept
from mmlist.replay.model.mm import Mm
from mmlist.replay.model.owners import Owners
from mmlist.replay.record import At

_INIT = 1
"""The task that does not exit (kernel/exit.c: do_exit panics): it leaves its mm by an exec alone."""

_UNSURE = 64
"""Tasks of which it has yet to show that they still had a freed mm."""


class Unsure(msgspec.Struct):
    """What is told when the task is seen `alive` after it, and a later line shows that its exec would be one (`execs`).

    That is another's exec, or, where the task has made no mm since it was seen with this one (`made_none`), any mm_init:
    who execs makes an mm first (fs/exec.c: bprm_mm_init).
    """

    kept: Kept
    alive: bool
    made_none: bool
    execs: bool = False


class Keepers(Owners):
    """The steps that show a task with an mm, and those by which it may have left it."""

    keeps: dict[int, Mm]
    keepers: dict[Mm, dict[int, At | None]]
    """Tasks by pid, and the line that showed each with the mm; None: it has left it."""
    strangers: dict[Mm, dict[int, int]]
    """Gets less puts of each task that never had the mm."""
    given: dict[int, tuple[int, int]]
    """By the pid of a child that may not come to be, the mm that its fork made: its address and generation."""
    past: dict[int, set[Mm]]
    """By pid, the mms that its task has left: the keepers that are None."""
    last_puts: dict[Mm, At]
    first_put: At | None
    first_exec: At | None
    first_init: At | None
    made: dict[int, At]
    """By pid, of tasks that have an mm, the last mm_init."""
    first_thread: At | None
    """The first task_newtask: a fork shows by mm_fork, too, a thread by nothing else."""
    freed_kept: list[Kept]
    """Told when no line of equal time can come that shows the task leave."""
    unsure: dict[int, Unsure]
    """By pid: of tasks that may have left before the log's first put."""

    def forget_owners(self) -> None:
        """Tasks may have come and gone unseen."""
        super().forget_owners()
        self.keeps = {}
        self.keepers = {}
        self.strangers = {}
        self.given = {}
        self.past = {}
        self.last_puts = {}
        self.first_put = None
        self.first_exec = None
        self.first_init = None
        self.made = {}
        self.first_thread = None
        self.freed_kept = []
        self.unsure = {}

    def on_mm_init(self, event: e.MmInit) -> None:
        """Another mm: who had the one before at its address is not known, if its free was not seen."""
        if (old := self.mms.get(event.mm)) is not None:
            self._forget(old)
        super().on_mm_init(event)
        self.first_init = self.first_init or event.at
        for pid, unsure in list(self.unsure.items()):
            if unsure.made_none:
                self._shows_execs(pid, unsure, event.at)
        if event.at.pid in self.keeps:
            self.made[event.at.pid] = event.at

    def on_task_mm(self, event: e.TaskMm) -> None:
        """A task takes an mm, or a fork made one for it."""
        super().on_task_mm(event)
        pid, mm = event.pid, self.mms.get(event.mm)
        if pid != event.at.pid:
            self._leaves_it(pid)
            if mm is not None and self._shown:
                self.given[pid] = mm.address, mm.generation
            return
        self._keeps(pid, mm, event.at)

    def on_mm_fork(self, event: e.MmFork) -> None:
        """A task that forks has the mm that is copied (kernel/fork.c: copy_mm takes current's)."""
        super().on_mm_fork(event)
        pid, mm = event.at.pid, self.mms.get(event.parent)
        if not pid or mm is None or mm.dying:
            return
        had = self.keeps.get(pid)
        if had is None or (had is mm and not _before(self.first_put, self.keepers[mm][pid])):
            self._keeps(pid, mm, event.at)

    def on_swap_clear(self, event: e.SwapClear) -> None:
        """A fault of a task on the mm that is known to be its own: it has it still, whatever was not seen before."""
        super().on_swap_clear(event)
        mm = self.keeps.get(event.at.pid or 0) if event.why == "fault" and event.observed else None
        if mm is not None and mm.address == event.mm and self.mms.get(mm.address) is mm:
            had = self.keepers[mm]
            if not _before(self.first_put, had[event.at.pid or 0]):
                had[event.at.pid or 0] = event.at

    def on_exec_mmap(self, event: e.ExecMmap) -> None:
        """A thread that execs takes the pid of its group's first (fs/exec.c: de_thread): who it was, has left its mm."""
        super().on_exec_mmap(event)
        self.first_exec = self.first_exec or event.at
        pid = event.at.pid
        for other, unsure in list(self.unsure.items()):
            if pid != other:
                self._shows_execs(other, unsure, event.at)
        if pid is None or pid in self.keeps:
            return
        for mm in list(self.past.get(pid, ()) or self.keepers):
            self._forget(mm)

    def on_task_new(self, event: e.TaskNew) -> None:
        """The child is there: with what its fork made, or with its parent's mm."""
        super().on_task_new(event)
        if event.shared:
            self.first_thread = self.first_thread or event.at
            unsure = self.unsure.get(event.parent_pid or 0)
            if unsure is not None:
                unsure.alive = unsure.alive or not self.tied(unsure.kept.at, event.at)
                self._sure(event.parent_pid or 0, unsure)
        for left in self.past.pop(event.pid, ()):
            del self.keepers[left][event.pid]  # that was another task of this pid
        address, generation = self.given.pop(event.pid, (0, 0))
        mm = self.mms.get(address)
        if mm is not None and mm.generation != generation:
            mm = None
        if event.shared:
            mm = self.keeps.get(event.parent_pid) if event.parent_pid is not None else None
        self._keeps(event.pid, mm if event.shared is not None else None, event.at)

    def on_task_exit(self, event: e.TaskExit) -> None:
        """The task is gone."""
        super().on_task_exit(event)
        self._leaves_it(event.pid)

    def on_mmget(self, event: e.Mmget) -> None:
        """A user more, the task's own."""
        super().on_mmget(event)
        self._takes(event.at, self.mms.get(event.mm), 1)

    def on_mmlist_visit(self, event: e.MmlistVisit) -> None:
        """swapoff takes a user of what it walks; where the line shows no more of them than there were, it has not."""
        mm = self.mms.get(event.mm)
        taken = not (mm is not None and self.counts(mm) and event.users is not None and event.users == mm.users)
        super().on_mmlist_visit(event)
        if event.got:
            self._takes(event.at, mm, int(taken))

    def _takes(self, at: At, mm: Mm | None, users: int) -> None:
        pid = at.pid
        if pid is not None and mm in self.keepers and pid not in self.keepers[mm]:
            held = self.strangers.setdefault(mm, {})
            held[pid] = held.get(pid, 0) + users

    def on_mmput(self, event: e.Mmput) -> None:
        """The task's own put: of its mm, or of a get, which does not show."""
        mm = self.mms.get(event.mm)
        super().on_mmput(event)
        pid = event.at.pid
        self.first_put = self.first_put or event.at
        if mm is None or pid is None or mm not in self.keepers:
            return
        self.last_puts[mm] = event.at
        own, held = pid in self.keepers[mm], self.strangers.get(mm)
        if self.keeps.get(pid) is mm:
            self._leaves_it(pid)
        elif held is not None and pid in held:
            held[pid] -= 1
        if mm.zero is event.at and not own and (held is None or held.get(pid, 0) >= 0):
            self._forget(mm)

    def on_mm_free(self, event: e.MmFree) -> None:
        """Who has it still, did not put it."""
        mm = self.mms.get(event.mm)
        super().on_mm_free(event)
        if mm is None:
            return
        made = {pid: self.made.get(pid) for pid in self.keepers.get(mm, ())}
        put, zero, tasks = self.last_puts.get(mm), mm.zero, self._forget(mm)
        if zero is None or put is None or put.pid != zero.pid:
            return  # the put that made it 0 is not in the log: others may be missing, too
        for pid, since in tasks.items():
            if since is None or self.tied(since, zero):
                continue
            kept = Kept(event.at, mm, pid, since)
            if _before(self.first_put, since):
                self.freed_kept.append(kept)
            elif _before(self.first_exec, since) and (pid == _INIT or self._threads_show(since)):
                made_none = _before(self.first_init, since) and _before(made[pid] or since, since)
                self.unsure[pid] = Unsure(kept, pid == _INIT, made_none)
                if len(self.unsure) > _UNSURE:
                    del self.unsure[next(iter(self.unsure))]

    def _threads_show(self, since: At) -> bool:
        """Whether another task of its pid would show. Not in 2.6: kernel threads leave what they were made with (daemonize)."""
        return self.profile.name == "modern" and _before(self.first_thread, since)

    def _shows_execs(self, pid: int, unsure: Unsure, at: At) -> None:
        unsure.execs = unsure.execs or not self.tied(unsure.kept.at, at)
        self._sure(pid, unsure)

    def _sure(self, pid: int, unsure: Unsure) -> None:
        if unsure.alive and unsure.execs:
            del self.unsure[pid]
            self.emit(unsure.kept)

    def kept_settled(self, at: At | None) -> None:
        """Tell what no line of equal time with `at`, or with a later one, can explain; None: the log has ended."""
        waiting = self.freed_kept
        self.freed_kept = [one for one in waiting if at is not None and self.tied(one.at, at)]
        for one in waiting:
            if one not in self.freed_kept:
                self.emit(one)
        for unsure in self.unsure.values() if at is None else ():
            if unsure.alive:
                unsure.kept.sure = False
                self.emit(unsure.kept)

    def _keeps(self, pid: int, mm: Mm | None, at: At) -> None:
        self._leaves_it(pid)
        if mm is not None and self._shown:
            self.keeps[pid] = mm
            self.keepers.setdefault(mm, {})[pid] = at
            self._not_past(pid, mm)

    @property
    def _shown(self) -> bool:
        """Whether each put and each exec is an event of its own: by an exec, a thread becomes the first of its group."""
        return self.carries.puts_explicit and "exec_mmap" in self.carries.explicit

    def _forget(self, mm: Mm) -> dict[int, At | None]:
        tasks = self.keepers.pop(mm, {})
        for pid, since in tasks.items():
            if since is not None:
                del self.keeps[pid]
                self.made.pop(pid, None)
            else:
                self._not_past(pid, mm)
        self.strangers.pop(mm, None)
        self.last_puts.pop(mm, None)
        return tasks

    def _leaves_it(self, pid: int) -> None:
        mm = self.keeps.pop(pid, None)
        if mm is not None:
            self.keepers[mm][pid] = None
            self.past.setdefault(pid, set()).add(mm)
            self.made.pop(pid, None)
        self.unsure.pop(pid, None)
        if self.freed_kept:
            self.freed_kept = [one for one in self.freed_kept if one.pid != pid]

    def _not_past(self, pid: int, mm: Mm) -> None:
        left = self.past.get(pid)
        if left is not None:
            left.discard(mm)
            if not left:
                del self.past[pid]


def _before(first: At | None, since: At | None) -> bool:
    """Whether events of a kind come in the log from before `since` on, or from that line."""
    return first is not None and since is not None and first.seq <= since.seq
