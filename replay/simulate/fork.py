"""How an mm begins: fork, and exec.

Source: kernel/fork.c: copy_process, dup_mm, dup_mmap; mm/memory.c: copy_page_range, copy_nonpresent_pte; fs/exec.c:
bprm_mm_init, exec_mmap.
"""

from __future__ import annotations

from collections.abc import Generator

from mmlist.replay.simulate.fault import touch
from mmlist.replay.simulate.kernel import Kernel
from mmlist.replay.simulate.machine import Steps, Task
from mmlist.replay.simulate.memory import Mm, list_empty
from mmlist.replay.simulate.mmlist import add, join
from mmlist.replay.simulate.swapcache import swap_duplicate
from mmlist.replay.simulate.teardown import mmput

_FORK_FAILS = 0.03
_EXEC_FAILS = 0.05
_ARGUMENTS = 3
ENOMEM = 12


def mm_init(k: Kernel, t: Task, mm: Mm, caller: str) -> Steps:
    """mm_users 1, mm_count 1, and since the patch a node that points to itself."""
    k.tell(t, "mm_init", f"(mm_init+0x0/0x300) mm={mm.addr:#x} task={t.struct:#x} {k.fetch(mm)}")
    yield None
    mm.users = mm.count = 1
    if not (k.old or (not isinstance(mm.next, type(k.NULL)) and k.wrong("mm_init-leaves-node"))):
        mm.next = mm.prev = mm
    k.say(t, "mm_init", f"mm={mm.addr:#x}")
    k.tell(t, "mm_init_ret", f"({caller} <- mm_init) mm={mm.addr:#x} {k.fetch(mm)}")


def fork(k: Kernel, t: Task, child: Task) -> Steps:
    """dup_mm: `child` gets a copy of the mm of `t`, or none where the copying failed."""
    parent = t.mm
    assert parent is not None
    mm = k.allocate_mm()
    mm.next, mm.prev, mm.users, mm.count, mm.pte = parent.next, parent.prev, parent.users, parent.count, {}
    yield from mm_init(k, t, mm, "copy_process+0x1930/0x1ae0")
    yield None
    yield from k.down_write(parent.sem)
    k.tell(
        t,
        "dup_mmap",
        f"(dup_mmap+0x0/0x610) mm={mm.addr:#x} oldmm={parent.addr:#x} {k.fetch(mm)}"
        f" onext={parent.next.node:#x} oprev={parent.prev.node:#x}",
    )
    yield from k.down_write(mm.sem)
    if k.old:
        unlocked = k.wrong("fork-joins-unlocked")
        if not unlocked:
            yield from k.lock(t, k.mmlist_lock)
        if not k.wrong("fork-does-not-join"):
            add(k, t, mm, k.init_mm if k.wrong("fork-joins-at-head") else parent)
        if not unlocked:
            k.unlock(t, k.mmlist_lock)
    ret = yield from dup_mmap(k, t, parent, mm)
    mm.sem.writer = parent.sem.writer = False
    k.tell(t, "dup_mmap_ret", f"(copy_process+0x1945/0x1ae0 <- dup_mmap) ret={-ret}")
    if ret:
        k.say(t, "mm_fork_failed", f"parent={parent.addr:#x} child={mm.addr:#x} ret={-ret}")
        yield from mmput(k, t, mm)
        return
    child.mm = mm
    k.say(t, "mm_fork", f"parent={parent.addr:#x} child={mm.addr:#x} pid={t.pid} child_pid={child.pid}")


def dup_mmap(k: Kernel, t: Task, parent: Mm, mm: Mm) -> Generator[bool | None, None, int]:
    """Copy the page tables, a VMA (8 pages here) at a time; the error number, 0 for none."""
    fails = k.chance(_FORK_FAILS)
    for vma in sorted({va >> 3 for va in parent.pte}):
        if fails and k.chance(0.3):
            return ENOMEM
        place = f"(copy_page_range+0x0/0x1400) dst={mm.addr:#x} src={parent.addr:#x}"
        k.tell(t, "copy_page_range", f"{place} start={vma << 15:#x} end={(vma << 15) + 0x8000:#x} {k.fetch(mm)}")
        yield None
        for va in range(vma << 3, (vma << 3) + 8):
            if va in parent.pte:
                yield from copy_pte(k, t, parent, mm, va)
        k.tell(t, "copy_page_range_ret", "(dup_mmap+0x438/0x610 <- copy_page_range) ret=0")
    return ENOMEM if fails else 0


