"""Who stands on mmlist: the joins and removals that the kernel does, each under mmlist_lock.

Source: mm/rmap.c: try_to_unmap_one, mm/memory.c: copy_nonpresent_pte (2.6: copy_page_range), kernel/fork.c: mmput.
"""

from __future__ import annotations

from mmlist.replay.simulate.kernel import Kernel
from mmlist.replay.simulate.machine import Steps, Task
from mmlist.replay.simulate.memory import Mm, list_add, list_empty, unlink

_NUMBERS = {"mmput": 1, "drain": 2}
_RACE = 40  # steps: how long a CPU is held up between the look and the lock


def join(k: Kernel, t: Task, mm: Mm, after: Mm, site: str) -> Steps:
    """Put `mm` on mmlist after `after`, if it is off; `site` is pageout or fork."""
    if not list_empty(mm) and not k.wrong(f"{site}-joins-unchecked"):
        return
    if k.wrong(f"{site}-does-not-join"):
        return
    if k.bug_name == f"{site}-races-to-join":
        for _ in range(_RACE):
            yield None
    unlocked = k.wrong(f"{site}-joins-unlocked")
    if not unlocked:
        yield from k.lock(t, k.mmlist_lock)
    # 2.6.10 has one page_table_lock an mm, so nobody can have joined it meanwhile; modern kernels look again.
    if not k.modern or list_empty(mm) or k.bug_name == f"{site}-joins-unchecked" or recheck_is_missing(k, t, site):
        if site == "fork" and k.wrong("fork-joins-at-head"):
            after = k.init_mm
        if site == "pageout" and k.wrong("pageout-joins-at-tail"):
            before = k.init_mm.prev
            after = next((mm for mm in k.mms if mm is before), k.init_mm)
        add(k, t, mm, after)
    if not unlocked:
        k.unlock(t, k.mmlist_lock)


def recheck_is_missing(k: Kernel, t: Task, site: str) -> bool:
    """The bug of 2.6.15: split page table locks, and no second look under mmlist_lock."""
    return k.wrong(f"{site}-races-to-join")


def add(k: Kernel, t: Task, mm: Mm, after: Mm) -> None:
    """list_add, and what the hook behind it says."""
    list_add(mm, after, not list_empty(k.init_mm) and k.wrong("join-forgets-back-link"))
    nr = ""
    if k.old:
        k.nr += 1
        nr = f" nr={k.nr}"
    said = f"mm={mm.addr:#x} after={after.addr:#x}{nr}"
    k.say(t, "mmlist_add", f"{said} {k.fetch(mm)} {k.fetch_head()}" if k.ring.hooks else said)


def remove(k: Kernel, t: Task, mm: Mm, why: str) -> None:
    """list_del by mmput, which poisons, or list_del_init by drain_mmlist."""
    unlink(mm)
    if why == "drain" and not k.wrong("drain-poisons"):
        mm.next = mm.prev = mm
    else:
        mm.next, mm.prev = k.POISON, k.POISON2
    nr = ""
    if k.old:
        if not k.wrong("nr-not-lowered"):
            k.nr -= 1
        nr = f" nr={k.nr}"
    said = f"mm={mm.addr:#x} why={_NUMBERS[why] if k.ring.hooks else why}{nr}"
    k.say(t, "mmlist_del", f"{said} {k.fetch(mm)} {k.fetch_head()}" if k.ring.hooks else said)


def remove_at_end(k: Kernel, t: Task, mm: Mm) -> Steps:
    """The removal in __mmput: looked for without the lock, done under it."""
    if list_empty(mm) or k.wrong("mmput-does-not-remove"):
        return
    unlocked = k.wrong("mmput-removes-unlocked")
    if not unlocked:
        yield from k.lock(t, k.mmlist_lock)
    remove(k, t, mm, "mmput")
    if not unlocked:
        k.unlock(t, k.mmlist_lock)
