"""Layer A: events that say outright what the kernel did (an instrumented kernel, a BPF program, a hand-written log).

Names and fields are EVENTS.md's. Counts in a field are those before the step, but `users` of mmlist_visit; what the
hooks of an instrumented kernel fetch (`next`, `prev`, `head` ... of the mmlist_ events) was read after it.
"""

from __future__ import annotations

from mmlist.replay import events as e
from mmlist.replay.bind.task import Tasks
from mmlist.replay.bind.values import INIT_MM, Fields, Reader, area_type, field, inuse, run_length, swp_entry, text
from mmlist.replay.record import At

_DEL_WHY = {b"1": "mmput", b"mmput": "mmput", b"2": "drain", b"drain": "drain"}
_ASSIGN_WHY = {b"1": "unmap", b"unmap": "unmap", b"2": "fork", b"fork": "fork"}
_CLEAR_WHY = {b"1": "zap", b"zap": "zap", b"2": "fault", b"fault": "fault", b"3": "unuse", b"unuse": "unuse"}


class Explicit:
    """The handlers of layer A: `on_<event name>(at, fields, out)` appends the events to `out`."""

    def __init__(self, reader: Reader, tasks: Tasks, *, aio_names: bool) -> None:
        """`aio_names`: use_mm and unuse_mm are a kernel thread's borrowing (2.6); else unuse_mm is swapoff's walk."""
        self.reader = reader
        self.tasks = tasks
        self.aio_names = aio_names

    def _around(self, at: At, f: Fields, mm: int | None, name: str, out: list[e.Event]) -> None:
        self.reader.fetched(at, f, mm, name, out)
        self.reader.head(at, f, name, out)
        self.reader.inuse(at, f, name, out)

    def on_mm_init(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """mm_init: mm"""
        mm = self.reader.mm(f)
        if mm:
            out.append(e.MmInit(at, mm))
            self.tasks.of(at).exec_mm = mm

    def on_mm_fork(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """mm_fork: parent child [pid child_pid]"""
        parent, child = self.reader.mm(f, "parent"), self.reader.mm(f, "child")
        if parent is None or child is None:
            return
        pid, child_pid = field(f, "pid"), field(f, "child_pid")
        self.tasks.of(at).exec_mm = None
        out.append(e.MmFork(at, parent, child, child_pid))
        if pid is not None:
            out.append(e.TaskMm(at, pid, parent))
        if child_pid is not None:
            out.append(e.TaskNew(at, child_pid, pid, False))
            out.append(e.TaskMm(at, child_pid, child))

    def on_mm_fork_failed(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """mm_fork_failed: parent child ret"""
        parent, child = self.reader.mm(f, "parent"), self.reader.mm(f, "child")
        if parent is not None and child is not None:
            out.append(e.MmForkFailed(at, parent, child, field(f, "ret")))

    def on_exec_mmap(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """exec_mmap: mm [old] [nr]"""
        mm = self.reader.mm(f)
        if mm:
            out.append(e.ExecMmap(at, mm, self.reader.mm(f, "old"), field(f, "nr")))
            if at.pid is not None:
                out.append(e.TaskMm(at, at.pid, mm))

    def on_mmget(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """mmget: mm [users] [nr]"""
        mm = self.reader.mm(f)
        if mm:
            self._around(at, f, mm, "mmget", out)
            out.append(e.Mmget(at, mm, field(f, "users")))
            self.tasks.of(at).last = ("mmget", mm)

    def on_mmput(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """mmput: mm [users] [nr]"""
        mm = self.reader.mm(f)
        if mm:
            self._around(at, f, mm, "mmput", out)
            out.append(e.Mmput(at, mm, field(f, "users"), field(f, "nr")))
            self.tasks.of(at).last = ("mmput", mm)

    def on_mmgrab(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """mmgrab: mm [count]"""
        mm = self.reader.mm(f)
        if mm:
            out.append(e.Mmgrab(at, mm, field(f, "count")))

    def on_mmdrop(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """mmdrop: mm [count]"""
        mm = self.reader.mm(f)
        if mm:
            out.append(e.Mmdrop(at, mm, field(f, "count")))

    def on_exit_mmap(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """exit_mmap: mm"""
        mm = self.reader.mm(f)
        if mm:
            self._around(at, f, mm, "exit_mmap", out)
            out.append(e.ExitMmap(at, mm))

    def on_exit_mmap_ret(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """exit_mmap_ret: mm"""
        mm = self.reader.mm(f)
        if mm:
            out.append(e.ExitMmapRet(at, mm))
            self._around(at, f, mm, "exit_mmap_ret", out)

    def on_mm_free(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """mm_free: mm"""
        mm = self.reader.mm(f)
        if mm:
            self._around(at, f, mm, "mm_free", out)
            out.append(e.MmFree(at, mm))

    def on_get_task_mm(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """get_task_mm: pid mm (what it returned); a get, unless the mmget within it is the line before."""
        mm = self.reader.mm(f)
        task = self.tasks.of(at)
        out.append(e.GetTaskMm(at, field(f, "pid"), mm or 0))
        if mm and task.last != ("mmget", mm):
            out.append(e.Mmget(at, mm, None))
        task.last = ("get_task_mm", mm)

    def on_kthread_use_mm(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """kthread_use_mm: mm"""
        mm = self.reader.mm(f)
        if mm:
            out.append(e.KthreadUseMm(at, mm))

    def on_kthread_unuse_mm(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """kthread_unuse_mm: mm"""
        mm = self.reader.mm(f)
        if mm:
            out.append(e.KthreadUnuseMm(at, mm))

    def on_use_mm(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """use_mm of fs/aio.c (2.6), in place of kthread_use_mm."""
        self.on_kthread_use_mm(at, f, out)

    def on_unuse_mm(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """unuse_mm: mm; a borrower's in 2.6, swapoff's walk in modern kernels"""
        if self.aio_names:
            self.on_kthread_unuse_mm(at, f, out)
            return
        mm = self.reader.mm(f)
        if mm:
            out.append(e.UnuseMm(at, mm, area_type(f)))

    def on_task_flags(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """task_flags: pid flags"""
        pid, flags = field(f, "pid"), field(f, "flags")
        if pid is not None and flags is not None:
            out.append(e.TaskFlags(at, pid, flags))

    def on_swapon(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """swapon: type [path]"""
        self._around(at, f, None, "swapon", out)
        out.append(e.Swapon(at, text(f, "path"), area_type(f)))

    def on_swapon_ret(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """swapon_ret: ret [type]"""
        out.append(e.SwaponRet(at, field(f, "ret"), text(f, "path"), area_type(f)))

    def on_swapoff(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """swapoff: type [path]"""
        self._around(at, f, None, "swapoff", out)
        out.append(e.Swapoff(at, text(f, "path"), area_type(f)))

    def on_swapoff_ret(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """swapoff_ret: ret [type]"""
        self._around(at, f, None, "swapoff_ret", out)
        out.append(e.SwapoffRet(at, field(f, "ret"), area_type(f), field(f, "head"), field(f, "tail"), inuse(f)))

    def on_try_to_unuse(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """try_to_unuse: type"""
        self._around(at, f, None, "try_to_unuse", out)
        out.append(e.TryToUnuse(at, area_type(f)))

    def on_try_to_unuse_ret(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """try_to_unuse_ret: ret"""
        self._around(at, f, None, "try_to_unuse_ret", out)
        out.append(e.TryToUnuseRet(at, field(f, "ret")))

    def on_swap_alloc(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """swap_alloc: entry"""
        entry = swp_entry(f)
        if entry is not None:
            out.append(e.SwapAlloc(at, entry))

    def on_swap_duplicate(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """swap_duplicate: entry [nr]"""
        entry = swp_entry(f)
        if entry is not None:
            out.append(e.SwapDuplicate(at, entry, run_length(f), self.reader.mm(f)))

    def on_swap_free(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """swap_free: entry [nr]"""
        entry = swp_entry(f)
        if entry is not None:
            out.append(e.SwapFree(at, entry, run_length(f)))

    def on_swap_assign(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """swap_assign: mm entry [why]"""
        mm, entry = self.reader.mm(f), swp_entry(f)
        if mm and entry is not None:
            out.append(e.SwapAssign(at, mm, entry, _ASSIGN_WHY.get(f.get("why", b""), "unknown")))

    def on_swap_clear(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """swap_clear: mm entry [why]"""
        mm, entry = self.reader.mm(f), swp_entry(f)
        if mm and entry is not None:
            out.append(e.SwapClear(at, mm, entry, _CLEAR_WHY.get(f.get("why", b""), "unknown")))

    def on_mmlist_add(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """mmlist_add: mm after [nr]"""
        mm = self.reader.mm(f)
        if mm:
            out.append(e.MmlistAdd(at, mm, self.reader.mm(f, "after"), field(f, "nr")))
            self._around(at, f, mm, "mmlist_add", out)

    def on_mmlist_del(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """mmlist_del: mm [why] [nr]"""
        mm = self.reader.mm(f)
        if mm:
            out.append(e.MmlistDel(at, mm, _DEL_WHY.get(f.get("why", b""), "unknown"), field(f, "nr")))
            self._around(at, f, mm, "mmlist_del", out)

    def on_mmlist_visit(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """mmlist_visit: mm got [users]"""
        mm, got = self.reader.mm(f), field(f, "got")
        if mm is None:
            return
        if mm != INIT_MM:
            task = self.tasks.of(at)
            counted, task.last = task.last == ("mmget", mm), ("", None)
            out.append(e.MmlistVisit(at, mm, 1 if got is None else got, field(f, "users"), counted))
        self._around(at, f, mm, "mmlist_visit", out)

    def on_mmlist_drain(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """mmlist_drain: [busy_type]"""
        self._around(at, f, None, "mmlist_drain", out)
        out.append(e.MmlistDrain(at, field(f, "busy_type")))

    def on_lock_acquire(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """lock_acquire: address name"""
        name = text(f, "name")
        if name is not None:
            out.append(e.LockAcquire(at, _lock_address(f), name, f.get("try", b"0") != b"0"))

    def on_lock_release(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """lock_release: address name"""
        name = text(f, "name")
        if name is not None:
            out.append(e.LockRelease(at, _lock_address(f), name))


def _lock_address(f: Fields) -> int | None:
    """A lock's address: %p, with 0x or, hashed, without (include/trace/events/lock.h)."""
    try:
        return int(f.get("address", b""), 16)
    except ValueError:
        return None


NAMES = frozenset(name[3:] for name in dir(Explicit) if name.startswith("on_"))
"""The event names of layer A."""