def copy_pte(k: Kernel, t: Task, parent: Mm, mm: Mm, va: int) -> Steps:
    """One pte: a page is shared, an entry duplicated, its new holder joins; under both page table locks."""
    child_ptl, ptl = k.ptl(mm, va), k.ptl(parent, va)
    yield from k.lock(t, child_ptl)
    yield from k.lock(t, ptl)
    pte = parent.pte.get(va)
    if isinstance(pte, int):
        if k.wrong("fork-joins-before-duplicate") and not k.old:
            yield from join(k, t, mm, parent, "fork")
        if k.wrong("fork-does-not-duplicate") or (yield from swap_duplicate(k, t, pte)):
            if k.wrong("fork-duplicates-twice"):
                yield from swap_duplicate(k, t, pte)
            if not k.old:
                yield from join(k, t, mm, parent, "fork")
            mm.pte[va] = pte
            k.say(t, "swap_assign", f"mm={mm.addr:#x} entry={pte:#x} why={'2' if k.ring.hooks else 'fork'}")
    elif pte is not None:
        mm.pte[va] = pte
        pte.maps[mm] = None
        if list_empty(mm) and k.wrong("fork-joins-without-entry"):
            yield from k.lock(t, k.mmlist_lock)
            add(k, t, mm, parent)
            k.unlock(t, k.mmlist_lock)
    k.unlock(t, ptl)
    k.unlock(t, child_ptl)


def execve(k: Kernel, t: Task) -> Steps:
    """A new mm is filled with the arguments, then taken; the old one is put."""
    mm = k.allocate_mm()
    mm.next = mm.prev = k.NULL
    mm.users = mm.count = 0
    mm.pte = {}
    yield from mm_init(k, t, mm, "alloc_bprm+0x8c/0x2d0")
    if k.chance(_EXEC_FAILS):
        k.mmdrop(t, mm)  # bprm_mm_init failed (2.6: any error of do_execve): nobody ever used it
        return
    if k.modern:  # the arguments lie in the new mm itself, which may be paged out before a task has it
        for va in range(_ARGUMENTS):
            touch(k, mm, va)
            yield None
        if k.chance(_EXEC_FAILS):
            yield from mmput(k, t, mm)
            return
    old = t.mm
    k.tell(t, "begin_new_exec", f"(begin_new_exec+0x0/0xb40) bprm={t.struct + 0x1000:#x}")
    nr = ""
    if k.old:
        unlocked = k.wrong("exec-joins-unlocked")
        if not unlocked:
            yield from k.lock(t, k.mmlist_lock)
        if not k.wrong("exec-does-not-join"):
            add(k, t, mm, old if old is not None and k.wrong("exec-joins-after-old") else k.init_mm)
        if not unlocked:
            k.unlock(t, k.mmlist_lock)
        nr = f" nr={k.nr}"
    yield None
    if old is not None:
        place = f"(exec_mm_release+0x0/0x20) task={t.struct:#x} pid={t.pid}"
        k.tell(t, "exec_mm_release", f"{place} mm={old.addr:#x} {k.fetch(old)}")
    yield from k.lock(t, t.alloc_lock, told=False)
    t.mm = mm
    k.say(t, "exec_mmap", f"mm={mm.addr:#x}{f' old={old.addr:#x}' if old is not None else ''}{nr}")
    k.unlock(t, t.alloc_lock, told=False)
    if old is not None:
        yield from mmput(k, t, old)
    k.tell(t, "sched_process_exec", f"filename=/bin/{t.comm} pid={t.pid} old_pid={t.pid}")
