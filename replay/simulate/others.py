"""Who takes an mm that is not his: /proc readers, kernel threads that borrow, the worker behind mmput_async.

Source: kernel/fork.c: get_task_mm, mm_access, mmput_async; kernel/kthread.c: kthread_use_mm (2.6: fs/aio.c: use_mm).
"""

from __future__ import annotations

from collections.abc import Generator

from mmlist.replay.simulate.kernel import Kernel
from mmlist.replay.simulate.machine import PF_BORROWED_MM, PF_KTHREAD, SLEEP, Steps, Task
from mmlist.replay.simulate.memory import Mm
from mmlist.replay.simulate.teardown import __mmput as final_put
from mmlist.replay.simulate.teardown import mmput


def get_task_mm(k: Kernel, t: Task, task: Task) -> Generator[bool | None, None, Mm | None]:
    """The mm of `task` with a user more; None for a kernel thread, a borrower, a task that has none."""
    shown = task.mm.addr if task.mm is not None else 0
    place = "(get_task_mm+0x0/0x60)"
    k.tell(t, "get_task_mm", f'{place} task={task.struct:#x} pid={task.pid} mm={shown:#x} comm="{task.comm}"')
    yield None
    yield from k.lock(t, task.alloc_lock, told=False)
    mm = task.mm
    refused = PF_KTHREAD if k.modern else 0 if k.old else PF_BORROWED_MM
    if mm is not None and task.flags & refused and not k.wrong("get_task_mm-of-borrower"):
        mm = None
    if mm is not None and k.old:
        yield from k.lock(t, k.mmlist_lock)
        if mm.users == 0 and not k.wrong("get_task_mm-raises-dead"):
            k.unlock(t, k.mmlist_lock)
            mm = None
    if mm is not None:
        mm.users += 1
        if k.old:
            k.unlock(t, k.mmlist_lock)
    k.say(t, "get_task_mm", f"pid={task.pid} mm={mm.addr if mm is not None else 0:#x}")
    k.unlock(t, task.alloc_lock, told=False)
    fetched = k.fetch(mm) if mm is not None else "users=1401 count=0 next=0x0 prev=0x0"
    place = "(proc_pid_status+0x3f/0xc10 <- get_task_mm)"
    k.tell(t, "get_task_mm_ret", f"{place} mm={mm.addr if mm is not None else 0:#x} {fetched}")
    return mm


def any_task(k: Kernel, t: Task) -> Task | None:
    """Some other task."""
    others = [task for task in k.tasks.values() if task is not t]
    return others[int(k.random.random() * len(others))] if others else None


def reader(k: Kernel, t: Task) -> Steps:
    """Reads /proc/PID/status of one task after the other."""
    while True:
        yield SLEEP
        if not k.chance(0.1):
            continue
        task = any_task(k, t)
        if task is None:
            continue
        mm = yield from get_task_mm(k, t, task)
        if mm is None:
            continue
        for _ in range(int(k.random.random() * 12)):
            yield SLEEP
        if k.wrong("reader-forgets-put"):
            continue
        yield from mmput(k, t, mm, "mmput_async" if k.modern and k.chance(0.2) else "mmput")
        if mm.users > 0 and k.wrong("reader-puts-twice"):
            yield from mmput(k, t, mm)


def borrower(k: Kernel, t: Task) -> Steps:
    """A kernel thread that works in the address space of others.

    Modern: it holds a user of the mm meanwhile. 2.6: an aio worker, with a reference to the struct alone; exit_aio
    waits for it.
    """
    t.flags = PF_KTHREAD | 0x40 if k.modern else 0x40
    if not k.old:
        k.say(t, "task_flags", f"pid={t.pid} flags={t.flags:#x}")
    while True:
        yield SLEEP
        if not k.chance(0.05):
            continue
        task = any_task(k, t)
        if task is None or task.mm is None or task.flags & (PF_KTHREAD | PF_BORROWED_MM):
            continue
        if not k.modern:
            yield from _use_mm(k, t, task.mm)
            continue
        mm = yield from get_task_mm(k, t, task)
        if mm is not None:
            yield from _kthread_use_mm(k, t, mm)


def _kthread_use_mm(k: Kernel, t: Task, mm: Mm) -> Steps:
    holds = not k.wrong("borrower-puts-first")
    if not holds:
        yield from mmput(k, t, mm)
        if mm.users == 0:
            return
    k.mmgrab(t, mm)
    yield from k.lock(t, t.alloc_lock, told=False)
    t.mm = mm
    k.say(t, "kthread_use_mm", f"mm={mm.addr:#x}")
    yield from k.probe(t, "kthread_use_mm", "kthread_use_mm+0x0/0xc0", mm)
    k.unlock(t, t.alloc_lock, told=False)
    for _ in range(int(k.random.random() * (10 if holds else 200))):
        yield SLEEP
    yield from k.probe(t, "kthread_unuse_mm", "kthread_unuse_mm+0x0/0x60", mm)
    t.mm = None
    k.say(t, "kthread_unuse_mm", f"mm={mm.addr:#x}")
    k.mmdrop(t, mm)
    yield None
    if holds:
        yield from mmput(k, t, mm)


def _use_mm(k: Kernel, t: Task, mm: Mm) -> Steps:
    if mm.users == 0:
        return
    mm.borrowers += 1  # an aio request of a living task
    k.mmgrab(t, mm)
    yield None
    yield from k.lock(t, t.alloc_lock, told=False)
    if not k.old and not k.wrong("use_mm-sets-no-flag"):
        t.flags |= PF_BORROWED_MM
        k.say(t, "task_flags", f"pid={t.pid} flags={t.flags:#x}")
    t.mm = mm
    k.say(t, "use_mm", f"mm={mm.addr:#x}")
    k.unlock(t, t.alloc_lock, told=False)
    for _ in range(int(k.random.random() * 10)):
        yield SLEEP
    yield from k.lock(t, t.alloc_lock, told=False)
    if not k.old and not k.wrong("unuse_mm-keeps-flag"):
        t.flags &= ~PF_BORROWED_MM
        k.say(t, "task_flags", f"pid={t.pid} flags={t.flags:#x}")
    t.mm = None
    k.say(t, "unuse_mm", f"mm={mm.addr:#x}")
    k.unlock(t, t.alloc_lock, told=False)
    mm.borrowers -= 1
    yield None
    k.mmdrop(t, mm)


def kworker(k: Kernel, t: Task) -> Steps:
    """Does the last puts that mmput_async left to it."""
    while True:
        yield SLEEP
        if k.deferred:
            yield from final_put(k, t, k.deferred.pop(0))
