"""Layer B: probes on the kernel's own functions, bound by what each task is in the middle of.

An entry probe fetches before its function acts, a `_ret` probe at its return; what lies between is told by brackets
(task.py). Events inferred here have `observed` False, so that every claim that rests on them can say so.
Source: SEMANTICS.md section 4; kernel/fork.c, mm/memory.c, mm/rmap.c, mm/swapfile.c.
"""

from __future__ import annotations

from mmlist.replay import events as e
from mmlist.replay.bind.entries import EntryProbes
from mmlist.replay.bind.values import Fields, area_type, field, inuse, text
from mmlist.replay.record import At

CLONE_VM = 0x100


class Probes(EntryProbes):
    """The handlers of layer B for lives, tasks and swapoff; those for swap entries are inherited."""

    # --- lives -------------------------------------------------------------------------------------------------------

    def on_mm_init(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """kernel/fork.c: mm_init. All that hangs on mm is stale at its entry."""
        mm = self.reader.mm(f)
        if mm:
            out.append(e.MmInit(at, mm))
            self.open(at, "mm_init", mm=mm)
            self.tasks.of(at).exec_mm = mm

    def on_mm_init_ret(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """The new mm, its counts 1 and its node self-linked; NULL if it failed and was freed."""
        bracket = self.close(at, "mm_init")
        mm = self.reader.mm(f)
        if not mm:
            if bracket is not None and bracket.mm:
                out.append(e.MmFree(at, bracket.mm))
            return
        if bracket is None or bracket.mm != mm:
            out.append(e.MmInit(at, mm))
            self.tasks.of(at).exec_mm = mm
        self.reader.fetched(at, f, mm, "mm_init_ret", out)

    def on_dup_mmap(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """dup_mmap(mm, oldmm): the fork starts to copy."""
        mm, old = self.reader.mm(f), self.reader.mm(f, "oldmm")
        if not mm or not old:
            return
        self.tasks.of(at).exec_mm = None
        self.reader.fetched(at, f, mm, "dup_mmap", out)
        next_, prev = field(f, "onext"), field(f, "oprev")
        if next_ is not None or prev is not None:
            out.append(e.Fetched(at, old, None, None, next_, prev, "dup_mmap (oldmm)"))
        out.append(e.DupMmap(at, old, mm))
        self.open(at, "dup_mmap", mm=mm, src=old)

    def on_dup_mmap_ret(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """dup_mmap returned: the copy is done, or failed part way."""
        bracket = self.close_copy(at, "dup_mmap", out)
        if bracket is None or not bracket.mm or not bracket.src:
            return
        ret = field(f, "ret")
        if ret == 0:
            out.append(e.MmFork(at, bracket.src, bracket.mm))
        else:
            out.append(e.MmForkFailed(at, bracket.src, bracket.mm, ret))

    def on_dup_mm(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """dup_mm(oldmm): allocates, mm_init, dup_mmap."""
        self.open(at, "dup_mm", src=self.reader.mm(f, "oldmm"))

    def on_dup_mm_ret(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """The child, complete; NULL if anything failed."""
        bracket = self.close(at, "dup_mm")
        mm = self.reader.mm(f)
        self.reader.fetched(at, f, mm, "dup_mm_ret", out)
        if mm and bracket is not None and bracket.src and "dup_mmap" not in self.names:
            out.append(e.MmFork(at, bracket.src, mm))

    def on_mmput(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """mmput(mm)"""
        mm = self.reader.mm(f)
        if mm:
            self.reader.fetched(at, f, mm, "mmput", out)
            out.append(e.Mmput(at, mm, self.reader.users(f)))

    def on_mmput_async(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """mmput_async(mm): a put that leaves the rest to a kworker."""
        mm = self.reader.mm(f)
        if mm:
            self.reader.fetched(at, f, mm, "mmput", out)
            out.append(e.Mmput(at, mm, self.reader.users(f), may_sleep=False))

    def on___mmput(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """__mmput(mm): mm_users is 0."""
        mm = self.reader.mm(f)
        if not mm:
            return
        self.reader.fetched(at, f, mm, "__mmput", out)
        out.append(e.FinalPut(at, mm))
        self.open(at, "__mmput", mm=mm)

    def on___mmput_begin(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """uprobe_clear_state(mm), the first call of __mmput: the same step where __mmput shows, too."""
        if "__mmput" not in self.names:
            self.on___mmput(at, f, out)
        else:
            self.reader.fetched(at, f, self.reader.mm(f), "__mmput", out)

    def on_exit_mmap(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """exit_mmap(mm)"""
        mm = self.reader.mm(f)
        if mm:
            self.reader.fetched(at, f, mm, "exit_mmap", out)
            out.append(e.ExitMmap(at, mm))
            self.open(at, "exit_mmap", mm=mm, soft=True)

    def on_exit_mmap_ret(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """exit_mmap returned."""
        bracket = self.close(at, "exit_mmap")
        mm = self.reader.mm(f) or (bracket.mm if bracket is not None else None)
        if mm:
            out.append(e.ExitMmapRet(at, mm))
            self.reader.fetched(at, f, mm, "exit_mmap_ret", out)

    def on___mmput_end(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """lru_gen_del_mm(mm): the call in __mmput after the list_del."""
        mm = self.reader.mm(f)
        self.tasks.of(at).pop("__mmput", at, self.unentered.grain)
        if mm:
            out.append(e.MmputRet(at, mm))
            self.reader.fetched(at, f, mm, "__mmput_end", out)
        self.reader.head(at, f, "__mmput_end", out)

    def on___mmput_ret(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """__mmput returned."""
        bracket = self.tasks.of(at).pop("__mmput", at, self.unentered.grain)
        mm = bracket.mm if bracket is not None else self.reader.mm(f)
        if mm:
            out.append(e.MmputRet(at, mm))
        self.reader.head(at, f, "__mmput_ret", out)

    def on___mmdrop(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """__mmdrop(mm): the struct is freed."""
        mm = self.reader.mm(f)
        if mm:
            self.reader.fetched(at, f, mm, "__mmdrop", out)
            out.append(e.MmFree(at, mm))

    # --- tasks -------------------------------------------------------------------------------------------------------

    def on_get_task_mm(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """get_task_mm(task)"""
        self.open(at, "get_task_mm", pid=field(f, "pid"))

    def on_get_task_mm_ret(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """What get_task_mm returned."""
        bracket = self.close(at, "get_task_mm")
        mm = self.reader.mm(f)
        entered, pid = (bracket.at, bracket.pid) if bracket is not None else (None, None)
        out.append(e.GetTaskMm(at, pid, mm or 0, entered))
        if mm:
            out.append(e.Mmget(at, mm))
            self.reader.fetched(at, f, mm, "get_task_mm_ret", out)
            outer = self.tasks.of(at).find("mm_access")
            if outer is not None:
                outer.got = mm

    def on_mm_access(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """mm_access(task)"""
        self.open(at, "mm_access", pid=field(f, "pid"))

    def on_mm_access_ret(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """mm_access returned: with the mm of the get_task_mm inside, or an error after having put it."""
        bracket = self.close(at, "mm_access")
        mm = self.reader.mm(f)
        got = bracket.got if bracket is not None else None
        if mm:
            if "get_task_mm_ret" not in self.names:
                out.append(e.Mmget(at, mm))
            self.reader.fetched(at, f, mm, "mm_access_ret", out)
        elif got:
            out.append(e.Mmput(at, got, observed=False))

    def on_kthread_use_mm(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """kthread_use_mm(mm)"""
        mm = self.reader.mm(f)
        if mm:
            self.reader.fetched(at, f, mm, "kthread_use_mm", out)
            out.append(e.KthreadUseMm(at, mm))

    def on_kthread_unuse_mm(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """kthread_unuse_mm(mm)"""
        mm = self.reader.mm(f)
        if mm:
            self.reader.fetched(at, f, mm, "kthread_unuse_mm", out)
            out.append(e.KthreadUnuseMm(at, mm))

    def on_exit_mm_release(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """exit_mm_release(task, mm): the task lets go of mm."""
        mm, pid = self.reader.mm(f), field(f, "pid") or at.pid
        self.reader.fetched(at, f, mm, "exit_mm_release", out)
        if pid is not None:
            self.tasks.by_pid(pid).mm = None
            out.append(e.TaskMm(at, pid, 0))

    def on_exec_mm_release(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """exec_mm_release(task, mm): the task leaves mm for the one that its exec made."""
        mm, pid = self.reader.mm(f), field(f, "pid") or at.pid
        self.reader.fetched(at, f, mm, "exec_mm_release", out)
        if pid is None:
            return
        self.tasks.lives(pid)
        task = self.tasks.by_pid(pid)
        task.mm, task.exec_mm = task.exec_mm, None
        if task.mm and "exec_mmap" not in self.names:
            out.append(e.ExecMmap(at, task.mm, mm))
            out.append(e.TaskMm(at, pid, task.mm))

    def on_exec_mmap(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """exec_mmap(mm)"""
        mm = self.reader.mm(f)
        if not mm:
            return
        self.reader.fetched(at, f, mm, "exec_mmap", out)
        out.append(e.ExecMmap(at, mm))
        self.tasks.of(at).exec_mm = mm
        if at.pid is not None:
            self.tasks.lives(at.pid)
            out.append(e.TaskMm(at, at.pid, mm))

    def on_copy_process_ret(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """copy_process returned the child: its pid and mm."""
        pid, mm = field(f, "pid"), self.reader.mm(f)
        if field(f, "task") is not None and self.reader.mm(f, "task") is None:
            out.append(e.ForkFailed(at))
            return  # an error pointer: all that hangs on it is stale
        self.reader.fetched(at, f, mm, "copy_process_ret", out)
        if pid is not None and mm:
            self.tasks.by_pid(pid).mm = mm
            out.append(e.TaskMm(at, pid, mm))

    def on_task_newtask(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """task_newtask: pid comm clone_flags (hex without 0x)"""
        pid = field(f, "pid")
        if pid is None:
            return
        try:
            shared = bool(int(f.get("clone_flags", b""), 16) & CLONE_VM)
        except ValueError:
            out.append(e.TaskNew(at, pid, at.pid, None))
            return
        child = self.tasks.forked(pid)
        if shared:
            child.mm = self.tasks.of(at).mm
        out.append(e.TaskNew(at, pid, at.pid, shared))

    def on_sched_process_exit(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """sched_process_exit: comm pid"""
        pid = field(f, "pid")
        if pid is not None:
            self.tasks.ended(pid)
            out.append(e.TaskExit(at, pid))

    def on_sched_process_free(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """sched_process_free: comm pid"""
        pid = field(f, "pid")
        if pid is not None:
            self.tasks.drop(pid)

    # --- swapoff -----------------------------------------------------------------------------------------------------

    def _areas(self, at: At, f: Fields, name: str, out: list[e.Event]) -> None:
        self.reader.head(at, f, name, out)
        self.reader.inuse(at, f, name, out)

    def on_swapon(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """swapon(path)"""
        self._areas(at, f, "swapon", out)
        self.open(at, "swapon", path=text(f, "path"))
        out.append(e.Swapon(at, text(f, "path"), area_type(f)))

    def on_swapon_ret(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """swapon returned."""
        bracket = self.close(at, "swapon")
        out.append(e.SwaponRet(at, field(f, "ret"), bracket.path if bracket is not None else None, area_type(f)))
        self._areas(at, f, "swapon_ret", out)

    def on_swapoff(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """swapoff(path)"""
        self._areas(at, f, "swapoff", out)
        out.append(e.Swapoff(at, text(f, "path"), area_type(f)))

    def on_swapoff_ret(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """swapoff returned."""
        out.append(e.SwapoffRet(at, field(f, "ret"), area_type(f), field(f, "head"), field(f, "tail"), inuse(f)))
        self._areas(at, f, "swapoff_ret", out)

    def on_try_to_unuse(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """try_to_unuse(type)"""
        self._areas(at, f, "try_to_unuse", out)
        out.append(e.TryToUnuse(at, area_type(f)))

    def on_try_to_unuse_ret(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """try_to_unuse returned."""
        self._areas(at, f, "try_to_unuse_ret", out)
        out.append(e.TryToUnuseRet(at, field(f, "ret")))

    def on_drain_mmlist(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """drain_mmlist(): entered; what it decides shows at its return."""
        self._areas(at, f, "drain_mmlist", out)
        if "mmlist_drain" not in self.names:
            out.append(e.MmlistDrain(at, None))

    def on_drain_mmlist_ret(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """drain_mmlist returned."""
        self._areas(at, f, "drain_mmlist_ret", out)

    def on_shmem_unuse(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """shmem_unuse(type): a pass begins."""
        out.append(e.SwapoffPass(at, area_type(f)))

    def on_unuse_mm(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """unuse_mm(mm, type): swapoff walks mm."""
        mm = self.reader.mm(f)
        if mm:
            self.reader.fetched(at, f, mm, "unuse_mm", out)
            out.append(e.UnuseMm(at, mm, area_type(f)))
            self.open(at, "unuse_mm", mm=mm, type_=area_type(f))

    def on_unuse_mm_ret(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """unuse_mm returned."""
        self._unused(at, "unuse_mm", out)

    def on_unuse_pte_range(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """unuse_pte_range(mm, type): swapoff walks a page table of mm."""
        mm = self.reader.mm(f)
        if mm:
            self.reader.fetched(at, f, mm, "unuse_pte_range", out)
            out.append(e.UnuseMm(at, mm, area_type(f)))
            self.open(at, "unuse_pte_range", mm=mm, type_=area_type(f))

    def on_unuse_pte_range_ret(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """unuse_pte_range returned."""
        self._unused(at, "unuse_pte_range", out)

    def _unused(self, at: At, kind: str, out: list[e.Event]) -> None:
        bracket = self.close(at, kind)
        if bracket is not None and bracket.mm and not self.unuse_clears:
            out.append(e.SwapRelease(at, bracket.mm, None, bracket.type))

    # --- memory fetched and nothing else -----------------------------------------------------------------------------

    def _fetch_only(self, at: At, f: Fields, out: list[e.Event]) -> None:
        mm = self.reader.mm(f)
        self.reader.fetched(at, f, mm, "probe", out)
        self.reader.head(at, f, "probe", out)

    def on_mm_trace_rss_stat(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """mm_trace_rss_stat(mm, member): a counter of mm changed."""
        self._fetch_only(at, f, out)

    def on_copy_swap_entry(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """A probe inside copy_page_range, where it copies a swap entry."""
        self._fetch_only(at, f, out)

    def on_oom_reap_mm(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """__oom_reap_task_mm(mm)."""
        self._fetch_only(at, f, out)

    def on_ksm_enter(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """__ksm_enter(mm)."""
        self._fetch_only(at, f, out)


NAMES = frozenset(name[3:] for name in dir(Probes) if name.startswith("on_"))
"""The event names of layer B."""
